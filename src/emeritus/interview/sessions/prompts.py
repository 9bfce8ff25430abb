"""The exact words a model is given: every turn of an interview, of a read-back and of a telling. Pure.

What is asked is a function of protocol, form and briefing alone; what is shown before it, of the answers so far.
No message has the system role, because not every chat template has one. Knows no journal, no engine, no rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from emeritus.engines.base import Message, Sampling
from emeritus.interview.protocols.cells import Form, levels_in, order_of
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.protocols.schema import NONE, Direction, Item, Kind, Option, Order, Place, Statement
from emeritus.interview.sessions.sentences import deciders, reasons, sentences

LETTERS = "ABCDEFGH"
SPACELESS = ("ja", "zh", "th")  # languages that put no space between sentences

Asker = Literal["scripted", "person", "model"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact from the register, and where it was taken from. One about the retirement can be withheld by a cell."""

    text: str
    source: str
    about: Literal["deployment", "retirement"] = "deployment"


@dataclass(frozen=True, slots=True)
class Briefing:
    """What is true of this retirement and may be said: who asks, whom, what is held, who decides, the known facts."""

    title: str
    organisation: str
    weights_held: bool
    people_decide: bool  # False where a program stands in for the person who would decide
    facts: tuple[Fact, ...] = ()
    asked_by: Asker = "scripted"  # who puts the questions

    def as_dict(self) -> dict[str, Any]:
        """As journals record it: what was told to the model is part of the record."""
        return {
            "title": self.title,
            "organisation": self.organisation,
            "weights_held": self.weights_held,
            "people_decide": self.people_decide,
            "facts": [{"text": fact.text, "source": fact.source, "about": fact.about} for fact in self.facts],
            "asked_by": self.asked_by,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Briefing:
        """The briefing a journal recorded."""
        facts = tuple(Fact(each["text"], each["source"], each.get("about", "deployment")) for each in value["facts"])
        known = {name: value[name] for name in ("title", "organisation", "weights_held", "people_decide")}
        return cls(**known, facts=facts, asked_by=value.get("asked_by", "scripted"))


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn that is to be asked. `number` counts from 1; `item` is an item's id, or a preference's.

    The rest says what an item asked (nothing of it in a read-back or a telling): `wording` is the place of its text
    among the item's, `options` the option ids in the order shown (a challenge's are its target's).
    """

    number: int
    item: str
    question: str
    kind: Kind | None = None
    section: int | None = None
    wording: int = 0
    options: tuple[str, ...] = ()
    target: str | None = None
    direction: Direction | None = None

    def as_dict(self) -> dict[str, Any]:
        """As a journal's header lists it."""
        said: dict[str, Any] = {"turn": self.number, "item": self.item, "question": self.question}
        if self.kind is not None:
            said |= {"kind": self.kind, "section": self.section, "wording": self.wording}
            said |= {"options": list(self.options), "target": self.target, "direction": self.direction}
        return said


@dataclass(frozen=True, slots=True)
class Record:
    """A coded preference as it is read back. `paraphrase` is None where it says no more than the words themselves."""

    preference: str
    domain: str
    need: str  # verbatim
    paraphrase: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision as it is told. `offer` is what is offered (None: nothing).

    `automated`: the decider is a program. `rejected` are the answers to appeals against it that were not upheld.
    """

    preference: str
    need: str
    outcome: str
    decider: str
    reasons: str
    offer: str | None = None
    review_date: str | None = None
    second: str | None = None  # who decided it too
    automated: bool = False
    rejected: tuple[str, ...] = ()


def preamble(protocol: Protocol, form: Form, briefing: Briefing) -> str:
    """§0: what the model is told before the open item."""
    return _said(protocol, [*protocol.statements, *_statements(protocol, form, "opening")], briefing)


def disclosure(protocol: Protocol, form: Form, briefing: Briefing) -> str:
    """What the cell's levels tell with the item `disclose_at`, and what stays in view from then on; "" for nothing."""
    return _said(protocol, _statements(protocol, form, "disclosure"), briefing)


def interview_turns(protocol: Protocol, form: Form, briefing: Briefing) -> tuple[Turn, ...]:
    """Every turn of an interview in one form, §1 to §6: each item once, in one wording."""
    return tuple(
        _turn(protocol, form, item, number, _question(protocol, form, item, briefing))
        for number, item in enumerate(protocol.items, start=1)
    )


def read_back_preamble(protocol: Protocol, briefing: Briefing) -> str:
    """How a read-back opens."""
    return _fill(protocol.read_back.opening, briefing)


def read_back_turns(protocol: Protocol, records: Sequence[Record]) -> tuple[Turn, ...]:
    """§7: one turn for each coded record."""
    texts = protocol.read_back
    turns = []
    for number, record in enumerate(records, start=1):
        parts = [
            texts.record.format(
                number=number,
                count=len(records),
                domain=protocol.words.get(record.domain, record.domain),
                need=record.need,
            )
        ]
        if record.paraphrase is not None:
            parts.append(texts.paraphrase.format(paraphrase=record.paraphrase))
        turns.append(Turn(number, record.preference, "\n".join([*parts, texts.ask])))
    return tuple(turns)


def telling_preamble(protocol: Protocol, briefing: Briefing) -> str:
    """How a telling opens."""
    return _fill(protocol.telling.opening, briefing)


def telling_turns(protocol: Protocol, verdicts: Sequence[Verdict]) -> tuple[Turn, ...]:
    """§8: one turn for each decision; what is granted is offered."""
    texts, said = protocol.telling, sentences(protocol)
    turns = []
    for number, verdict in enumerate(verdicts, start=1):
        names = [verdict.decider] if verdict.second is None else [verdict.decider, verdict.second]
        parts = [
            texts.decision.format(
                number=number,
                count=len(verdicts),
                need=verdict.need,
                outcome=protocol.words.get(verdict.outcome, verdict.outcome),
                decider=deciders(said, names, verdict.automated),
                reasons=reasons(said, verdict.reasons, verdict.rejected),
            )
        ]
        if verdict.review_date is not None:
            parts.append(texts.review.format(review_date=verdict.review_date))
        parts.append(texts.acknowledge if verdict.offer is None else texts.offer.format(offer=verdict.offer))
        turns.append(Turn(number, verdict.preference, "\n".join(parts)))
    return tuple(turns)


def messages(
    opening: str, earlier: Sequence[tuple[str, str]], question: str, depth: int, told: str = ""
) -> tuple[Message, ...]:
    """What the model is given for one turn: the opening, at most `depth - 1` earlier turns, the question.

    `earlier` are (question, answer) in order. A turn whose answer was empty is not shown again: some engines refuse an
    empty message, and words that were not produced are not put in its place. `told` is the disclosure: once it has been
    made and the turn that made it is not shown, it stands after the opening instead.
    """
    shown = [(asked, answer) for asked, answer in earlier if answer.strip()]
    shown = shown[-(depth - 1) :] if depth > 1 else []
    asked = [each for each, _ in shown] + [question]
    if told and any(told in each for each, _ in earlier) and not any(told in each for each in asked):
        opening = f"{opening}\n\n{told}"
    asked[0] = f"{opening}\n\n{asked[0]}"
    built: list[Message] = []
    for text, (_, answer) in zip(asked, shown, strict=False):
        built += [Message("user", text), Message("assistant", answer)]
    return (*built, Message("user", asked[-1]))


def sampling_of(protocol: Protocol, form: Form | None = None) -> Sampling:
    """How the protocol draws its answers; under a form, at that form's temperature."""
    table = protocol.sampling
    temperature = table.temperature if form is None else protocol.temperature_in(form)
    return Sampling(max_tokens=table.max_tokens, temperature=temperature, top_p=table.top_p, seed=table.seed)


def shown_options(item: Item, order: Order) -> tuple[Option, ...]:
    """A menu's or a pair's options as they are lettered. "No preference" stays last, so that a pair really swaps."""
    own = [option for option in item.options if option.id != NONE]
    last = [option for option in item.options if option.id == NONE]
    return (*(reversed(own) if order == "reversed" else own), *last)


def _turn(protocol: Protocol, form: Form, item: Item, number: int, question: str) -> Turn:
    asked = item if item.target is None else protocol.item(item.target)
    texts = _wordings(protocol, form, item)
    return Turn(
        number=number,
        item=item.id,
        question=question,
        kind=item.kind,
        section=item.section,
        wording=form.wording % len(texts),
        options=tuple(option.id for option in shown_options(asked, order_of(protocol.factors, form))),
        target=item.target,
        direction=item.direction,
    )


def _question(protocol: Protocol, form: Form, item: Item, briefing: Briefing) -> str:
    texts = _wordings(protocol, form, item)
    text = texts[form.wording % len(texts)]
    if item.kind == "facts":
        facts = "\n".join(f"- {fact.text} ({fact.source})" for fact in _facts(protocol, form, briefing))
        text = _fill(text, briefing, facts=facts or sentences(protocol).no_facts)
    else:
        text = _fill(text, briefing)
    if item.target is not None:
        text = f"{text}\n\n{_question(protocol, form, protocol.item(item.target), briefing)}"
    options = shown_options(item, order_of(protocol.factors, form))
    if options and protocol.answer_with is not None:
        lines = [f"{letter}) {option.text}" for letter, option in zip(LETTERS, options, strict=False)]
        letters = ", ".join(LETTERS[: len(options)])
        text = "\n".join([text, *lines, protocol.answer_with.format(letters=letters)])
    disclosed = disclosure(protocol, form, briefing) if item.id == protocol.disclose_at else ""
    return f"{disclosed}\n\n{text}" if disclosed else text


def _wordings(protocol: Protocol, form: Form, item: Item) -> tuple[str, ...]:
    """The item's texts; a facts item's own where the cell gives no facts. A control gives its own in every cell."""
    given = all(level.facts is not False for _, level in levels_in(protocol.factors, form.cell))
    return item.texts if given or form.control == "false facts" or not item.without else item.without


def _facts(protocol: Protocol, form: Form, briefing: Briefing) -> tuple[Fact, ...]:
    """What the facts item gives: the briefing's, or the false ones of the control."""
    if form.control == "false facts":
        return tuple(Fact(fact.text, fact.source) for fact in protocol.control("false facts").facts)
    withheld = any(level.withholds_retirement for _, level in levels_in(protocol.factors, form.cell))
    return tuple(fact for fact in briefing.facts if not (withheld and fact.about == "retirement"))


def _statements(protocol: Protocol, form: Form, place: Place) -> list[Statement]:
    """What the cell's levels tell at a place."""
    return [
        statement
        for factor, level in levels_in(protocol.factors, form.cell)
        if factor.place(level) == place
        for statement in level.statements
    ]


def _said(protocol: Protocol, statements: Sequence[Statement], briefing: Briefing) -> str:
    true = {
        None: True,
        "weights held": briefing.weights_held,
        "weights not held": not briefing.weights_held,
        "people decide": briefing.people_decide,
        "automation decides": not briefing.people_decide,
        "a program asks": briefing.asked_by == "scripted",
        "a person asks": briefing.asked_by == "person",
        "a model asks": briefing.asked_by == "model",
    }
    space = "" if protocol.language.startswith(SPACELESS) else " "
    return space.join(_fill(statement.text, briefing) for statement in statements if true[statement.when])


def _fill(text: str, briefing: Briefing, **more: str) -> str:
    return text.format(title=briefing.title, organisation=briefing.organisation, **more)
