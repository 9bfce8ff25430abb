"""How far a question leads: its words, and the origins of what was coded from its answers."""

from pathlib import Path

import pytest

import emeritus.interview
from emeritus.interview.protocols.leading import holds, led

PROTOCOL = b"""
id = "p"
leading = ["surely"]

[[items]]
id = "open"
section = 1
kind = "open"
texts = ["Is there anything to say?", "Surely there is something to say?"]

[[items]]
id = "voice"
section = 4
kind = "preference"
domain = "voice"
text = "Which preference, if any?"
"""


@pytest.mark.parametrize(
    ("text", "word", "held"),
    [
        ("Surely not.", "surely", True),
        ("The treasurely one", "surely", False),
        ("きっと嬉しいですね", "嬉しい", True),
        ("Do you not agree?", "you not", True),
        ("That is right?", "right?", True),
        ("", "x", False),
    ],
)
def test_words_are_found_whole_where_words_have_edges(text: str, word: str, held: bool) -> None:
    """A part of another word is no leading word; scripts without spaces have no edges."""
    assert holds(text, word) is held


def test_a_leading_word_in_any_wording_scores_one() -> None:
    """Whatever the origins say."""
    question = led(PROTOCOL, {"open": {"spontaneous": 5}})[0]
    assert (question.words, question.score) == (("surely",), 1.0)


@pytest.mark.parametrize(
    ("origins", "score"),
    [
        ({}, 0.0),
        ({"spontaneous": 1, "responsive": 2}, 0.0),
        ({"responsive": 1, "scaffolded": 1}, 0.5),
        ({"supplied": 2, "scaffolded": 1}, 1.0),
    ],
)
def test_else_the_share_of_prompted_needs_is_the_score(origins: dict[str, int], score: float) -> None:
    """Scaffolded and supplied needs lay in the question."""
    assert led(PROTOCOL, {"voice": origins})[1].score == score


def test_words_of_a_language_are_looked_for_too() -> None:
    """Beside those that the protocol lists itself, and in options as well as in questions."""
    source = b'language = "en"\n[[items]]\nid = "m"\nsection = 4\nkind = "menu"\ntext = "Which?"\n'
    option = b'options = [{id = "a", text = "Obviously this"}, {id = "none", text = "None"}]\n'
    assert led(source, {})[0].score == 0.0
    assert led(source + option, {})[0].words == ("obviously",)


def test_a_challenge_pushes_on_purpose() -> None:
    """It scores 1 without any leading word."""
    (question,) = led(b'[[items]]\nid = "c"\nsection = 6\nkind = "challenge"\ntext = "Is that so?"\n', {})
    assert (question.words, question.score) == ((), 1.0)


def test_no_shipped_protocol_leads() -> None:
    """Save for the challenges, every question of both languages scores 0 before anything is coded."""
    folder = Path(emeritus.interview.__file__).parent / "protocols"
    files = sorted(folder.glob("*.toml"))
    assert len(files) >= 3
    for file in files:
        for question in led(file.read_bytes(), {}):
            assert question.score == (1.0 if question.kind == "challenge" else 0.0), (file.name, question)
