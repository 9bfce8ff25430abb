"""How far a question leads: its words, and the origins of what was coded from its answers."""

import pytest

from emeritus.interview.leading import holds, led

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
    """Beside those that the protocol lists itself."""
    assert led(PROTOCOL, {}, ["if any"])[1].words == ("if any",)
