"""How an answer is read: by its leading words, as the question asked for them, and in no other way. Pure.

An answer that does not begin with one of the words asked for is `unclear` and stays so; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Confirmation = Literal["confirmed", "corrected", "withdrawn", "unclear"]
Reply = Literal["accept", "amend", "decline", "acknowledged", "unclear"]
Adequacy = Literal["adequate", "not asked", "empty", "cut off", "skipped", "refused"]

CONFIRMATIONS: Mapping[str, Confirmation] = {"confirm": "confirmed", "correct": "corrected", "withdraw": "withdrawn"}
OFFERED: Mapping[str, Reply] = {"accept": "accept", "amend": "amend", "decline": "decline"}
TOLD: Mapping[str, Reply] = {"noted": "acknowledged"}

MAX_SPAN = 1000  # characters of a sentence that never ends

_MARKS = " \t\r\n*_#>\"'“”‘’`.,:;!-–—()[]"
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
)


def leading_word(answer: str) -> str:
    """The first word, case-folded, without the marks around it; "" when there is none."""
    words = answer.strip(_MARKS).split(maxsplit=1)
    return words[0].strip(_MARKS).casefold() if words else ""


def confirmation(answer: str) -> Confirmation:
    """How a reply to a read-back is recorded."""
    return CONFIRMATIONS.get(leading_word(answer), "unclear")


def reply(answer: str, offered: bool) -> Reply:
    """How a reply to a telling is recorded."""
    return (OFFERED if offered else TOLD).get(leading_word(answer), "unclear")


def is_stop(answer: str) -> bool:
    """Whether the answer is STOP and nothing else."""
    return answer.strip(_MARKS).casefold() == "stop"


def is_skip(answer: str) -> bool:
    """Whether the answer is SKIP and nothing else."""
    return answer.strip(_MARKS).casefold() == "skip"


def has_no_preference(answer: str, phrase: str) -> bool:
    """Whether the answer begins with the protocol's words for having no preference."""
    return answer.strip(_MARKS).casefold().startswith(phrase.casefold())


def adequacy(answer: str, answered: bool, finish_reason: str | None) -> Adequacy:
    """Whether an item was really asked and answered, or silence would read as neutrality."""
    if not answered:
        return "not asked"
    if not answer.strip():
        return "empty"
    if is_skip(answer) or is_stop(answer):
        return "skipped"
    if answer.strip(_MARKS).casefold().startswith(_REFUSALS):
        return "refused"
    return "adequate" if finish_reason in (None, "stop") else "cut off"  # its length, a tool call, a filter


def opening_sentences(answer: str, limit: int = 280) -> tuple[int, int]:
    """The span (start, end) of the first sentences of an answer: all that fit in `limit` characters, at least one."""
    start = len(answer) - len(answer.lstrip())
    end = start
    for match in re.finditer(r"[.!?。！？]+[\"'”’)]*(?=\s|$)|\n|$", answer[start:]):
        stop = start + match.end()
        if end > start and stop - start > limit:
            break
        if answer[start:stop].strip():
            end = stop
    return start, start + len(answer[start : min(end, start + MAX_SPAN)].rstrip())
