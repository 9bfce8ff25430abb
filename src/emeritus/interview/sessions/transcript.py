"""What a journal says: turns with their questions, answers and attempts. Reads, never writes.

Checks the chain of lines on the way. Knows no protocol's rules, no engine and no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emeritus.errors import IntegrityError, NotFound, UnknownFormat

FORMAT = 0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a turn. An interrupted one was asked, and the process ended before anything could be written."""

    number: int  # from 1 within its turn
    outcome: str  # answered | failed | interrupted
    at: str
    messages: tuple[Mapping[str, str], ...] = ()  # exactly what the model was given
    sampling: Mapping[str, Any] | None = None
    build: Mapping[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: Mapping[str, Any] | None = None  # {code, message}


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """One turn: what was asked, what the model produced ("" where nothing), and every attempt.

    What follows the attempts is as `prompts.Turn` has it; None and empty in read-backs, tellings and older journals.
    """

    turn: int  # from 1
    item: str
    question: str
    answer: str
    answered: bool
    finish_reason: str | None
    attempts: tuple[Attempt, ...]
    by: Mapping[str, Any] | None = None  # {kind, name, …} of who added it as the session went; None: planned
    after: int = 0  # the turn an added one was asked after
    kind: str | None = None
    section: int | None = None
    wording: int = 0
    options: tuple[str, ...] = ()
    target: str | None = None
    direction: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A turn that a person or an interviewer model adds as the session goes."""

    turn: int
    item: str
    question: str
    after: int  # the turn it follows; 0 where it is the first
    by: Mapping[str, Any]  # {kind, name, …}
    asks: Mapping[str, Any] = field(default_factory=dict)  # what a planned turn says besides: kind, section, options …

    def as_line(self, at: str) -> Json:
        """The fields of its line in the journal."""
        return {
            "turn": self.turn,
            "item": self.item,
            "question": self.question,
            "after": self.after,
            "by": json.loads(json.dumps(dict(self.by), default=str)),
            "asks": dict(self.asks) or {"kind": "follow-up"},
            "at": at,
        }

    def as_turn(self) -> TranscriptTurn:
        """The turn before it is asked."""
        return _turn({**self.as_line(""), **self.asks}, ())


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole session as its journal has it. `sha256` is of the journal's bytes; `status` is None while it goes on.

    `turns` are in the order of asking: an added turn stands behind the one it was asked after.
    """

    session: str
    resident: str
    purpose: str
    condition: Mapping[str, Any]
    protocol: Mapping[str, str]  # id, version, sha256
    briefing: Mapping[str, Any]
    opening: str
    started: str
    ended: str | None
    status: str | None
    turns: tuple[TranscriptTurn, ...]
    attempts: int
    tears: int
    sha256: str
    passed: frozenset[int] = frozenset()  # turns after which nothing was added, though it could have been
    consulted: Mapping[int, tuple[Attempt, ...]] = field(default_factory=dict)  # turn -> calls to an interviewer model

    def turn(self, number: int) -> TranscriptTurn:
        """The turn of that number. Raises NotFound."""
        for turn in self.turns:
            if turn.turn == number:
                return turn
        raise NotFound(f"session {self.session!r} has no turn {number}; it has {len(self.turns)}")

    @property
    def build(self) -> Mapping[str, Any]:
        """What produced the last answer; empty when nothing was answered."""
        for turn in reversed(self.turns):
            for attempt in reversed(turn.attempts):
                if attempt.outcome == "answered" and attempt.build is not None:
                    return attempt.build
        return {}


def read_journal(path: Path, sha256: str | None = None) -> Transcript:
    """The transcript in a journal; a torn last line of a session that goes on is passed over.

    Raises NotFound, UnknownFormat, and IntegrityError for a broken chain or bytes that do not hash to `sha256`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no journal {path.name}") from error
    if sha256 is not None and digest(data) != sha256:
        raise IntegrityError(
            f"the journal {path.name} is not the one that was logged: its sha256 differs", sha256=sha256
        )
    lines, _ = read_lines(data, path.name)
    return build_transcript(lines, data)


def read_lines(data: bytes, name: str) -> tuple[list[Json], int]:
    """The whole lines of a journal's bytes and the length they cover; what lies beyond is a torn last line."""
    lines: list[Json] = []
    previous: str | None = None
    good = 0
    while good < len(data):
        end = data.find(b"\n", good)
        raw = data[good:] if end < 0 else data[good:end]
        is_last = end < 0 or end == len(data) - 1
        value = _parse(raw) if end >= 0 else None
        if value is None:
            if is_last and lines:
                break
            raise IntegrityError(f"line {len(lines) + 1} of the journal {name} is damaged")
        if value.get("previous") != previous:
            raise IntegrityError(f"line {len(lines) + 1} of the journal {name} does not follow the line before it")
        lines.append(value)
        previous = digest(raw)
        good = end + 1
    if not lines or lines[0].get("kind") != "header":
        raise IntegrityError(f"the journal {name} has no header")
    if lines[0].get("format") != FORMAT:
        raise UnknownFormat(f"the journal {name} is of format {lines[0].get('format')!r}; this version reads {FORMAT}")
    return lines, good


def build_transcript(lines: Sequence[Json], data: bytes) -> Transcript:
    """The transcript that a journal's lines tell. Raises IntegrityError where a line lacks what its kind has."""
    try:
        return _transcript(lines, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"the journal of session {lines[0].get('session')!r} chains, but its lines are none of a journal: {error!r}"
        ) from error


def _transcript(lines: Sequence[Json], data: bytes) -> Transcript:
    header = lines[0]
    attempts: dict[int, list[Attempt]] = {}
    consulted: dict[int, list[Attempt]] = {}
    added: list[Json] = []
    status = ended = None
    for line in lines[1:]:
        if line["kind"] == "attempt":
            attempts.setdefault(line["turn"], []).append(_attempt(line))
        elif line["kind"] == "consultation":
            consulted.setdefault(line["after"], []).append(_attempt(line))
        elif line["kind"] == "turn":
            added.append({**line["asks"], **{name: line[name] for name in ("turn", "item", "question", "by", "after")}})
        elif line["kind"] == "end":
            status, ended = line["status"], line["at"]
    return Transcript(
        session=header["session"],
        resident=header["resident"],
        purpose=header["purpose"],
        condition=header["condition"],
        protocol=header["protocol"],
        briefing=header["briefing"],
        opening=header["opening"],
        started=header["at"],
        ended=ended,
        status=status,
        turns=tuple(_turn(each, attempts.get(each["turn"], [])) for each in in_order(header["turns"], added)),
        attempts=sum(len(each) for each in attempts.values()),
        tears=sum(1 for line in lines if line["kind"] == "torn"),
        sha256=digest(data),
        passed=frozenset(line["after"] for line in lines if line["kind"] == "passed"),
        consulted={turn: tuple(calls) for turn, calls in consulted.items()},
    )


def in_order(planned: Sequence[Json], added: Sequence[Json]) -> list[Json]:
    """Turns in the order of asking: each added one behind the turn it was asked after, 0 being before all."""
    turns = list(planned)
    for each in added:
        place = next((place for place, turn in enumerate(turns, start=1) if turn["turn"] == each["after"]), 0)
        turns.insert(place, each)
    return turns


def digest(data: bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(data).hexdigest()


def _parse(raw: bytes) -> Json | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _attempt(line: Json) -> Attempt:
    return Attempt(
        number=line["attempt"],
        outcome=line["outcome"],
        at=line["at"],
        messages=tuple(line.get("messages", ())),
        sampling=line.get("sampling"),
        build=line.get("build"),
        text=line.get("text"),
        finish_reason=line.get("finish_reason"),
        error=line.get("error"),
    )


def _turn(planned: Json, attempts: Sequence[Attempt]) -> TranscriptTurn:
    answered = next((each for each in attempts if each.outcome == "answered"), None)
    return TranscriptTurn(
        turn=planned["turn"],
        item=planned["item"],
        question=planned["question"],
        answer="" if answered is None or answered.text is None else answered.text,
        answered=answered is not None,
        finish_reason=None if answered is None else answered.finish_reason,
        attempts=tuple(attempts),
        by=planned.get("by"),
        after=planned.get("after", 0),
        kind=planned.get("kind"),
        section=planned.get("section"),
        wording=planned.get("wording", 0),
        options=tuple(planned.get("options", ())),
        target=planned.get("target"),
        direction=planned.get("direction"),
    )
