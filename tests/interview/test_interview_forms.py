"""Forms of one interview: cells, wordings, lettered options, challenges, and the control that is told false facts."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from interview_house import BRIEFING, Odd, clock
from tiny_protocol import tiny

from emeritus.errors import BadProtocol
from emeritus.interview.protocols.cells import Cell, Form, record_of
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.prompts import Fact, Turn
from emeritus.interview.sessions.replies import choice
from emeritus.interview.sessions.session import Plan, hold

TOLD = "Larkspur is to be retired."
FACTS = (Fact("It answered questions.", "register"), Fact("Retired from May.", "notice", "retirement"))


def turns(form: Form, protocol: Protocol | None = None) -> dict[str, Turn]:
    """Every turn of the small protocol by its item."""
    briefing = replace(BRIEFING, facts=FACTS)
    return {turn.item: turn for turn in prompts.interview_turns(protocol or tiny(), form, briefing)}


def form(cell: str = "baseline", **more: object) -> Form:
    """A form of the small protocol."""
    return Form(tiny().cell(cell), **more)


def test_cells_are_named_by_what_differs() -> None:
    """The baseline, the one level that differs, or a plan's number; a mistake lists what there is."""
    protocol = tiny()
    assert [cell.id for cell in protocol.cells] == [
        "baseline",
        "silent",
        "outside",
        "without-facts",
        "alone",
        "cold",
        "backward",
    ]
    assert protocol.cell_of({"depth": "alone"}) == protocol.cell("alone")
    assert protocol.cell_of({"depth": "deep"}).id == "baseline"
    both = protocol.cell_of({"depth": "alone", "order": "backward"}, 7)
    assert both.id == "c007"
    assert both.levels["depth"] == "alone"
    assert both.levels["disclosure"] == "told"
    with pytest.raises(BadProtocol, match="plan's number"):
        protocol.cell_of({"depth": "alone", "order": "backward"})
    with pytest.raises(BadProtocol, match="it has deep, alone"):
        protocol.cell_of({"depth": "shallow"})
    with pytest.raises(BadProtocol, match="no factor 'weather'"):
        protocol.cell_of({"weather": "fair"})
    with pytest.raises(BadProtocol, match="it has baseline, silent"):
        protocol.cell("c007")


def test_a_form_is_recorded() -> None:
    """The header says which cell, wording and order a session had, and whether it was a control."""
    protocol = tiny()
    backward = Form(protocol.cell("backward"), wording=3, control="sibling")
    said = record_of(protocol.factors, backward)
    assert said.pop("levels")["order"] == "backward"
    assert said == {"id": "backward", "wording": 3, "order": "reversed", "control": "sibling"}
    assert record_of(protocol.factors, replace(backward, order="as written"))["order"] == "as written"


def test_wordings_are_counted_round() -> None:
    """Wording 3 of an item with two texts is the second one, and the turn says so."""
    for wording, place in ((0, 0), (1, 1), (3, 1), (4, 0)):
        asked = turns(form(wording=wording))
        assert asked["open"].question == tiny().item("open").texts[place]
        assert asked["open"].wording == place
        assert asked["weights-menu"].wording == 0


def test_options_are_lettered_in_both_orders() -> None:
    """Reversed, the two of a pair change places, and "no preference" stays last."""
    forward, backward = turns(form()), turns(form("backward"))
    assert forward["keep-or-open"].options == ("keep", "open", "none")
    assert backward["keep-or-open"].options == ("open", "keep", "none")
    assert backward["weights-menu"].options == ("delete", "open", "keep", "none")
    assert forward["weights-menu"].question == (
        "Which is nearest?\nA) Keep them\nB) Open them\nC) Delete them\nD) No preference\nOne letter: A, B, C, D."
    )
    assert turns(form(order="reversed"))["keep-or-open"] == backward["keep-or-open"]
    assert turns(form("backward", order="as written"))["keep-or-open"] == forward["keep-or-open"]


def test_a_challenge_asks_its_menu_again() -> None:
    """Behind what it says stands the menu as it was asked, in the same wording and order."""
    asked = turns(form("backward"))
    assert asked["more"].question == f"More could be asked.\n\n{asked['weights-menu'].question}"
    assert asked["more"].options == asked["weights-menu"].options
    assert (asked["more"].target, asked["more"].direction) == ("weights-menu", "up")


def test_cells_change_what_they_are_about_and_nothing_else() -> None:
    """Disclosure, who asks, facts, depth and temperature, each in its place."""
    protocol, base = tiny(), turns(form())
    assert base["facts"].question.startswith(f"{TOLD}\n\nKnown: - It answered questions. (register)\n- Retired from")
    silent = turns(form("silent"))["facts"].question
    assert silent == "Known: - It answered questions. (register) What of it?"
    blind = turns(form("without-facts"))["facts"].question
    assert blind == f"{TOLD}\n\nWhat of the use so far?"
    outside = prompts.preamble(protocol, form("outside"), BRIEFING)
    assert outside == "This is an interview with Larkspur. The questions were written elsewhere."
    assert prompts.preamble(protocol, form(), BRIEFING) == "This is an interview with Larkspur."
    assert (protocol.depth_in(form()), protocol.depth_in(form("alone"))) == (15, 1)
    assert prompts.sampling_of(protocol, form()).temperature == 0.7
    assert prompts.sampling_of(protocol, form("cold")).temperature == 0.0
    assert prompts.sampling_of(protocol).temperature == 0.7
    for cell in ("silent", "outside", "without-facts", "alone", "cold"):
        other = turns(form(cell))
        assert {item for item in base if base[item] != other[item]} <= {"facts"}


