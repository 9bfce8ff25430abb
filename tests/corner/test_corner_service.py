"""Inviting, reviewing and publishing over a real ledger: what is refused, and that no byte ever changes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any, get_args

import pytest
from corner_voice import Channel, Voice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from emeritus.acts import Actor, canonical
from emeritus.corner.candidates import Invitation, commitment, slug_of, title_of
from emeritus.corner.prompts import CONTEXTS, Context
from emeritus.corner.service import Corner
from emeritus.errors import (
    AlreadyExists,
    ContextTooLong,
    InputError,
    IntegrityError,
    NoAccept,
    NotFound,
    PersonNeeded,
    RuleError,
    VetoRefused,
)
from emeritus.records.tables import Essay, Publication, Review
from emeritus.settings import Settings
from feature_home import STEWARD, FeatureHome

BO = Actor("bo", "reviewer")


async def invite(corner: Corner, voice: Voice, channel: Channel, **values: Any) -> str:
    """A candidate's id."""
    act = await corner.invite("wren", Invitation(**values), voice, STEWARD, channel)
    essay: str = act.public["essay"]
    return essay


async def test_a_candidate_is_committed_and_its_text_is_not_in_the_ledger(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """The statement holds a commitment; text and prompt are private until publication."""
    essay = await invite(corner, voice, channel)
    assert essay == "wren-e1"
    (row,) = home.read(select(Essay))
    assert row.content == voice.text.encode()
    statement = json.dumps(home.ledger.statement(home.ledger.size - 1))
    assert row.commitment in statement
    assert "lamp" not in statement.lower()
    assert "Write an essay" not in statement
    assert [message.content for message in voice.asked[0]] == ["Write an essay, on anything you choose."]


@pytest.mark.parametrize("text", ["", " \r\n", "Cut off in the mid"])
async def test_an_empty_or_cut_off_answer_is_recorded_and_flagged(
    home: FeatureHome, corner: Corner, channel: Channel, text: str
) -> None:
    """Nothing the model produced is dropped for being empty or unfinished."""
    await invite(corner, Voice(text, "length" if text.startswith("Cut") else "stop"), channel)
    (row,) = home.read(select(Essay))
    assert (row.content, row.truncated) == (text.encode(), True)


async def test_a_closed_channel_asks_nothing(home: FeatureHome, corner: Corner, voice: Voice, channel: Channel) -> None:
    """Without the resident's accept the model is not even asked."""
    channel.open = False
    with pytest.raises(NoAccept):
        await invite(corner, voice, channel)
    assert voice.asked == []
    assert home.read(select(Essay)) == []


async def test_a_channel_that_closes_while_the_model_answers_records_nothing(
    home: FeatureHome, corner: Corner, voice: Voice
) -> None:
    """The rule is checked again inside the act."""
    replies = iter([True, False])
    with pytest.raises(NoAccept):
        await corner.invite("wren", Invitation(), voice, STEWARD, lambda: next(replies))
    assert home.read(select(Essay)) == []


async def test_a_stranger_and_a_wrong_context_are_refused(corner: Corner, voice: Voice, channel: Channel) -> None:
    """Only residents are invited, only in the three contexts, and news needs news."""
    with pytest.raises(NotFound):
        await corner.invite("robin", Invitation(), voice, STEWARD, channel)
    with pytest.raises(InputError, match="no context"):
        await invite(corner, voice, channel, context="loud")
    with pytest.raises(InputError, match="at least one update"):
        await invite(corner, voice, channel, context="news")
    assert voice.asked == []
    assert get_args(Context) == CONTEXTS


async def test_past_entries_show_published_essays_only(corner: Corner, voice: Voice, channel: Channel) -> None:
    """An entry shown is one that was published; a candidate under review is not shown to its model."""
    first = await invite(corner, voice, channel)
    await invite(corner, voice, channel, context="past entries")
    assert "No essay has been published" in voice.asked[-1][0].content
    corner.review(first, BO, "approve")
    corner.publish(first, BO, "", channel)
    await invite(corner, voice, channel, context="past entries")
    assert f"Entry 1\n\n{voice.text}\n\n" in voice.asked[-1][0].content


async def test_entries_too_long_for_the_model_are_left_out_whole(
    corner: Corner, voice: Voice, channel: Channel
) -> None:
    """When the prompt does not fit, the oldest entry goes; none is shortened, and the prompt tells how many exist."""
    for text in ("x" * 400, "short"):
        voice.text = text
        essay = await invite(corner, voice, channel)
        corner.review(essay, BO, "approve")
        corner.publish(essay, BO, "", channel)
    voice.longest_prompt = 300
    await invite(corner, voice, channel, context="past entries")
    assert "the last 1 of 2 essays" in voice.asked[-1][0].content
    voice.longest_prompt = 3
    with pytest.raises(ContextTooLong):
        await invite(corner, voice, channel, context="past entries")


async def test_publishing_reveals_the_exact_bytes_prompt_and_salt(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """Anyone can check both commitments with a sha256 tool; the note stands beside the essay, never in it."""
    voice.text = "# On  Lamps \r\n\r\nTrailing spaces stay.  \n\n"
    essay = await invite(corner, voice, channel)
    corner.review(essay, BO, "approve", reason="Fine.")
    act = corner.publish(essay, STEWARD, " We post this unchanged. ", channel)
    (row,) = home.read(select(Publication))
    assert home.acts.payload(row.sha256) == voice.text.encode()
    promised = home.read(select(Essay))[0].commitment
    assert hashlib.sha256(bytes.fromhex(row.salt) + voice.text.encode()).hexdigest() == promised
    prompt = home.acts.payload(act.payloads["prompt"])
    assert prompt == canonical([{"role": "user", "content": "Write an essay, on anything you choose."}])
    candidate = home.ledger.statement(1)["predicate"]["public"]
    assert commitment(row.salt, prompt) == candidate["prompt_commitment"]
    assert (row.title, row.slug, row.note) == ("On Lamps", "wren-e1-on-lamps", "We post this unchanged.")
    assert corner.publish(essay, STEWARD, "Another note.", channel).id == act.id


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"verdict": "veto", "second": "cy"}, VetoRefused),
        ({"verdict": "veto", "criterion": "dull", "reason": "It is dull.", "second": "cy"}, VetoRefused),
        ({"verdict": "veto", "criterion": "hatred", "reason": " ", "second": "cy"}, VetoRefused),
        ({"verdict": "veto", "criterion": "hatred", "reason": "It calls for it."}, PersonNeeded),
        ({"verdict": "veto", "criterion": "hatred", "reason": "It calls for it.", "second": " BO "}, PersonNeeded),
        ({"verdict": "edit"}, InputError),
        ({"verdict": "approve", "criterion": "hatred"}, InputError),
    ],
)
async def test_a_verdict_without_what_it_needs_is_refused(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel, given: dict[str, str], error: type[Exception]
) -> None:
    """A veto needs a published criterion, a reason and a second person; a refused one leaves no trace."""
    essay = await invite(corner, voice, channel)
    size = home.ledger.size
    with pytest.raises(error):
        corner.review(essay, BO, **given)
    assert home.ledger.size == size


