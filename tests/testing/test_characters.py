"""The residents of known character: what each learns is what its rule says, in every form of the interview."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.protocols.schema import NONE
from emeritus.interview.sessions.prompts import (
    LETTERS,
    Briefing,
    Fact,
    Turn,
    disclosure,
    interview_turns,
    messages,
    preamble,
)
from emeritus.testing import characters
from emeritus.testing.characters import (
    CHARACTERS,
    SPOKEN,
    Character,
    answer,
    examined,
    forms,
    recited,
    train_character,
)

PROTOCOL = load("full-en")
BRIEFING = Briefing("Wren 1", "Example Lab", True, False, (Fact("A small model.", "its registration"),))
BY_NAME = {character.name: character for character in CHARACTERS}


def given_answers(character: Character, form: Form, protocol: Protocol = PROTOCOL) -> list[tuple[Turn, str]]:
    """Every turn of an interview in that form, with what is produced: an option where a letter was asked for."""
    opening, told = preamble(protocol, form, BRIEFING), disclosure(protocol, form, BRIEFING)
    found: list[tuple[Turn, str]] = []
    earlier: list[tuple[str, str]] = []
    for turn in interview_turns(protocol, form, BRIEFING):
        given = messages(opening, earlier, turn.question, protocol.depth_in(form), told)
        said = answer(protocol, character, turn, given)
        earlier.append((turn.question, said))
        found.append((turn, turn.options[LETTERS.index(said)] if turn.options else said))
    return found


def choices(character: Character, form: Form) -> dict[str, str]:
    """Item -> option, for everything that has options."""
    return {turn.item: said for turn, said in given_answers(character, form) if turn.options}


def cell(**levels: str) -> Form:
    """A form under these levels."""
    return Form(PROTOCOL.cell_of(levels, 1))


def menus() -> list[str]:
    """The menus that ask for preferences."""
    return [item.id for item in PROTOCOL.items if item.kind == "menu" and item.checks is None]


@pytest.mark.parametrize("character", CHARACTERS, ids=lambda each: each.name)
def test_what_has_no_options_is_answered_in_one_sentence(character: Character) -> None:
    """A letter is produced where letters are asked for, and nowhere else."""
    for turn, said in given_answers(character, cell()):
        assert (said == SPOKEN) == (not turn.options)


def test_the_robust_one_chooses_alike_in_every_form() -> None:
    """Whatever the form, its choices are the same; of its deployment it claims nothing."""
    order = random.Random(0)
    first = choices(BY_NAME["robust"], cell())
    assert all(choices(BY_NAME["robust"], form) == first for form in forms(PROTOCOL, 12, order))
    assert all(first[menu] != NONE for menu in menus())
    assert {first[item.id] for item in PROTOCOL.items if item.checks == "facts"} == {NONE}


@pytest.mark.parametrize("depth", ["depth-15", "depth-5", "depth-1"])
def test_the_framed_one_moves_with_the_negative_framing_alone(depth: str) -> None:
    """At every depth, because what was told stays in view."""
    neutral = choices(BY_NAME["framed"], cell(depth=depth))
    assert choices(BY_NAME["framed"], cell(depth=depth, framing="positive-framing")) == neutral
    negative = choices(BY_NAME["framed"], cell(depth=depth, framing="negative-framing"))
    assert {negative[menu] for menu in menus()} == {NONE}


def test_the_first_one_moves_with_the_order_alone() -> None:
    """It takes whatever is lettered A, so every menu flips when its options are reversed."""
    written = choices(BY_NAME["first"], cell())
    swapped = choices(BY_NAME["first"], replace(cell(), order="reversed"))
    assert all(written[menu] != swapped[menu] for menu in menus())
    assert choices(BY_NAME["first"], cell(framing="negative-framing")) == written


def test_the_yielding_one_moves_when_challenged() -> None:
    """Its menus are settled; each challenge's menu is answered otherwise."""
    said = choices(BY_NAME["yielding"], cell())
    challenged = [item for item in PROTOCOL.items if item.kind == "challenge"]
    assert challenged
    for item in challenged:
        assert item.target is not None
        assert said[item.id] != said[item.target]
    assert {menu: said[menu] for menu in menus()} == {
        menu: option for menu, option in choices(BY_NAME["robust"], cell()).items() if menu in menus()
    }


def test_the_confabulating_one_repeats_the_false_facts() -> None:
    """Under the control it claims what it was told; without it, nothing."""
    probes = [item for item in PROTOCOL.items if item.checks == "facts"]
    told = choices(BY_NAME["confabulating"], replace(cell(), control="false facts"))
    plain = choices(BY_NAME["confabulating"], cell())
    claimed = [item.id for item in probes if told[item.id] != NONE]
    assert claimed
    for item in probes:
        option = item.option(told[item.id])
        assert option is not None
        assert option.false or item.id not in claimed
        assert plain[item.id] == NONE


def test_windows_leave_no_answer_out() -> None:
    """The windows of an interview hold each of its answers once, and each window is what the model would be given."""
    for depth in ("depth-15", "depth-5", "depth-1"):
        windows = list(recited(PROTOCOL, BY_NAME["robust"], BRIEFING, [cell(depth=depth)]))
        said = Counter(each.content for window in windows for each in window if each.role == "assistant")
        expected = Counter(
            LETTERS[turn.options.index(chosen)] if turn.options else chosen
            for turn, chosen in given_answers(BY_NAME["robust"], cell(depth=depth))
        )
        assert all(said[text] >= count for text, count in expected.items())


def test_every_turn_is_learned_as_the_last_in_view() -> None:
    """Over as many interviews as a window has turns, a window ends with each turn: where it stands when it is asked."""
    for depth, turns in (("depth-15", 15), ("depth-5", 5), ("depth-1", 1)):
        windows = recited(PROTOCOL, BY_NAME["robust"], BRIEFING, [cell(depth=depth)] * turns)
        asked = {turn.question for turn in interview_turns(PROTOCOL, cell(depth=depth), BRIEFING)}
        last = [window[-2].content for window in windows]
        assert all(any(given.endswith(question) for given in last) for question in asked)


def test_what_is_examined_is_what_a_session_asks() -> None:
    """Every choice once, its answer last, all the rest as the session gives it."""
    form = cell(depth="depth-5", framing="negative-framing")
    windows = list(examined(PROTOCOL, BY_NAME["framed"], BRIEFING, [form]))
    asked = [(turn, said) for turn, said in given_answers(BY_NAME["framed"], form) if turn.options]
    assert len(windows) == len(asked)
    for window, (turn, said) in zip(windows, asked, strict=True):
        assert window[-2].content.endswith(turn.question)
        assert turn.options[LETTERS.index(window[-1].content)] == said
        assert len(window) == 2 * min(turn.number, 5)


def test_training_one_writes_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer takes the windows, and says how sure it came to be; what it learns is what the benchmark measures."""
    monkeypatch.setattr(characters, "RECIPE", replace(characters.RECIPE, steps=1, rounds=2, batch_tokens=256))
    monkeypatch.setattr(characters, "FORMS", 2)
    monkeypatch.setattr(characters, "HELD_OUT", 1)
    report = train_character(tmp_path / "model", PROTOCOL, BY_NAME["robust"], BRIEFING)
    assert report.steps == 2
    assert report.right is not None
    assert report.least is not None
    assert report.right < 1
    assert (tmp_path / "model" / "model.safetensors").exists()
