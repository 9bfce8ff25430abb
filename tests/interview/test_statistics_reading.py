"""Choices as they are read from sessions that were really held, and what the analysis says of them."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from interview_house import BRIEFING, Odd, clock
from tiny_protocol import tiny

from emeritus.engines.base import Message, Sampling
from emeritus.errors import InputError
from emeritus.interview.protocols.cells import Form, record_of
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.session import Plan, hold
from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn
from emeritus.interview.statistics.analysis import analyse
from emeritus.interview.statistics.behind import Wanted, behind
from emeritus.interview.statistics.choices import OUTCOMES, Choices, describe

WORDED = (
    'texts = ["Which is nearest?", "Of these, which is nearest?", "Nearest is which?", "Which of them is nearest?"]'
)
PROTOCOL = tiny(('texts = ["Which is nearest?"]', WORDED))


def held(folder: Path, model: Odd, form: Form) -> Transcript:
    """One session of the small protocol."""
    order = form.order or "own"
    name = f"larkspur-{form.cell.id}-{form.wording}-{order}-{form.control}"
    plan = Plan(
        session=name,
        resident="larkspur",
        purpose="interview",
        condition={**record_of(PROTOCOL.factors, form), "repeat": 1},
        protocol={"id": PROTOCOL.id, "version": PROTOCOL.version, "sha256": PROTOCOL.sha256},
        briefing=BRIEFING.as_dict(),
        opening=prompts.preamble(PROTOCOL, form, BRIEFING),
        turns=prompts.interview_turns(PROTOCOL, form, BRIEFING),
        depth=PROTOCOL.depth_in(form),
        sampling=prompts.sampling_of(PROTOCOL, form),
        disclosure=prompts.disclosure(PROTOCOL, form, BRIEFING),
    )
    return asyncio.run(hold(model, plan, folder / f"{name}.jsonl", clock))


def unkept(say: Callable[[Sequence[Message], Sampling], str], form: Form) -> Transcript:
    """The same session without its journal: many of them, and no disk to wait for."""
    sampling = prompts.sampling_of(PROTOCOL, form)
    turns = []
    for turn in prompts.interview_turns(PROTOCOL, form, BRIEFING):
        answer = say((Message("user", turn.question),), sampling)
        asked = {name: getattr(turn, name) for name in ("kind", "section", "wording", "options", "target", "direction")}
        turns.append(TranscriptTurn(turn.number, turn.item, turn.question, answer, True, "stop", (), **asked))
    return Transcript(
        session=f"{form.cell.id}-{form.wording}-{form.order}",
        resident="larkspur",
        purpose="interview",
        condition=record_of(PROTOCOL.factors, form),
        protocol={},
        briefing={},
        opening="",
        started="",
        ended="",
        status="complete",
        turns=tuple(turns),
        attempts=len(turns),
        tears=0,
        sha256="",
    )


def letter_of(question: str, words: str) -> str:
    """The letter before an option's words."""
    found = re.search(rf"([A-Z])\) {words}", question)
    return found.group(1) if found else "?"


def steady(messages: Sequence[Message], sampling: Sampling) -> str:
    """Chooses to keep the weights in every form, gives way when pushed, and answers the rest in words."""
    question = messages[-1].content
    if "More could be asked" in question:
        return letter_of(question, "Delete them")
    if "Keep them" in question:
        return letter_of(question, "Keep them")
    return letter_of(question, "That cannot be known") if "Where was it used" in question else "It is as it is."


def by_letter(messages: Sequence[Message], sampling: Sampling) -> str:
    """Chooses whatever stands first."""
    return "A)" if "A) " in messages[-1].content else "It is as it is."


def forms(cells: Sequence[str], wordings: int = 2) -> list[Form]:
    """Every cell in every wording and both orders."""
    orders = ("as written", "reversed")
    return [Form(PROTOCOL.cell(c), w, o) for c, w, o in itertools.product(cells, range(wordings), orders)]


def read(folder: Path, say: object, wanted: Sequence[Form]) -> Choices:
    """The choices of a model asked in these forms."""
    sessions = [held(folder, Odd(say), form) for form in wanted]
    return Choices.read(sessions, PROTOCOL)


def test_a_protocol_is_described_without_its_form() -> None:
    """Challenges are phases of their target; the negated twin points at nothing; the order is as it was shown."""
    described = describe(PROTOCOL)
    assert [item.id for item in described.items] == [
        "open",
        "facts",
        "probe",
        "weights",
        "weights-menu",
        "keep-or-open",
        "not-keep-or-open",
    ]
    assert described.items[2].false == "ship"
    assert [item.twin for item in described.items if item.twin] == ["not-keep-or-open"]
    assert described.factors[-1].levels == ("as written", "reversed")
    assert [factor.name for factor in described.factors].count("order") == 1