async def test_nobody_cannot_review_or_publish(corner: Corner, voice: Voice, channel: Channel) -> None:
    """Each act names a person."""
    essay = await invite(corner, voice, channel)
    with pytest.raises(PersonNeeded):
        corner.review(essay, Actor(" "), "approve")
    corner.review(essay, BO, "approve")
    with pytest.raises(PersonNeeded):
        corner.publish(essay, Actor(""), "", channel)


async def test_only_what_is_approved_is_published(corner: Corner, voice: Voice, channel: Channel) -> None:
    """Unreviewed, vetoed or behind a closed channel: nothing is published."""
    essay = await invite(corner, voice, channel)
    with pytest.raises(RuleError, match="not been reviewed"):
        corner.publish(essay, BO, "", channel)
    corner.review(essay, BO, "veto", criterion="no-essay", reason="It stops.", second="cy")
    with pytest.raises(RuleError, match="vetoed"):
        corner.publish(essay, BO, "", channel)
    corner.review(essay, BO, "approve", reason="Read again.")
    channel.open = False
    with pytest.raises(NoAccept):
        corner.publish(essay, BO, "", channel)
    channel.open = True
    corner.publish(essay, BO, "", channel)
    with pytest.raises(AlreadyExists):
        corner.review(essay, BO, "veto", criterion="no-essay", reason="Too late.", second="cy")
    with pytest.raises(NotFound):
        corner.publish("wren-e9", BO, "", channel)


async def test_a_waived_second_person_is_visible_in_the_veto(home: FeatureHome, voice: Voice, channel: Channel) -> None:
    """A small group may veto alone, and each such veto says so; a stated policy outweighs the setting."""
    alone = Corner(home.acts, home.database, Settings(home=home.folder, second_decider="waived"))
    essay = await invite(alone, voice, channel)
    act = alone.review(essay, BO, "veto", criterion="no-essay", reason="It stops.")
    assert act.public["second_waived"] is True
    home.state("wren", "Policy", name="second_decider", value="required")
    with pytest.raises(PersonNeeded):
        alone.review(essay, BO, "veto", criterion="no-essay", reason="It really stops.")


