"""What every reader of a log fills: who called how often and when last, and which lines could not be read.

Memory grows with the number of callers, never with the file's length. Knows no format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from emeritus.errors import BadTable
from emeritus.lifecycle.callers import MOST_REQUESTS, CallerLine, identity
from emeritus.mail.messages import is_address

MOST_CALLERS = 200_000  # of one file; a file with more is no log of people's calls
SHOWN = 20  # bad lines that are kept with their reasons; all are counted
LONGEST_NAME = 200  # characters of a label


@dataclass(slots=True)
class _Use:
    contact: str | None
    label: str | None
    requests: int = 0
    last: date | None = None


@dataclass(slots=True)
class Tally:
    """Calls by caller. `lines` is how many were read, `counted` how many were calls to the model."""

    lines: int = 0
    counted: int = 0
    bad: int = 0
    shown: list[tuple[int, str]] = field(default_factory=list)  # (line, what is wrong), the first `SHOWN`
    _uses: dict[tuple[str, str], _Use] = field(default_factory=dict)

    def call(self, contact: str | None, label: str | None, day: date | None, requests: int = 1) -> None:
        """Count calls of one caller. Raises BadTable beyond `MOST_CALLERS`."""
        key = identity(contact, label)
        use = self._uses.get(key)
        if use is None:
            if len(self._uses) >= MOST_CALLERS:
                raise BadTable(f"line {self.lines}: more than {MOST_CALLERS} different callers", line=self.lines)
            use = self._uses[key] = _Use(contact, label)
        use.label = use.label or label
        use.requests += requests
        self.counted += 1
        if day is not None and (use.last is None or day > use.last):
            use.last = day

    def refuse(self, why: str) -> None:
        """Note that the line being read cannot be read."""
        self.bad += 1
        if len(self.shown) < SHOWN:
            self.shown.append((self.lines, why))

    def callers(self, bad_allowed: int = 0) -> tuple[CallerLine, ...]:
        """The callers, by contact and label. Raises BadTable, naming lines, when more than `bad_allowed` were bad."""
        if self.bad > bad_allowed:
            some = "; ".join(f"line {line}: {why}" for line, why in self.shown)
            more = f"; and {self.bad - len(self.shown)} more" if self.bad > len(self.shown) else ""
            raise BadTable(
                f"{self.bad} of {self.lines} lines cannot be read: {some}{more}",
                remedy="Nothing was imported. Correct the lines, or import without them: --bad-lines NUMBER.",
                line=self.shown[0][0],
                lines=[line for line, _ in self.shown],
                bad=self.bad,
            )
        return tuple(_line(use) for _, use in sorted(self._uses.items()))


def _line(use: _Use) -> CallerLine:
    last = None if use.last is None else use.last.isoformat()
    return CallerLine(use.contact, use.label, min(use.requests, MOST_REQUESTS), last)


def who(name: str | None, otherwise: str) -> tuple[str | None, str | None]:
    """A caller's (contact, label) from the name a log gives: an e-mail address is a contact, all else a label."""
    name = printable(name or "")
    if name and name != "-":
        return (name, None) if is_address(name) else (None, name)
    return None, printable(otherwise)


def printable(text: str) -> str:
    """A name as it may be kept: no control characters, no lone surrogates, not too long."""
    return "".join(char if char.isprintable() else "?" for char in text.strip())[:LONGEST_NAME]
