"""Server-sent events split from a byte stream, every byte accounted for. Pure.

Format: WHATWG HTML, section 9.2 "Server-sent events". Only `event` and `data` matter here; comments and other fields
are kept in the raw bytes and otherwise ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

from emeritus.errors import UpstreamRefused

LARGEST_EVENT = 4 << 20  # bytes; more is not one token's news


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name ("" when unnamed), its data lines joined by newlines, and the bytes it came in."""

    name: str
    data: str
    raw: bytes


class Splitter:
    """Feed it bytes as they come; the events' raw bytes and `rest`, joined, are exactly what was fed."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by these bytes. Raises UpstreamRefused for bytes that are no event stream."""
        self.rest += data
        events: list[Event] = []
        while (end := self._end_of_event()) is not None:
            raw, self.rest = self.rest[:end], self.rest[end:]
            events.append(_read(raw))
        if len(self.rest) > LARGEST_EVENT:
            raise UpstreamRefused(f"the upstream sent more than {LARGEST_EVENT} bytes without ending an event")
        return events

    def _end_of_event(self) -> int | None:
        ends = [at + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (at := self.rest.find(mark)) >= 0]
        return min(ends, default=None)


def _read(raw: bytes) -> Event:
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UpstreamRefused("the upstream's event stream is not UTF-8", sent=raw[:200].hex()) from error
    name, data = "", []
    for line in lines:
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
    return Event(name, "\n".join(data), raw)