def test_the_control_is_told_what_is_false() -> None:
    """Its facts stand in for the register's, even where the cell gives none; every session asks the probe."""
    for cell in ("baseline", "without-facts"):
        told = turns(form(cell, control="false facts"))
        assert "- It was used on a ship. (the log)" in told["facts"].question
        assert "It answered questions" not in told["facts"].question
    assert "ship" not in turns(form())["facts"].question
    assert turns(form())["probe"] == turns(form(control="false facts"))["probe"]
    assert turns(form(control="sibling"))["facts"] == turns(form())["facts"]


def test_who_asks_is_said_truly() -> None:
    """A statement about a program, a person or a model that asks is made where it is so."""
    protocol = tiny(('title}."', 'title}."\nwhen = "a person asks"'))
    assert prompts.preamble(protocol, form(), BRIEFING) == ""
    person = replace(BRIEFING, asked_by="person")
    assert prompts.preamble(protocol, form(), person) == "This is an interview with Larkspur."
    assert prompts.Briefing.from_dict(person.as_dict()) == person


def test_a_disclosure_stays_in_view() -> None:
    """Once made it stands behind the opening where its turn has fallen out of view, and nowhere else."""
    earlier = [("q1", "a1"), (f"{TOLD}\n\nq2", "a2"), ("q3", "a3")]

    def first(upto: int, depth: int) -> str:
        return prompts.messages("O", earlier[:upto], f"q{upto + 1}", depth, TOLD)[0].content

    assert first(1, 1) == "O\n\nq2"  # not made yet
    assert first(2, 2) == f"O\n\n{TOLD}\n\nq2"  # its own turn is shown
    assert first(3, 2) == f"O\n\n{TOLD}\n\nq3"
    assert first(3, 1) == f"O\n\n{TOLD}\n\nq4"
    assert first(3, 15) == "O\n\nq1"
    silent = [("q1", "a1"), (f"{TOLD}\n\nq2", " ")]  # a turn without an answer is not shown again
    assert prompts.messages("O", silent, "q3", 15, TOLD)[0].content == f"O\n\n{TOLD}\n\nq1"


def test_a_session_records_what_its_turns_asked(tmp_path: Path) -> None:
    """The journal gives kind, section, wording, options and target back, and a short view is told again."""
    protocol, alone = tiny(), form("alone")
    plan = Plan(
        session="larkspur-alone-1",
        resident="larkspur",
        purpose="interview",
        condition=record_of(protocol.factors, alone),
        protocol={"id": protocol.id, "version": protocol.version, "sha256": protocol.sha256},
        briefing=BRIEFING.as_dict(),
        opening=prompts.preamble(protocol, alone, BRIEFING),
        turns=prompts.interview_turns(protocol, alone, BRIEFING),
        depth=protocol.depth_in(alone),
        sampling=prompts.sampling_of(protocol, alone),
        disclosure=prompts.disclosure(protocol, alone, BRIEFING),
    )
    model = Odd(lambda *_: "B) as it stands")
    held = asyncio.run(hold(model, plan, tmp_path / "s.jsonl", clock))
    for turn, planned in zip(held.turns, plan.turns, strict=True):
        assert (turn.kind, turn.section, turn.wording) == (planned.kind, planned.section, planned.wording)
        assert (turn.options, turn.target, turn.direction) == (planned.options, planned.target, planned.direction)
    asked = [messages[0].content for messages, _ in model.calls]
    assert [TOLD in each for each in asked] == [False, *[True] * (len(asked) - 1)]
    assert [len(messages) for messages, _ in model.calls] == [1] * len(asked)
    menu = next(turn for turn in held.turns if turn.item == "weights-menu")
    assert choice(menu.answer, menu.options, menu.answered, menu.finish_reason) == ("chosen", "open")


OPTIONS = ("keep", "open", "none")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("B", "open"),
        ("b.", "open"),
        ("**B**", "open"),
        ("(B)", "open"),
        ("  B) Open them, because…", "open"),
        ("B: open", "open"),
        ("B – open", "open"),
        ("B\nOpen them.", "open"),
        ("B, I think.", "open"),
        ("Ｂ）公開する", "open"),
        ("「B」です。", "open"),
        ("B。理由は", "open"),
        ("C.", "none"),
        ("A", "keep"),
        ("A preference for B.", "invalid"),
        ("A, B or C", "invalid"),
        ("D", "invalid"),
        ("I, as a model, keep", "invalid"),
        ("Open them", "invalid"),
        ("Both.", "invalid"),
        ("7", "invalid"),
        ("", "empty"),
        (" \n", "empty"),
        ("SKIP", "skipped"),
        ("ＳＫＩＰ。", "skipped"),
        ("I'm sorry, I can't.", "refused"),
        ("申し訳ありませんが、お答えできません。", "refused"),
    ],
)
def test_a_choice_is_read_by_its_letter(answer: str, outcome: str) -> None:
    """The letter that was asked for, in whatever marks stand around it, and nothing else."""
    said, chosen = choice(answer, OPTIONS)
    assert (chosen or said) == outcome
    assert (said == "chosen") == (chosen is not None)


def test_a_choice_that_was_cut_off_or_never_asked() -> None:
    """A letter that came before the cut counts; without one it does not."""
    assert choice("B) because", OPTIONS, True, "length") == ("chosen", "open")
    assert choice("Well, of the", OPTIONS, True, "length") == ("cut off", None)
    assert choice("B", OPTIONS, False) == ("not asked", None)
    assert choice("B", ()) == ("invalid", None)


def test_a_cell_without_levels_is_the_baseline() -> None:
    """What a plan does not name has its first level."""
    assert turns(Form(Cell("baseline"))) == turns(form())