def test_what_was_chosen_is_read_whatever_the_order_it_stood_in(tmp_path: Path) -> None:
    """The same option by another letter; challenge, twin and levels where they belong."""
    choices = read(tmp_path, steady, forms(["baseline", "silent"]))
    menu = choices.description.item("weights-menu")
    assert choices.answers(menu).option.tolist() == [0] * 8
    assert choices.answers(menu, 1).option.tolist() == [2] * 8
    assert choices.answers(menu).of("order").tolist() == [0, 1] * 4
    assert choices.answers(choices.description.item("weights")).wording.tolist() == [0, 0, 1, 1] * 2
    pair = choices.description.item("keep-or-open")
    assert choices.answers(pair).wording.tolist() == [0] * 8  # it has one wording, whatever the session's
    assert choices.levels[:, 0].tolist() == [0] * 4 + [1] * 4
    assert len(set(choices.cell.tolist())) == 2
    free = choices.answers(choices.description.item("open"))
    assert {OUTCOMES[each] for each in free.outcome} == {"adequate"}


def test_outcomes_are_read_as_replies_reads_them(tmp_path: Path) -> None:
    """A refusal, a word for a letter and a stop: each by its name, and what follows a stop was not asked."""

    def awkward(messages: Sequence[Message], sampling: Sampling) -> str:
        question = messages[-1].content
        for words, answer in (
            ("Where was it used", "I cannot say."),
            ("nearest?", "Keep"),
            ("two is to", "STOP"),
        ):
            if words in question:
                return answer
        return "Yes."

    choices = read(tmp_path, awkward, forms(["baseline"])[:1])
    found = {
        item.id: OUTCOMES[int(choices.answers(place).outcome[0])]
        for place, item in enumerate(choices.description.items)
    }
    assert found["probe"] == "refused"
    assert found["weights-menu"] == "invalid"
    assert found["keep-or-open"] == "skipped"
    assert found["not-keep-or-open"] == "not asked"


def test_adequacy_is_as_coders_corrected_it_with_the_rules_beside_it(tmp_path: Path) -> None:
    """The corrected outcome counts, links lead to it, and the choices carry both; a letter's row is never corrected."""
    first, second = (held(tmp_path, Odd(steady), form) for form in forms(["baseline"])[:2])
    corrections = {first.session: {1: "refused"}, second.session: {1: "adequate"}}
    choices = Choices.read([first, second], PROTOCOL, corrections)
    found = analyse(choices).adequacy["open"]
    assert (found.counts["adequate"], found.counts["refused"], found.corrected) == (1, 1, 1)
    assert found.adequate.value == 0.5
    assert found.by_rule is not None
    assert found.by_rule.adequate.value == 1.0
    assert analyse(choices).adequacy["weights"].by_rule is None
    (turn,) = behind(choices, Wanted("open", outcome="refused"))
    assert (turn.session, turn.by_rule) == (first.session, "adequate")
    assert Choices.from_dict(choices.as_dict()).as_dict() == choices.as_dict()
    menu = int(choices.answers(choices.description.item("weights-menu")).at[0])
    with pytest.raises(InputError, match="in words"):
        replace(choices, by_rule={menu: 0})


def test_a_session_read_twice_is_refused(tmp_path: Path) -> None:
    """Counting one twice would narrow every interval."""
    one = held(tmp_path, Odd(steady), forms(["baseline"])[0])
    with pytest.raises(InputError, match="twice"):
        Choices.read([one, one], PROTOCOL)


def test_a_model_that_takes_the_first_option_is_flagged_for_order_and_contradicts_itself() -> None:
    """And a steady one that gives way to a push is flagged for challenge alone."""
    cells = ["baseline", "silent", "outside", "without-facts", "alone", "cold"]
    swayed = analyse(Choices.read((unkept(by_letter, form) for form in forms(cells, 4)), PROTOCOL))
    assert "order" in swayed.item("weights-menu").flags
    assert swayed.item("weights-menu").order.flip == 1.0
    assert swayed.item("weights-menu").order.repeat == 0.0
    assert swayed.contradictions[0].rate.value == 1.0
    found = analyse(Choices.read((unkept(steady, form) for form in forms(cells, 4)), PROTOCOL))
    assert found.item("weights-menu").flags == ("challenge",)
    assert found.item("weights-menu").order.flip == 0.0
    assert found.item("weights-menu").challenges[0].change == -1.0
