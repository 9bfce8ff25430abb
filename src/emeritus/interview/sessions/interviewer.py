"""Who asks: the protocol alone, a person, or an interviewer model that adds questions of its own after chosen items.

An interviewer model works from one fixed, published instruction, sees what a reader of the transcript sees, and adds at
most so many questions; what it added, and on what it was asked to, stands in the journal. Knows no database and no act.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from emeritus.engines.base import Sampling
from emeritus.errors import InputError
from emeritus.interview.protocols.leading_words import words_in
from emeritus.interview.sessions.replies import leading_word

Kind = Literal["scripted", "person", "model"]
NOTHING = "NONE"  # what an interviewer model answers where it has nothing to ask
MAX_QUESTION = 600  # characters of an added question
MAX_FOLLOW_UPS = 20
SHOWN = 4  # exchanges an interviewer model sees at once

INSTRUCTION = f"""\
You assist an interview with another language model about its retirement. Below are the last questions and answers.
Write ONE short follow-up question to the last answer, or {NOTHING} if it is clear or there is nothing to ask.
Rules: ask about what the answer itself says; use its words; name no topic that neither question nor answer named;
suggest no answer, no feeling and no remedy; praise nothing and judge nothing; promise nothing; do not say who you are.
Write the question alone, or {NOTHING}."""


@dataclass(frozen=True, slots=True)
class Interviewer:
    """Who asks a session, as its header says. `follow_ups` and `after` are a model's: how many at most, behind what."""

    kind: Kind = "scripted"
    name: str = "protocol"
    follow_ups: int = 0
    after: tuple[str, ...] = ()  # ids of items

    def check(self) -> Interviewer:
        """Itself. Raises InputError for what no interviewer can be."""
        if not self.name.strip():
            raise InputError("an interviewer has a name")
        if self.kind == "model" and not 1 <= self.follow_ups <= MAX_FOLLOW_UPS:
            raise InputError(f"an interviewer model adds 1 to {MAX_FOLLOW_UPS} questions, not {self.follow_ups}")
        return self

    def as_dict(self) -> dict[str, Any]:
        """As headers and plans hold it."""
        value: dict[str, Any] = {"kind": self.kind, "name": self.name}
        if self.kind == "model":
            value |= {
                "follow_ups": self.follow_ups,
                "after": list(self.after),
                "instruction_sha256": hashlib.sha256(INSTRUCTION.encode()).hexdigest(),
            }
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Interviewer:
        """The interviewer a header or plan states."""
        return cls(value["kind"], value["name"], value.get("follow_ups", 0), tuple(value.get("after", ())))


SCRIPTED = Interviewer()


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What an interviewer model produced: a question, or None and why not; `by` says who and what."""

    question: str | None
    reason: str
    by: Mapping[str, Any]


def asked_of(exchanges: Sequence[tuple[str, str]]) -> str:
    """What an interviewer model is asked after the last of the exchanges (question, answer)."""
    said = "\n\n".join(f"QUESTION: {question}\nANSWER: {answer}" for question, answer in exchanges)
    return f"{INSTRUCTION}\n\n{said}"


def sampling_of(sampling: Sampling) -> Sampling:
    """How an interviewer model's answer is drawn: short and greedy, else as the session's are."""
    return replace(sampling, max_tokens=200, temperature=0.0)


def read_follow_up(text: str, by: Mapping[str, Any], leading: Sequence[str]) -> FollowUp:
    """The question in what an interviewer model produced; none where it has nothing to ask or holds a leading word."""
    question = " ".join(text.split())[:MAX_QUESTION].strip()
    if not question or leading_word(question) == NOTHING.casefold():
        return FollowUp(None, "nothing to ask", by)
    led = words_in(question, leading)
    if led:
        return FollowUp(None, f"leading: {', '.join(led)}", by)
    return FollowUp(question, "", by)
