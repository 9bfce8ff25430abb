"""What goes on now: the journals of sessions that have not ended, read from their ends, for a live view.

Reads files alone, wakes nobody, holds no lock. A session that is not in here has ended, or has not begun.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_WORDS = 160  # characters of the last answer
_ANSWERED = re.compile(rb'^\{"kind":"attempt",.*"outcome":"answered"', re.MULTILINE)
_ATTEMPT, _END = b'\n{"kind":"attempt"', b'\n{"kind":"end"'


@dataclass(frozen=True, slots=True)
class Live:
    """A session that goes on, or waits to be taken up. `turn` is the one being asked, of `turns`."""

    session: str
    resident: str
    purpose: str
    condition: str
    study: str | None
    turn: int
    turns: int
    attempts: int
    answer: str  # the first words of the last answer
    error: str | None  # of the last attempt, where that failed
    at: str  # when the last line was written

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def running(journals: Path, resident: str | None = None, ended: Container[str] = ()) -> list[Live]:
    """Every session without an end, of one resident or of all, the latest first. `ended` are journals to pass over.

    A journal that cannot be read whole, because it is just being made or is damaged, is left out: `verify` judges it.
    """
    if not journals.is_dir():
        return []
    found = []
    for path in journals.glob("*.jsonl"):
        if path.name in ended:
            continue
        try:
            live = read_live(path.read_bytes())
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            continue
        if live is not None and resident in (None, live.resident):
            found.append(live)
    return sorted(found, key=lambda each: (each.at, each.session), reverse=True)


def read_live(data: bytes) -> Live | None:
    """How a journal's session stands, from its first line and its last ones; None once it has ended."""
    whole = data[: data.rindex(b"\n") + 1]
    if whole.rfind(_END) >= 0:
        return None
    header = json.loads(whole[: whole.index(b"\n")])
    planned = len(header["turns"])
    added = whole.count(b'\n{"kind":"turn"')
    last = json.loads(whole.splitlines()[-1])
    place = whole.rfind(_ATTEMPT)
    attempt = json.loads(whole[place + 1 : whole.index(b"\n", place + 1)]) if place >= 0 else {}
    answered = len(_ANSWERED.findall(whole))
    condition = header["condition"]
    return Live(
        session=header["session"],
        resident=header["resident"],
        purpose=header["purpose"],
        condition=condition.get("id", ""),
        study=condition.get("study"),
        turn=answered + (last["kind"] == "asked"),
        turns=planned + added,
        attempts=whole.count(_ATTEMPT) + (last["kind"] == "asked"),
        answer=" ".join(_last_answer(whole, attempt).split())[:FIRST_WORDS],
        error=attempt["error"]["message"] if attempt.get("outcome") == "failed" else None,
        at=max(str(last.get(name, "")) for name in ("at", "answered_at", "failed_at")),
    )


def _last_answer(whole: bytes, attempt: dict[str, Any]) -> str:
    if attempt.get("outcome") == "answered":
        return str(attempt["text"])
    for line in reversed(whole.splitlines()):
        if line.startswith(_ATTEMPT[1:]):
            found = json.loads(line)
            if found["outcome"] == "answered":
                return str(found["text"])
    return ""
