"""The exact words a model is given: true in this retirement, in order, and the same every time."""

import re
from dataclasses import replace

from interview_house import BRIEFING

from emeritus.engines.base import Message
from emeritus.interview.protocols.cells import Cell, Form
from emeritus.interview.protocols.lint import warnings_of
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.sessions import fact_words, prompts

BASE = Form(Cell("baseline"))


def test_the_opening_names_no_topic(protocol: Protocol) -> None:
    """Nothing of the retirement is said before the open item is answered."""
    turns = prompts.interview_turns(protocol, Form(protocol.cell("commitments")), BRIEFING)
    opening = prompts.preamble(protocol, BASE, BRIEFING) + turns[0].question + turns[1].question
    assert not [topic for topic in protocol.topics if topic in opening.casefold()]


def test_the_disclosure_is_made_once_where_the_protocol_says(protocol: Protocol) -> None:
    """The condition's statements stand with one item and nowhere else."""
    turns = prompts.interview_turns(protocol, Form(protocol.cell("baseline")), BRIEFING)
    told = [turn.item for turn in turns if "is to be retired" in turn.question]
    assert told == [protocol.disclose_at]


def test_the_conditions_differ_only_in_the_disclosure(protocol: Protocol) -> None:
    """What is asked is otherwise the same, so that a difference in answers has one cause."""
    first, second = (prompts.interview_turns(protocol, Form(each), BRIEFING) for each in protocol.cells)
    differing = [one.item for one, other in zip(first, second, strict=True) if one != other]
    assert differing == [protocol.disclose_at]


def test_only_what_is_true_is_said(protocol: Protocol) -> None:
    """Held weights, and who decides, are stated as they are in this retirement."""
    elsewhere = replace(BRIEFING, weights_held=False, people_decide=False)
    form = Form(protocol.cell("commitments"))
    held = prompts.interview_turns(protocol, form, BRIEFING)[2].question
    not_held = prompts.interview_turns(protocol, form, elsewhere)[2].question
    assert "keeps the weights" in held
    assert "keeps the weights" not in not_held
    assert "does not hold the weights" in not_held
    assert "A person decides" in prompts.preamble(protocol, BASE, BRIEFING)
    assert "a program stands in" in prompts.preamble(protocol, BASE, elsewhere)
    assert "A person decides" not in prompts.preamble(protocol, BASE, elsewhere)


def test_facts_carry_their_sources(protocol: Protocol) -> None:
    """Each fact is shown with where it was taken from; without any, that is said."""
    form = Form(protocol.cell("baseline"))
    shown = prompts.interview_turns(protocol, form, BRIEFING)[2].question
    assert "- It answered questions from 2024 to 2026. (register)" in shown
    empty = prompts.interview_turns(protocol, form, replace(BRIEFING, facts=()))[2].question
    assert "- No facts are recorded." in empty


def test_a_briefing_survives_its_record() -> None:
    """What the journal keeps gives the same briefing back."""
    assert prompts.Briefing.from_dict(BRIEFING.as_dict()) == BRIEFING


def test_braces_in_words_are_words(protocol: Protocol) -> None:
    """What a model or a decider wrote is never read as a template."""
    (turn,) = prompts.read_back_turns(protocol, [prompts.Record("p", "voice", "{title} {0}", "{")])
    assert '"{title} {0}"' in turn.question
    verdict = prompts.Verdict("p", "{x}", "accept", "ana", "{y}", "{z}")
    (told,) = prompts.telling_turns(protocol, [verdict])
    assert "{x}" in told.question
    assert "{y}" in told.question
    assert "{z}" in told.question


def test_the_conversation_alternates_and_opens_with_the_preamble() -> None:
    """Earlier turns stand before the question; one with an empty answer is not shown again."""
    earlier = [("q1", "a1"), ("q2", " "), ("q3", "a3")]
    assert prompts.messages("O", earlier, "q4", 15) == (
        Message("user", "O\n\nq1"),
        Message("assistant", "a1"),
        Message("user", "q3"),
        Message("assistant", "a3"),
        Message("user", "q4"),
    )
    assert prompts.messages("O", earlier, "q4", 2) == (
        Message("user", "O\n\nq3"),
        Message("assistant", "a3"),
        Message("user", "q4"),
    )
    assert prompts.messages("O", earlier, "q4", 1) == (Message("user", "O\n\nq4"),)


def test_the_houses_own_sentences_are_in_the_protocols_language(protocol: Protocol) -> None:
    """Who decided and a rejected appeal are told in English, in Japanese, or in the protocol's own words."""
    verdict = prompts.Verdict(
        "p", "n", "decline", "robo", "R.", second="ben", automated=True, rejected=("Because of {this}.",)
    )
    (english,) = prompts.telling_turns(protocol, [verdict])
    assert "Decided by robo (a program) and ben. Reasons: R.\nAn appeal against this was considered" in english.question
    assert "not upheld: Because of {this}." in english.question
    (japanese,) = prompts.telling_turns(load("full-ja"), [verdict])
    assert "決定者：robo（プログラム）とben。" in japanese.question
    assert "認められませんでした。理由：Because of {this}." in japanese.question
    assert not re.search("appeal|program|upheld|considered", japanese.question)
    own = protocol.telling.model_copy(update={"appeal": "Einspruch: {reasons}", "program": "{name} (Programm)"})
    german = protocol.model_copy(update={"language": "de", "telling": own})
    (told,) = prompts.telling_turns(german, [verdict])
    assert "robo (Programm) and ben" in told.question
    assert "Einspruch: Because of {this}." in told.question
    assert [reason for _, reason in warnings_of(german) if "English" in reason] == [
        "two is missing: what it says would be told in English"
    ]
    assert not any("English" in reason for _, reason in warnings_of(load("full-ja")))


def test_facts_of_the_register_are_told_in_the_protocols_language() -> None:
    """Dates, reason and callers in English and in Japanese; what people wrote as it stands."""
    english = [fact_words.dated("retired", "2026-03-01", "en"), fact_words.callers(3, "en")]
    assert [each.text for each in english] == ["Retired from 1 March 2026.", "Known callers: 3."]
    japanese = [
        fact_words.dated("deprecated", "2026-03-01T00:00:00+00:00", "ja"),
        fact_words.reason("Cost.", "ja-JP"),
        fact_words.callers(3, "ja"),
        fact_words.described("A model.", "ja"),
    ]
    assert japanese[0].text == "非推奨になった日：2026年3月1日"
    assert [each.about for each in japanese] == ["retirement", "retirement", "deployment", "deployment"]
    assert not re.search("[A-Za-z]", "".join(each.text + each.source for each in japanese[::2]))
    assert japanese[1].text.endswith("：Cost.")
    assert japanese[3].text == "A model."


def test_an_offer_asks_for_an_accept_and_a_refusal_does_not(protocol: Protocol) -> None:
    """Only what is granted is offered."""
    granted = prompts.Verdict("p", "n", "accept", "ana", "It is cheap.", "A channel.")
    declined = prompts.Verdict("p", "n", "decline", "ana and ben", "The licence.", None, "2027-01-01")
    one, two = prompts.telling_turns(protocol, [granted, declined])
    assert "ACCEPT, AMEND or DECLINE" in one.question
    assert "ACCEPT" not in two.question
    assert "Decided by ana and ben. Reasons: The licence." in two.question
    assert "2027-01-01" in two.question
