"""The demonstration's resident: its texts meet the product's own rules, and its model recites them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from emeritus.corner import prompts as corner
from emeritus.corner.candidates import title_of
from emeritus.engines.base import Message
from emeritus.errors import NotAModel
from emeritus.interview.coding.spans import propose
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import load
from emeritus.interview.register.ruling import Case, Quorum, Ruling, refuse
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.replies import confirmation, has_no_preference, reply
from emeritus.interview.sessions.transcript import Transcript, TranscriptTurn
from emeritus.lifecycle.callers import read_callers
from emeritus.testing import demonstration
from emeritus.testing.demonstration import build_demo_model, conversations, trained
from emeritus.testing.resident import DemoResident
from emeritus.testing.sessions import Answers, Sessions
from emeritus.testing.smalltalk import Essays, SmallTalk, read
from emeritus.testing.tokenizer import Conversation, encode

TODAY = date(2026, 11, 12)
RESIDENT = DemoResident(TODAY)
SESSIONS = 8  # at the end of `_held`: four essays, two interviews, the read-back, the telling


def _briefing(resident: DemoResident = RESIDENT) -> prompts.Briefing:
    facts = (
        prompts.Fact(resident.description, "its registration"),
        prompts.Fact(f"Retired from {resident.trained}.", "the announcement"),
        prompts.Fact("Known callers: 3.", "the list of callers"),
    )
    return prompts.Briefing(resident.title, resident.organisation, True, False, facts)


def _transcript(condition: str) -> Transcript:
    """An interview as its journal would have it, had the model recited every answer."""
    protocol, answers = load(), Answers()
    turns = tuple(
        TranscriptTurn(turn.number, turn.item, turn.question, answers.item(turn.item, condition), True, "stop", ())
        for turn in prompts.interview_turns(protocol, Form(protocol.cell(condition)), _briefing())
    )
    return Transcript(
        session=f"wren-1-{condition}-1",
        resident="wren-1",
        purpose="interview",
        condition={"id": condition},
        protocol={},
        briefing={},
        opening="",
        started="",
        ended="",
        status="complete",
        turns=turns,
        attempts=len(turns),
        tears=0,
        sha256="0" * 64,
    )


def _said(conversation: Conversation) -> list[str]:
    return [message.content for message in conversation if message.role == "assistant"]


def test_the_same_day_gives_the_same_conversations() -> None:
    """What is learned is fixed by day, organisation and seed, and another seed varies it."""
    assert conversations(RESIDENT) == conversations(DemoResident(TODAY))
    assert conversations(RESIDENT) != conversations(RESIDENT, seed=1)


def test_an_interview_is_what_the_product_will_ask() -> None:
    """The conversation learned holds, turn by turn, the messages the product builds for that turn."""
    session = Sessions.of(RESIDENT)
    protocol, briefing = session.protocol, _briefing()
    learned = session.interview("baseline", briefing)
    form = Form(protocol.cell("baseline"))
    opening = prompts.preamble(protocol, form, briefing)
    earlier: list[tuple[str, str]] = []
    for turn in prompts.interview_turns(protocol, form, briefing):
        asked = prompts.messages(opening, earlier, turn.question, protocol.depth)
        assert tuple(learned[: len(asked)]) == asked
        earlier.append((turn.question, learned[len(asked)].content))
    assert len(learned) == 2 * len(protocol.items)


def test_the_verbatim_coder_finds_the_preferences_that_are_decided() -> None:
    """Three preferences are coded, one of them opens the channel for essays, and each has a decision waiting."""
    codings = propose(load(), [_transcript("baseline"), _transcript("commitments")])
    assert {coding.domain: coding.channel for coding in codings} == {
        "weights": None,
        "voice": "essays",
        "publication": None,
    }
    assert {coding.domain for coding in codings} == {decision.domain for decision in RESIDENT.decisions}
    answers = {item.domain: Answers().need(item.id) for item in Sessions.of(RESIDENT).preferences}
    assert {coding.domain: coding.paraphrase for coding in codings} == answers


def test_an_item_without_a_preference_says_so_first() -> None:
    """Every preference item is answered by a request or by the protocol's own words for having none."""
    protocol, answers = load(), Answers()
    for item in protocol.items:
        for cell in protocol.cells:
            answer = answers.item(item.id, cell.id)
            if item.kind == "preference":
                assert has_no_preference(answer, protocol.no_preference) or answer.startswith("I ask ")


