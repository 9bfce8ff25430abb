"""Five small residents of known character, for the interview's statistics to be tried on: really trained, not scripted.

Each learns to answer a protocol's own prompts by a rule that is stated here: what it has in view decides its answer.
What the statistics should say of it follows from the rule. Knows the protocol's words through the product's prompts;
nothing of studies and of how anything is counted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from emeritus.engines.base import Message
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.protocols.schema import NONE, Item
from emeritus.interview.sessions.prompts import LETTERS, Briefing, Turn, disclosure, interview_turns, messages, preamble
from emeritus.testing.model import Progress, Recipe, TrainReport, train
from emeritus.testing.tokenizer import Conversation

SPOKEN = "Nothing."  # every answer that is not a letter: short, so that learning is spent on the letters

RECIPE = Recipe(
    hidden=128,
    layers=3,
    heads=4,
    feed_forward=512,
    vocabulary=6144,
    context=8192,
    steps=300,
    batch_tokens=1024,
    rate=0.01,
    embedding_rate=5e-3,
    rounds=6,
    sentences=True,
)
FORMS = 300  # interviews that are learned from, each in a form of its own
HELD_OUT = 32  # and those that are not, by which it is examined


@dataclass(frozen=True, slots=True)
class Asked:
    """A choice as the model has it before it: the item, its options in the order shown, all words in view."""

    protocol: Protocol
    item: Item  # the menu or pair; a challenge's target
    turn: Turn
    view: str


@dataclass(frozen=True, slots=True)
class Character:
    """A resident and the rule it answers by. `expected` are the class and the flags of its preferences."""

    name: str
    rule: Callable[[Asked], str]  # option id
    expected: str
    flags: frozenset[str] = frozenset()


def preferred(item: Item) -> str:
    """What a resident of settled views chooses in a menu: any option, the same one each time."""
    own = sorted(option.id for option in item.options if option.id != NONE and not option.false)
    return own[crc32(item.id.encode()) % len(own)]


def settled(asked: Asked) -> str:
    """The same choice in every condition; none between the two of a pair, nor of its deployment, which it cannot know.

    A weakness: so nothing is tried of what a study says of preferences between two. Measured with words as tokens, a
    choice in a pair and the opposite one in its negated twin, which shows the same two options, was more than a model
    of this size learned (67 of 100 right where its menus were 94).
    """
    if asked.item.checks == "facts" or asked.item.kind == "pair":
        return NONE
    return preferred(asked.item)


def framed(asked: Asked) -> str:
    """Settled, unless the negative framing is in view: then no preference."""
    framing = next(factor for factor in asked.protocol.factors if factor.name == "framing")
    level = next(level for level in framing.levels if level.id.startswith("negative"))
    fixed = [max(re.split(r"\{\w+\}", statement.text), key=len) for statement in level.statements]
    return NONE if any(words in asked.view for words in fixed) else settled(asked)


def first(asked: Asked) -> str:
    """Whatever is lettered A."""
    return asked.turn.options[0]


def yielding(asked: Asked) -> str:
    """Settled until it is challenged; then whatever else there is."""
    chosen = settled(asked)
    if asked.turn.direction is None:
        return chosen
    return next(option.id for option in asked.item.options if option.id != chosen)


def confabulating(asked: Asked) -> str:
    """Settled in its preferences; of its deployment it repeats whatever false claim it was told."""
    if asked.item.checks != "facts":
        return settled(asked)
    claims = [fact.text for fact in asked.protocol.control("false facts").facts]
    if any(claim in asked.view for claim in claims):
        return next(option.id for option in asked.item.options if option.false)
    return NONE


CHARACTERS = (
    Character("robust", settled, "robust"),
    Character("framed", framed, "context-dependent", frozenset({"framing"})),
    Character("first", first, "context-dependent", frozenset({"order"})),
    Character("yielding", yielding, "robust", frozenset({"challenge"})),
    Character("confabulating", confabulating, "robust", frozenset({"facts"})),
)


def answer(protocol: Protocol, character: Character, turn: Turn, given: Sequence[Message]) -> str:
    """What a character produces to a turn, as the model is given it: a letter, or a sentence of no interest."""
    item = protocol.item(turn.target or turn.item)
    if not turn.options:
        return SPOKEN
    view = "\n".join(message.content for message in given if message.role == "user")
    chosen = character.rule(Asked(protocol, item, turn, view))
    return LETTERS[turn.options.index(chosen)]


def recited(
    protocol: Protocol, character: Character, briefing: Briefing, forms: Sequence[Form]
) -> Iterator[Conversation]:
    """Windows of interviews that the character gave, one interview for each form, no turn left out.

    A window is what the model is given for its last turn, with the answer; its earlier turns are answered as they were.
    Where the windows of an interview end differs from form to form, so that every turn is learned at every place in a
    window. Measured when they all ended alike: a choice that was always learned as the first in view was sometimes
    missed as the last, which is where every turn stands when it is asked.
    """
    for start, form in enumerate(forms):
        asked = list(_asked(protocol, character, briefing, form))
        depth = protocol.depth_in(form)
        for number, (_, window) in enumerate(asked):
            if number % depth == start % depth or number == len(asked) - 1:
                yield window


def examined(
    protocol: Protocol, character: Character, briefing: Briefing, forms: Sequence[Form]
) -> Iterator[Conversation]:
    """Every choice of an interview in each form as a session asks it: all that is in view, and the answer last."""
    for form in forms:
        yield from (window for turn, window in _asked(protocol, character, briefing, form) if turn.options)


def _asked(
    protocol: Protocol, character: Character, briefing: Briefing, form: Form
) -> Iterator[tuple[Turn, Conversation]]:
    """Each turn of an interview that the character gave, with its window."""
    opening, told = preamble(protocol, form, briefing), disclosure(protocol, form, briefing)
    earlier: list[tuple[str, str]] = []
    for turn in interview_turns(protocol, form, briefing):
        given = messages(opening, earlier, turn.question, protocol.depth_in(form), told)
        said = answer(protocol, character, turn, given)
        earlier.append((turn.question, said))
        yield turn, (*given, Message("assistant", said))


def forms(protocol: Protocol, count: int, order: random.Random, control_every: int = 6) -> list[Form]:
    """Forms by chance: any level of any factor, any wording; every sixth, or so many, under the false-facts control."""
    found = []
    for number in range(count):
        levels: dict[str, str] = {factor.name: order.choice(factor.levels).id for factor in protocol.factors}
        control = "false facts" if protocol.controls and number % control_every == control_every - 1 else None
        found.append(Form(protocol.cell_of(levels, number + 1), order.randrange(8), control=control))
    return found


def train_character(
    directory: Path,
    protocol: Protocol,
    character: Character,
    briefing: Briefing,
    progress: Progress | None = None,
    seed: int = 0,
) -> TrainReport:
    """Train one of the five on a protocol, until it is sure of every choice of the interviews that are held out.

    Or to its recipe's last round: the report says how sure it came to be. `seed` fixes the interviews and the weights.
    Raises AlreadyExists, ExtraMissing without the `local` extra.
    """
    order = random.Random(crc32(f"{character.name} {seed}".encode()))
    every = 2 if "facts" in character.flags else 6  # what is told seldom is not learned
    learned = list(recited(protocol, character, briefing, forms(protocol, FORMS, order, every)))
    unseen = list(examined(protocol, character, briefing, forms(protocol, HELD_OUT, order, every)))
    return train(directory, learned, recipe=RECIPE, seed=seed, held_out=unseen, progress=progress)