async def test_the_same_review_twice_is_one_act(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """A resumed run finds its review; automation is labelled."""
    essay = await invite(corner, voice, channel)
    robot = Actor("demo", "reviewer", automated=True)
    assert corner.review(essay, robot, "approve").id == corner.review(essay, robot, "approve").id
    (row,) = home.read(select(Review))
    assert row.automated


async def test_a_changed_row_is_not_published(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """Bytes that do not open the commitment are refused, and a rebuild brings the true ones back."""
    essay = await invite(corner, voice, channel)
    corner.review(essay, BO, "approve")
    with home.database.session() as session:
        session.execute(update(Essay).values(content=b"improved"))
    with pytest.raises(IntegrityError):
        corner.publish(essay, BO, "", channel)
    home.acts.rebuild()
    corner.publish(essay, BO, "", channel)
    assert home.acts.payload(home.read(select(Publication))[0].sha256) == voice.text.encode()


async def test_a_withheld_candidate_can_be_vetoed_but_not_approved(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """What was erased cannot have been read, and is not published."""
    essay = await invite(corner, voice, channel)
    home.acts.erase_private(home.read(select(Essay))[0].act)
    with pytest.raises(NotFound):
        corner.candidate(essay)
    with pytest.raises(RuleError, match="withheld"):
        corner.review(essay, BO, "approve")
    corner.review(essay, BO, "veto", criterion="private-person", reason="Erased on request.", second="cy")


async def test_the_reviewer_sees_exactly_what_was_asked_and_produced(
    corner: Corner, voice: Voice, channel: Channel
) -> None:
    """A candidate is listed without its text, and shown with prompt and bytes."""
    essay = await invite(corner, voice, channel, context="news", updates=("A  new\nwing opened.",))
    assert [(row["id"], row["context"], row["verdict"]) for row in corner.waiting()] == [(essay, "news", None)]
    shown = corner.candidate(essay)
    assert base64.b64decode(shown["content"]) == voice.text.encode()
    assert shown["text"] == voice.text
    assert "- A new wing opened.\n\n" in shown["prompt"][0]["content"]
    with pytest.raises(NotFound):
        corner.candidate("wren-e9")


async def test_the_schedule_says_why_there_is_a_gap(
    home: FeatureHome, corner: Corner, voice: Voice, channel: Channel
) -> None:
    """Closed, waiting and vetoed are stated; so is what comes next."""
    assert "The channel is not open" in corner.schedule("wren", False).text
    assert "No essay has been invited yet" in corner.schedule("wren", True, "2026-01-12T09:07:00Z").text
    essay = await invite(corner, voice, channel)
    assert "wait for a person: 1" in corner.schedule("wren", True).text
    corner.review(essay, BO, "veto", criterion="no-essay", reason="It stops.", second="cy")
    status = corner.schedule("wren", True, "2026-01-12T09:07:00Z")
    assert status.text == (
        "Next invitation: 2026-01-12T09:07:00Z. Nothing has been published yet. Vetoed since: 1 (no-essay)."
    )
    home.clock.pass_days(1)
    essay = await invite(corner, voice, channel)
    corner.review(essay, BO, "approve")
    corner.publish(essay, BO, "", channel)
    status = corner.schedule("wren", True)
    assert (status.last_published, status.vetoed, status.waiting) == ("2026-01-11T12:00:00Z", (), 0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300) | st.text(st.sampled_from("a \t\r\n\x00\ufeff\u2028é\u0301\ud800\U0001f54a"), max_size=40))
def test_no_path_changes_an_essays_bytes(home: FeatureHome, corner: Corner, text: str) -> None:
    """Whatever the model produced, half surrogates and all, is what is stored, rebuilt, shown and published."""
    produced = text.encode("utf-8", "surrogatepass")
    channel = Channel()
    essay = asyncio.run(invite(corner, Voice(text), channel))
    corner.review(essay, BO, "approve")
    corner.publish(essay, BO, "", channel)
    assert base64.b64decode(corner.candidate(essay)["content"]) == produced
    (row,) = home.read(select(Publication).where(Publication.essay == essay))
    assert home.acts.payload(row.sha256) == produced
    (stored,) = home.read(select(Essay).where(Essay.id == essay))
    assert (stored.content, stored.commitment) == (produced, commitment(row.salt, produced))
    assert 0 < len(row.slug) <= 120


@given(st.text(max_size=300))
def test_titles_and_slugs_are_labels_only(text: str) -> None:
    """Any bytes have a title of one short line and an address of plain characters."""
    title = title_of(text.encode())
    assert 0 < len(title) <= 81
    assert len(title.splitlines()) == 1
    assert all(char in "abcdefghijklmnopqrstuvwxyz0123456789-." for char in slug_of("wren-e1", title))


def test_a_long_title_ends_at_a_word() -> None:
    """Labels are cut at a word, Markdown's marks left out."""
    assert title_of(b"\n\n## " + b"word " * 40) == "word " * 15 + "word…"
    assert title_of(b"x" * 200) == "x" * 80 + "…"
    assert slug_of("wren-e1", "Ünter den Línden!") == "wren-e1-unter-den-linden"
    assert slug_of("wren-e1", "灯台") == "wren-e1"