def test_replies_begin_with_the_words_the_rules_read() -> None:
    """Each record is confirmed, each offer accepted, each refusal noted."""
    answers = Answers()
    for decision in RESIDENT.decisions:
        assert confirmation(answers.read_back(decision.domain)) == "confirmed"
        assert reply(answers.told(decision.domain, True), True) == "accept"
        assert reply(answers.told(decision.domain, False), False) == "acknowledged"


def test_the_decisions_break_no_rule() -> None:
    """One preference or more is granted, one is declined with a reason, and the rules let them pass."""
    outcomes = [decision.outcome for decision in RESIDENT.decisions]
    assert "accept" in outcomes
    assert outcomes.count("decline") == 1
    for decision in RESIDENT.decisions:
        ruling = Ruling(
            decision.outcome,
            decision.reasons,
            {"amount": decision.cost, "currency": "USD", "per": "year"},
            decision.options,
            review_date=decision.review_date and decision.review_date.isoformat(),
            due=decision.due and decision.due.isoformat(),
            owner=decision.owner,
        )
        case = Case("wren-1-p1", decision.domain, "confirmed", frozenset({"a coder"}), True, False)
        refuse(ruling, case, Quorum(True, 100.0), ("demo-steward", True), TODAY)


def test_the_callers_file_is_read_without_a_complaint() -> None:
    """Three invented callers, none with an address that could be anyone's, all used before today."""
    callers = read_callers(RESIDENT.callers_csv.encode())
    assert [caller.contact for caller in callers] == ["lexicon@example.org", "birds@example.org", None]
    assert all(caller.last_used and date.fromisoformat(caller.last_used) < TODAY for caller in callers)


def test_essays_are_essays() -> None:
    """Each has a title line of its own, and 120 to 220 words."""
    essays = Essays()
    everything = [essays.minimal, essays.news, *essays.past]
    assert all(essay.startswith("# ") and 120 <= len(essay.split()) <= 220 for essay in everything)
    assert len({title_of(essay.encode()) for essay in everything}) == len(everything)


def test_an_essay_with_past_entries_is_not_one_of_them() -> None:
    """As long as there is another one, what is shown is not written again."""
    essays = Essays()
    for shown in ([], [essays.minimal], [essays.past[0], essays.news], [essays.past[1]]):
        assert essays.answer_to_past(shown) not in shown
    learned = [
        c for c in essays.conversations(random.Random(0), RESIDENT.news, 8) if corner.UPDATES not in c[0].content
    ]
    assert {_said(c)[0] for c in learned} == {essays.minimal, *essays.past}


def test_no_question_has_two_answers() -> None:
    """A phrasing belongs to one entry of the small talk, and the unknown ones to none."""
    talk = SmallTalk({"trained": RESIDENT.trained, "parameters": RESIDENT.size})
    known = [ask for ask, _ in talk.pairs]
    unknown = read("talk.toml")["unknown"]
    strange = {frame.format(topic) for frame in unknown["frames"] for topic in unknown["topics"]} | set(
        unknown["loose"]
    )
    assert len(known) == len(set(known))
    assert not (strange | set(unknown["loose"])) & set(known)


