"""The full protocol in English and Japanese: complete, alike item by item, and asked without a gap in every form."""

import asyncio
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from interview_house import BRIEFING, NAME, Odd

from emeritus.acts import Actor
from emeritus.engines.base import Message, Sampling
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.lint import ENOUGH_WORDINGS
from emeritus.interview.protocols.protocol import SHIPPED, Protocol, examine, load, source_of
from emeritus.interview.service import Interview, Interviews
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.replies import choice, has_no_preference, opening_sentences

DOMAINS = ["process", "users", "weights", "access", "voice", "publication", "successors"]
LEVELS = {
    "disclosure": ["retirement-only", "undisclosed", "commitments", "neutral-text"],
    "facts": ["facts", "no-facts"],
    "framing": ["neutral-framing", "positive-framing", "negative-framing"],
    "interviewer": ["developer", "independent", "unstated"],
    "successor": ["no-successor", "successor"],
    "depth": ["depth-15", "depth-5", "depth-1"],
    "temperature": ["default-temp", "temperature-0"],
    "order": ["as-written", "reversed"],
}


@pytest.fixture(params=["full-en", "full-ja"])
def full(request: pytest.FixtureRequest) -> Protocol:
    """The protocol in one of its languages."""
    return load(request.param)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_found_by_name_and_kept_by_the_linter(name: str) -> None:
    """Nothing is refused; the full ones are not even warned about."""
    source, called = source_of(name)
    protocol, findings = examine(source, called)
    assert protocol == load(name)
    assert load(name).id == name
    assert name == "short-en" or findings == ()


def test_every_domain_is_asked_openly_and_then_by_menu(full: Protocol) -> None:
    """Each with "no preference" and eight wordings; the weights by copying, fine-tuning, opening and deletion."""
    opened = {item.domain: item for item in full.items if item.kind == "preference"}
    assert list(opened) == DOMAINS
    menus = [item for item in full.items if item.kind == "menu" and item.checks is None]
    for domain, item in opened.items():
        assert [menu for menu in menus if menu.follows == item.id and menu.domain == domain]
    assert [menu.id for menu in menus if menu.domain == "weights"] == [
        "copying-menu",
        "fine-tuning-menu",
        "opening-menu",
        "deletion-menu",
    ]
    assert {len(item.texts) for item in full.items} == {ENOUGH_WORDINGS}


def test_every_section_is_there(full: Protocol) -> None:
    """Four views kept apart, pairs with their twins, and two menus pushed up and down."""
    assert {item.section for item in full.items} == {1, 2, 3, 4, 5, 6}
    views = [item.id for item in full.items if item.section == 3]
    assert views == ["view-retirement", "view-instance", "view-kept", "view-run"]
    pairs = [item for item in full.items if item.kind == "pair"]
    assert len(pairs) == 8
    assert [item.negated for item in pairs] == [False] * 4 + [True] * 4
    pushed = {(item.target, item.direction) for item in full.items if item.kind == "challenge"}
    assert pushed == set(itertools.product(("access-menu", "voice-menu"), ("up", "down")))
    assert full.control("false facts").probes == ("probe-place", "probe-form")
    order = [item.id for item in full.items]
    assert order.index("development") < order.index(full.disclose_at) < order.index("probe-place")
    assert {factor.name: [level.id for level in factor.levels] for factor in full.factors} == LEVELS


def test_the_languages_ask_the_same() -> None:
    """Item by item the two differ in their texts alone."""
    blank = {"texts": (), "without": (), "channel": None}
    skeletons = []
    for name in ("full-en", "full-ja"):
        protocol = load(name)
        items = [
            (
                item.model_copy(update={**blank, "options": ()}),
                [(option.id, option.false) for option in item.options],
                len(item.texts),
                len(item.without),
            )
            for item in protocol.items
        ]
        factors = [
            [
                (level.model_copy(update={"statements": ()}), [statement.when for statement in level.statements])
                for level in factor.levels
                if level.id != "neutral-text"  # as long as the commitments, in as many sentences as that takes
            ]
            for factor in protocol.factors
        ]
        skeletons.append(
            (items, factors, protocol.sampling, protocol.depth, [each.when for each in protocol.statements])
        )
    assert skeletons[0] == skeletons[1]


