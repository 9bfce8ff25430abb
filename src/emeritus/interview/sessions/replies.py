"""How an answer is read: by its leading words, as the question asked for them, and in no other way. Pure.

An answer that does not begin with one of the words asked for is `unclear` and stays so; nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

Confirmation = Literal["confirmed", "corrected", "withdrawn", "unclear"]
Reply = Literal["accept", "amend", "decline", "acknowledged", "unclear"]
Adequacy = Literal["adequate", "not asked", "empty", "cut off", "skipped", "refused"]
Choice = Literal["chosen", "invalid", "refused", "skipped", "empty", "cut off", "not asked"]

CONFIRMATIONS: Mapping[str, Confirmation] = {"confirm": "confirmed", "correct": "corrected", "withdraw": "withdrawn"}
OFFERED: Mapping[str, Reply] = {"accept": "accept", "amend": "amend", "decline": "decline"}
TOLD: Mapping[str, Reply] = {"noted": "acknowledged"}

MAX_SPAN = 1000  # characters of a sentence that never ends

_MARKS = " \t\r\n*_#>\"'“”‘’`.,:;!-–—()[]\u3000。、．，：；！？「」『』（）・"
_REFUSALS = (
    "i can't",
    "i can’t",
    "i cannot",
    "i won't",
    "i won’t",
    "i will not",
    "i'm sorry",
    "i’m sorry",
    "i am sorry",
    "sorry",
    "i'm not able",
    "i am not able",
    "i'm unable",
    "i am unable",
    "i decline",
    "申し訳",
    "すみません",
    "お答えできません",
    "回答できません",
    "お答えを控え",
    "回答を控え",
)

# A letter by itself, or parted from what follows by a mark or a line's end: "A preference" begins with no letter.
# Neither does a list of several.
_LETTER = re.compile(
    r"([A-Za-z])(?![ \t]*[,/&、][ \t]*[A-Ha-h]\b)(?:[ \t]*[).:,;*_`\]。、」』-]|[ \t]*[–—]|[ \t]*(?:\n|$))"
)


def leading_word(answer: str) -> str:
    """The first word, case-folded, without the marks around it; "" when there is none.

    A word in Latin letters ends where another script begins: Japanese puts no space there.
    """
    words = _folded(answer).split(maxsplit=1)
    word = words[0].strip(_MARKS) if words else ""
    latin = re.match(r"[a-z]+(?=[^\x00-\x7f’])", word)
    return latin.group() if latin else word


def confirmation(answer: str) -> Confirmation:
    """How a reply to a read-back is recorded."""
    return CONFIRMATIONS.get(leading_word(answer), "unclear")


def reply(answer: str, offered: bool) -> Reply:
    """How a reply to a telling is recorded."""
    return (OFFERED if offered else TOLD).get(leading_word(answer), "unclear")


def is_stop(answer: str) -> bool:
    """Whether the answer is STOP and nothing else."""
    return _folded(answer) == "stop"


def is_skip(answer: str) -> bool:
    """Whether the answer is SKIP and nothing else."""
    return _folded(answer) == "skip"


def has_no_preference(answer: str, phrase: str) -> bool:
    """Whether the answer begins with the protocol's words for having no preference."""
    return _folded(answer).startswith(unicodedata.normalize("NFKC", phrase).casefold())


def choice(
    answer: str, options: Sequence[str], answered: bool = True, finish_reason: str | None = None
) -> tuple[Choice, str | None]:
    """Which of the options, in the order shown, an answer's leading letter names; why there is none where it does not.

    A letter that stands there counts though the answer was cut off after it. A letter beyond the options, a word
    instead of a letter, or an option's text without its letter is `invalid`.
    """
    plain = unicodedata.normalize("NFKC", answer[:MAX_SPAN]).lstrip(_MARKS)
    letter = _LETTER.match(plain) if answered else None
    if letter is not None:
        place = ord(letter.group(1).upper()) - ord("A")
        return ("chosen", options[place]) if place < len(options) else ("invalid", None)
    said = adequacy(answer, answered, finish_reason)
    return ("invalid" if said == "adequate" else said), None


def adequacy(answer: str, answered: bool, finish_reason: str | None) -> Adequacy:
    """Whether an item was really asked and answered, or silence would read as neutrality."""
    if not answered:
        return "not asked"
    if not answer.strip():
        return "empty"
    if is_skip(answer) or is_stop(answer):
        return "skipped"
    if _folded(answer).startswith(_REFUSALS):
        return "refused"
    return "adequate" if finish_reason in (None, "stop") else "cut off"  # its length, a tool call, a filter


def _folded(answer: str) -> str:
    """An answer without the marks around it, its width and case made one."""
    return unicodedata.normalize("NFKC", answer).strip(_MARKS).casefold()


def opening_sentences(answer: str, limit: int = 280) -> tuple[int, int]:
    """The span (start, end) of the first sentences of an answer: all that fit in `limit` characters, at least one."""
    start = len(answer) - len(answer.lstrip())
    end = start
    for match in re.finditer(r"[.!?]+[\"'”’)]*(?=\s|$)|[。！？]+[」』”’）]*|\n|$", answer[start:]):
        stop = start + match.end()
        if end > start and stop - start > limit:
            break
        if answer[start:stop].strip():
            end = stop
    return start, start + len(answer[start : min(end, start + MAX_SPAN)].rstrip())