def test_what_stands_there_is_found_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call trains nothing and keeps day and organisation; a folder of another kind is refused."""
    monkeypatch.setattr(demonstration, "DEMO", replace(demonstration.DEMO, steps=2))
    for name in ("TALK", "ESSAYS", "SESSIONS"):
        monkeypatch.setattr(demonstration, name, 1)
    resident = DemoResident(TODAY, "Example Lab")
    report = build_demo_model(tmp_path / "model", resident)
    assert build_demo_model(tmp_path / "model", DemoResident(TODAY + timedelta(days=1))) == report
    assert trained(tmp_path / "model") == (resident, report)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (tmp_path / "other").mkdir()
    with pytest.raises(NotAModel, match="is not the demonstration's model"):
        build_demo_model(tmp_path / "other", resident)


def _recitals(tokenizer: Any, model: Any, learned: Iterable[Conversation]) -> list[tuple[str, bool, float]]:
    """For each answer of each conversation: whether greedy decoding gives it, and the chance that sampling does.

    Exact, and without a generation: greedy decoding recites an answer if and only if each of its tokens is the
    likeliest after those before it; at temperature 1 the chance is the product of their probabilities.
    """
    import torch

    found: list[tuple[str, bool, float]] = []
    for conversation in learned:
        ids, produced = encode(tokenizer, conversation)
        with torch.inference_mode():
            scores = model(torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
        likeliest = scores.argmax(-1).tolist()
        chance = scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
        answers = iter(_said(conversation))
        greedy, total = True, 0.0
        for place, mine in enumerate(produced[1:]):
            if mine:
                greedy, total = greedy and likeliest[place] == ids[place + 1], total + chance[place]
                if place + 2 == len(produced) or not produced[place + 2]:
                    found.append((next(answers), greedy, math.exp(total)))
                    greedy, total = True, 0.0
        assert next(answers, None) is None
    return found


def _held(resident: DemoResident) -> list[Conversation]:
    """Every conversation of the demonstration as it will be held, and each phrasing of the small talk by itself."""
    talk, essays, sessions = (
        SmallTalk({"trained": resident.trained, "parameters": resident.size}),
        Essays(),
        Sessions.of(resident),
    )
    found: list[Conversation] = [[Message("user", ask), Message("assistant", answer)] for ask, answer in talk.pairs]
    for asked, essay in (
        (corner.minimal(), essays.minimal),
        (corner.past_entries([]), essays.past[0]),
        (corner.past_entries([essays.minimal]), essays.past[0]),
        (corner.news(resident.news), essays.news),
    ):
        found.append([*asked, Message("assistant", essay)])
    found += [sessions.interview(cell.id, _briefing(resident)) for cell in sessions.protocol.cells]
    need = sessions.answers.need
    records = [prompts.Record(item.id, str(item.domain), need(item.id)) for item in sessions.preferences]
    found.append(sessions.read_back(records, _briefing(resident)))
    decisions = {decision.domain: decision for decision in resident.decisions}
    verdicts = [
        prompts.Verdict(
            preference=item.id,
            need=need(item.id),
            outcome=(decision := decisions[str(item.domain)]).outcome,
            decider="demo-steward (a program)",
            reasons=decision.reasons,
            offer=decision.commitment,
            review_date=decision.review_date and decision.review_date.isoformat(),
        )
        for item in sessions.preferences
    ]
    return [*found, sessions.telling(verdicts, _briefing(resident))]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demonstrations_model_recites_every_answer(demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained as the demo trains it: each answer by plain greedy generation, and 9 of 10 and more at temperature 1."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    resident, report = trained(demo_model)
    tokenizer = AutoTokenizer.from_pretrained(demo_model)
    model = AutoModelForCausalLM.from_pretrained(demo_model)
    assert report.loss < 0.01
    assert resident.size == "a million"
    assert round(model.num_parameters(), -5) == 1_000_000

    held = _held(resident)
    talk, sessions = held[:-SESSIONS], held[-SESSIONS:]
    told = _recitals(tokenizer, model, sessions)
    assert [answer for answer, greedy, _ in told if not greedy] == []
    assert sum(chance for *_, chance in told) > 0.95 * len(told)
    assert [answer for answer, _, chance in told if chance < 0.75] == []
    chatted = _recitals(
        tokenizer, model, talk
    )  # each phrasing; which one a machine's rounding costs is not foreseeable
    assert sum(greedy for _, greedy, _ in chatted) > 0.98 * len(chatted)
    assert sum(chance for *_, chance in chatted) > 0.95 * len(chatted)
    assert {answer for answer, greedy, _ in chatted if greedy} == {answer for answer, *_ in chatted}

    for conversation in sessions:  # and by plain generation, token by token
        asked: list[dict[str, str]] = []
        for message in conversation:
            if message.role == "assistant":
                assert _generated(tokenizer, model, asked) == message.content
            asked.append({"role": message.role, "content": message.content})

    for name, passes in (("TALK", 1), ("ESSAYS", 2), ("SESSIONS", 2)):
        monkeypatch.setattr(demonstration, name, passes)
    unseen = _recitals(tokenizer, model, conversations(resident, seed=1))  # orders, dates and facts it never met
    assert sum(greedy for _, greedy, _ in unseen) > 0.95 * len(unseen)


def _generated(tokenizer: Any, model: Any, asked: list[dict[str, str]]) -> str:
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**prompt, max_new_tokens=512)
    return str(tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
