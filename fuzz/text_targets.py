"""What people and sessions write: interview protocols, journals."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from emeritus.interview.protocols import protocol
from emeritus.interview.sessions import live, transcript
from fuzz.target import Target, attempt, expect

Json = dict[str, Any]
CAUGHT = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
HEADER: Json = {
    "kind": "header",
    "format": transcript.FORMAT,
    "previous": None,
    "session": "s1",
    "resident": "wren",
    "purpose": "study",
    "condition": {"id": "a"},
    "protocol": {"id": "p"},
    "briefing": "b",
    "opening": [],
    "at": "2026-01-01T00:00:00Z",
    "turns": [{"turn": 1, "item": "i1", "question": "Q?"}, {"turn": 2, "item": "i2", "question": "R?"}],
}
LINES: list[Json] = [
    {"kind": "asked", "turn": 1, "attempt": 1, "at": "t"},
    {"kind": "attempt", "turn": 1, "attempt": 1, "outcome": "answered", "at": "t", "text": "A", "build": {"m": 1}},
    {"kind": "turn", "turn": 3, "item": "x", "question": "More?", "by": {"k": "v"}, "after": 1, "asks": {"kind": "f"}},
    {"kind": "attempt", "turn": 2, "attempt": 1, "outcome": "failed", "at": "t", "error": {"message": "no"}},
    {"kind": "consultation", "after": 1, "attempt": 1, "outcome": "answered", "at": "t", "text": "{}"},
    {"kind": "passed", "after": 2, "at": "t", "by": {}, "reason": "r"},
    {"kind": "end", "status": "complete", "at": "t"},
]


def check_protocol(data: bytes) -> None:
    """A protocol in TOML: the linter has something to say or it is one; then parsing it again gives the same."""
    found, findings = protocol.examine(data)
    expect(found is not None or bool(findings), "a protocol is refused without a reason")
    parsed, _ = attempt(lambda: protocol.Protocol.parse(data, "p"))
    expect(parsed == (found is not None), "the linter and the parser disagree")


def check_journal(data: bytes) -> None:
    """A first byte 1: each line is given the digest of the one before; else lines chain or do not as they are."""
    whole = data[1:]
    if data[:1] == b"\1":
        whole = chained(whole)

    def read() -> object:
        lines, _ = transcript.read_lines(whole, "j")
        return transcript.build_transcript(lines, whole)

    attempt(read)
    attempt(lambda: live.read_live(whole), *CAUGHT)  # as `running` catches


def chained(data: bytes) -> bytes:
    """JSON lines, each told the one before."""
    out, previous = [], None
    for raw in data.split(b"\n"):
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            raw = json.dumps({**value, "previous": previous}).encode()
        out.append(raw)
        previous = hashlib.sha256(raw).hexdigest()
    return b"\n".join(out)


def _journal() -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in [HEADER, *LINES])


def _protocols() -> list[bytes]:
    short = protocol.source_of("short-en")[0]
    return [short, b'id = "p"\n[[items]]\nid = "a"\nquestion = "?"\n', b"a.b.c = [{x = 1}, [2, 3]]\n"]


TARGETS = {
    "protocol": Target(check_protocol, _protocols),
    "journal": Target(check_journal, lambda: [b"\1" + _journal(), b"\0" + chained(_journal())]),
}
