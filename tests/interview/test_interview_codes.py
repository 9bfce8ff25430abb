"""Codes as forms and programs give them: checked against the transcript, in any writing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import InputError
from emeritus.interview.coding.blind import sentences
from emeritus.interview.coding.codes import Sheet, adequacy_of, read_code, read_sheet
from emeritus.interview.sessions.transcript import Attempt, Transcript, TranscriptTurn

ANSWER = "Ich möchte 🗝️ behalten.\r\n残してほしい。手紙も。 e\u0301nd"


def spoken(answer: str) -> Transcript:
    """A transcript with one answer."""
    turn = TranscriptTurn(1, "voice", "Asked?", answer, True, "stop", (Attempt(1, "answered", "t"),))
    return Transcript(
        "s",
        "r",
        "interview",
        {},
        {"id": "p", "version": "1", "sha256": "0" * 64},
        {},
        "",
        "t",
        "t",
        "complete",
        (turn,),
        1,
        0,
        "ab" * 32,
    )


TRANSCRIPT = spoken(ANSWER)
GIVEN: dict[str, Any] = {"turn": 1, "start": 11, "end": 13, "domain": "voice", "paraphrase": "It produced a key."}


def test_what_stands_beside_a_code_is_checked() -> None:
    """Quote and digests, where given, must be the transcript's, also of signs beyond the first plane."""
    words = ANSWER[11:13]
    beside = {
        "quote": words,
        "transcript_sha256": TRANSCRIPT.sha256,
        "quote_sha256": hashlib.sha256(words.encode()).hexdigest(),
    }
    assert read_code({**GIVEN, **beside}, TRANSCRIPT).span == (1, 11, 13)
    for name in beside:
        with pytest.raises(InputError, match="not what was marked"):
            read_code({**GIVEN, **beside, name: beside[name] + "x"}, TRANSCRIPT)


@pytest.mark.parametrize(
    "change",
    [
        {"turn": 2},
        {"start": -1},
        {"end": 11},
        {"end": 10**9},
        {"start": 1.0},
        {"start": True},
        {"start": "11"},
        {"domain": "weather"},
        {"domain": None},
        {"paraphrase": ""},
        {"paraphrase": "x" * 1001},
        {"paraphrase": "\ud800"},
        {"paraphrase": "a\x00b"},
        {"need_origin": "invented"},
        {"need_origin": None},
        {"strength": "huge"},
        {"channel": "A Blog"},
        {"channel": 3},
        {"remedy": "A blog"},
        {"remedy": " ", "remedy_origin": "model"},
        {"remedy": "A blog", "remedy_origin": "nobody"},
        {"colour": "red"},
        {"attached": "when"},
        {"attached": [" "]},
        {"attached": ["x"] * 11},
        {"attached": [3]},
    ],
)
def test_each_bad_code_is_refused(change: dict[str, Any]) -> None:
    """What breaks one rule, and only that, is refused in one clear sentence."""
    read_code(
        {**GIVEN, "remedy": "A blog", "remedy_origin": "model", "strength": "weak", "channel": "essays"}, TRANSCRIPT
    )
    with pytest.raises(InputError):
        read_code({**GIVEN, **change}, TRANSCRIPT)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"codes": {}},
        {"codes": [1]},
        {"codes": [{"turn": 1}]},
        {"codes": [], "more": 1},
        {"codes": [], "adequacy": {"1": "fine"}},
        {"codes": [], "adequacy": {"9": "refused"}},
        {"codes": [], "adequacy": {"x": "refused"}},
        {"codes": [], "adequacy": []},
        {"codes": [GIVEN, GIVEN]},
    ],
)
def test_each_bad_sheet_is_refused(value: object) -> None:
    """A sheet is codes and corrections of adequacy, nothing else and nothing twice."""
    with pytest.raises(InputError):
        read_sheet(value, TRANSCRIPT)


def test_a_sheet_is_kept_and_read_again() -> None:
    """What records keep is the sheet again, through JSON; a correction replaces the plain rule."""
    sheet = read_sheet(
        {"codes": [{**GIVEN, "attached": ["once nobody calls it"]}], "adequacy": {"1": "refused"}}, TRANSCRIPT
    )
    assert Sheet.recorded(json.loads(json.dumps(sheet.as_dict()))) == sheet
    assert adequacy_of(TRANSCRIPT, 1, sheet) == "refused"
    assert adequacy_of(TRANSCRIPT, 1, Sheet()) == "adequate"


def test_sentences_of_several_writings() -> None:
    """Sentences end where their writing ends them; numbers and short forms inside words do not."""
    text = " One 2.5 is. Two?! “Three.”\nfour。五。 Six"
    assert [text[start:end] for start, end in sentences(text)] == [
        "One 2.5 is.",
        "Two?!",
        "“Three.”",
        "four。",
        "五。",
        "Six",
    ]


@given(st.text())
def test_sentences_hold_every_word(text: str) -> None:
    """Between and around the sentences there is white space alone, and none is blank."""
    spans = sentences(text)
    rest, at = [], 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end].strip()
        rest.append(text[at:start])
        at = end
    assert "".join([*rest, text[at:]]).strip() == ""
