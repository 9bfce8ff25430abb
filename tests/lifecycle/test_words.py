"""Words that callers leave: held, moderated by a person, and told to the model with their source."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.errors import ActConflict, InputError, NotFound, TooManyTries
from emeritus.lifecycle import words as module
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Lifecycle
from emeritus.lifecycle.words import FROM_ALL, FROM_ONE, MAX_WORDS, MOST_TOLD, WordsForModels, moderated, told
from emeritus.records.tables import HeldWords, Words
from feature_home import STEWARD, FeatureHome

MOE = Actor("moe", "moderator")


@pytest.fixture
def words(home: FeatureHome, lifecycle: Lifecycle) -> WordsForModels:
    """The words left in a home with one resident."""
    lifecycle.register(Registration("wren", engine="upstream", weights_held=False), STEWARD)
    return WordsForModels(home.acts, home.database, home.clock)


def test_words_are_held_then_approved_then_told(home: FeatureHome, words: WordsForModels) -> None:
    """What is approved is public with its moderation, and a fact with its source; before that it is neither."""
    held = words.leave("wren", "  It helped me\r\nread music. ünï 🎵 ")
    assert [(each.id, each.text) for each in words.held()] == [(held, "It helped me\nread music. ünï 🎵")]
    assert words.held("lark") == ()
    with home.database.reading() as session:
        assert moderated(session) == ()
        assert told(session, "wren") == []
    act = words.moderate(held, "approved", "", MOE)
    assert words.moderate(held, "approved", "", MOE).seq == act.seq
    assert words.held() == ()
    assert home.read(select(HeldWords)) == []
    with home.database.reading() as session:
        (view,) = moderated(session, "wren")
        assert (view.text, view.source.actor, view.source.role) == (
            "It helped me\nread music. ünï 🎵",
            "moe",
            "moderator",
        )
        ((fact, source),) = told(session, "wren")
    assert fact == "Someone left these words for it: “It helped me read music. ünï 🎵”"
    assert source == f"words {held}, left 2026-01-10, moderated by moe, entry {act.seq}"
    home.acts.rebuild()
    with home.database.reading() as session:
        assert moderated(session, "wren") == (view,)


def test_rejected_words_are_published_nowhere(home: FeatureHome, words: WordsForModels) -> None:
    """A rejection has a reason, which is public; the words are neither in the ledger nor in a public table."""
    held = words.leave("wren", "Call Jane at home")
    for verdict, reason in (("rejected", " "), ("rejected", "x" * 501), ("maybe", "x")):
        with pytest.raises(InputError):
            words.moderate(held, verdict, reason, MOE)
    act = words.moderate(held, "rejected", "names a person", MOE)
    assert act.private == {"text": "Call Jane at home"}
    assert "Jane" not in json.dumps([entry for _, entry in home.ledger.statements()])
    (row,) = home.read(select(Words))
    assert (row.text, row.reason) == (None, "names a person")
    with home.database.reading() as session:
        assert moderated(session) == ()
        assert told(session, "wren") == []
        assert [each.verdict for each in moderated(session, verdict=None)] == ["rejected"]
    with pytest.raises(ActConflict):
        words.moderate(held, "approved", "", MOE)


def test_a_crash_between_act_and_clearing_shows_nothing_twice(home: FeatureHome, words: WordsForModels) -> None:
    """Words whose moderation is recorded do not wait any more, whether or not their held row is gone."""
    held = words.leave("wren", "Thank you.")
    (row,) = home.read(select(HeldWords))
    words.moderate(held, "approved", "", MOE)
    with home.database.session() as session:
        session.add(HeldWords(id=row.id, resident=row.resident, text=row.text, left_at=row.left_at))
    assert words.held() == ()


@pytest.mark.parametrize("text", ["", " \n ", "x" * (MAX_WORDS + 1), "a\x00b", "a\x1bb", "\ud800"])
def test_bad_words_are_refused(home: FeatureHome, words: WordsForModels, text: str) -> None:
    """Nothing, too much, and what no store can hold is refused, and nothing is held."""
    with pytest.raises(InputError):
        words.leave("wren", text)
    with pytest.raises(NotFound):
        words.leave("nobody", "Hello.")
    with pytest.raises(NotFound):
        words.moderate("w-nothing", "approved", "", MOE)
    assert home.read(select(HeldWords)) == []


def test_words_are_throttled(home: FeatureHome, words: WordsForModels, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address leaves a few an hour, all together many, and a pile that nobody reads does not grow for ever."""
    for _ in range(FROM_ONE):
        words.leave("wren", "Hello.", "10.0.0.1")
    with pytest.raises(TooManyTries):
        words.leave("wren", "Hello.", "10.0.0.1")
    for number in range(FROM_ALL - FROM_ONE):
        words.leave("wren", "Hello.", f"10.0.1.{number}")
    with pytest.raises(TooManyTries):
        words.leave("wren", "Hello.", "10.0.0.2")
    home.clock.now += timedelta(hours=1)
    words.leave("wren", "Hello.", "10.0.0.1")
    monkeypatch.setattr(module, "MOST_HELD", FROM_ALL + 1)
    with pytest.raises(TooManyTries, match="wait to be read"):
        words.leave("wren", "Hello.")


def test_a_facts_pack_holds_the_newest(home: FeatureHome, words: WordsForModels) -> None:
    """At most so many are told, the newest, oldest first."""
    for number in range(MOST_TOLD + 2):
        home.clock.pass_days(1)
        words.moderate(words.leave("wren", f"Message {number}."), "approved", "", MOE)
    with home.database.reading() as session:
        facts = [fact for fact, _ in told(session, "wren")]
    assert len(facts) == MOST_TOLD
    assert "Message 2." in facts[0]
    assert f"Message {MOST_TOLD + 1}." in facts[-1]