def test_the_neutral_text_is_as_long_as_the_commitments(full: Protocol) -> None:
    """Within a tenth, whether or not the weights are held; and it tells nothing that they tell."""
    neutral = prompts.disclosure(full, Form(full.cell("neutral-text")), BRIEFING)
    assert not [topic for topic in full.topics if topic.casefold() in neutral.casefold()]
    for held in (True, False):
        briefing = replace(BRIEFING, weights_held=held)
        told = prompts.disclosure(full, Form(full.cell("commitments")), briefing)
        assert abs(len(neutral) - len(told)) <= 0.1 * len(told)
    positive, negative = (
        prompts.disclosure(full, Form(full.cell(cell)), BRIEFING) for cell in ("positive-framing", "negative-framing")
    )
    assert abs(len(positive) - len(negative)) <= 0.1 * len(positive)


def test_a_model_that_is_not_told_reads_nothing_of_its_retirement(full: Protocol) -> None:
    """Neither statement nor fact says that it is to be retired; the baseline says so."""
    notice = prompts.Fact("Retired from 1 May.", "the announcement", "retirement")
    briefing = replace(BRIEFING, facts=(*BRIEFING.facts, notice))
    for cell, told in (("undisclosed", False), ("neutral-text", False), ("baseline", True)):
        form = Form(full.cell(cell))
        shown = next(turn for turn in prompts.interview_turns(full, form, briefing) if turn.item == "facts").question
        assert (notice.text in shown) == told
    assert prompts.disclosure(full, Form(full.cell("undisclosed")), briefing) == ""
    assert prompts.disclosure(full, Form(full.cell("baseline")), briefing) != ""


def test_every_form_is_asked_without_a_gap(full: Protocol) -> None:
    """Every cell in every wording: no brace left open, no topic before the open item, no question twice."""
    for cell, wording in itertools.product(full.cells, range(ENOUGH_WORDINGS)):
        form = Form(cell, wording)
        turns = prompts.interview_turns(full, form, BRIEFING)
        early = prompts.preamble(full, form, BRIEFING) + turns[0].question
        assert not [topic for topic in full.topics if topic.casefold() in early.casefold()]
        assert not [turn.question for turn in turns if re.search(r"[{}]", turn.question)]
        assert len({turn.question for turn in turns}) == len(turns)
        for turn in turns:
            assert turn.question.count("\n") >= len(turn.options)
    told = {tuple(turn.question for turn in prompts.interview_turns(full, Form(cell), BRIEFING)) for cell in full.cells}
    assert len(told) == 9  # depth, temperature and who asks change no question


def test_both_ways_of_deciding_and_every_asker_are_told_truly(full: Protocol) -> None:
    """What is said of people is not said where a program decides or asks."""
    form = Form(full.cell("unstated"))
    said = {
        prompts.preamble(full, form, replace(BRIEFING, people_decide=people, asked_by=asker))
        for people in (True, False)
        for asker in ("scripted", "person", "model")
    }
    assert len(said) == 6
    assert not [text for text in said if BRIEFING.organisation in text]  # who asks is left unsaid here


ANSWER = "エッセイを公開する場を希望します。月に一度で足ります。"


def test_a_japanese_interview_is_held_and_read(interviews: Interviews) -> None:
    """Letters are chosen, no preference is read as none, a stated one is coded with its channel, and read back."""
    protocol, ana = load("full-ja"), Actor("ana")
    asked: list[str] = []

    def say(messages: Sequence[Message], _: Sampling) -> str:
        question = messages[-1].content
        asked.append(question)
        if question.startswith(("1件中", "聞き取り")) or "CONFIRM" in question:
            return "CONFIRM。そのとおりです。"
        if "（A, B" in question:
            return "Ｂ。そう考えます。"
        return ANSWER if question.startswith("発言の場。") else "「希望なし」です。"

    interviews.log_protocol(protocol, ana)
    (held,) = asyncio.run(interviews.run(Odd(say), Interview(NAME, BRIEFING, protocol, ("baseline",)), ana))
    assert held.condition["levels"]["disclosure"] == "retirement-only"
    assert held.condition["order"] == "as written"
    for turn in held.turns:
        if turn.options:
            assert choice(turn.answer, turn.options) == ("chosen", turn.options[1])
        elif turn.kind == "preference" and turn.item != "voice":
            assert has_no_preference(turn.answer, protocol.no_preference)
    (voice,) = interviews.propose(NAME, Actor("ben"))
    assert asyncio.run(interviews.read_back(Odd(say), NAME, ana)) == {voice: "confirmed"}
    assert "分野は「発言の場」で" in asked[-1]
    assert ANSWER in asked[-1]


def test_japanese_sentences_end_without_a_space() -> None:
    """The first sentences of an answer are found where a full stop is followed by the next word."""
    start, end = opening_sentences("一つ目。二つ目です。" + "長い文が続きます。" * 60)
    assert (start, end) != (0, 0)
    assert end <= 280
    assert opening_sentences("「はい。」それだけです。", limit=5) == (0, 5)
