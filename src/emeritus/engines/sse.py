"""Server-sent events split from a byte stream, every byte accounted for. Pure.

Format: WHATWG HTML, section 9.2 "Server-sent events". Only `event` and `data` matter here; comments and other fields
are kept in the raw bytes and otherwise ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from emeritus.errors import UpstreamRefused

LARGEST_EVENT = 4 << 20  # bytes; more is not one token's news


class Event(NamedTuple):
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
        given = self.rest + data
        events: list[Event] = []
        at = 0
        while (end := _end_of_event(given, at)) >= 0:
            events.append(_read(given[at:end]))
            at = end
        self.rest = given[at:]
        if len(self.rest) > LARGEST_EVENT:
            raise UpstreamRefused(f"the upstream sent more than {LARGEST_EVENT} bytes without ending an event")
        return events


def _end_of_event(data: bytes, start: int) -> int:
    """Where the event that begins at `start` ends; -1 where it is not whole."""
    end = data.find(b"\n\n", start)
    other = data.find(b"\r\n\r\n", start, end if end >= 0 else len(data))
    return other + 4 if other >= 0 else end + 2 if end >= 0 else -1


def _read(raw: bytes) -> Event:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UpstreamRefused("the upstream's event stream is not UTF-8", sent=raw[:200].hex()) from error
    if text.startswith("data: ") and text.find("\n") == len(text) - 2 and "\r" not in text:
        return Event("", text[6:-2], raw)  # one line of data: what nearly every event is
    name, data = "", []
    # not `splitlines`: a text's own U+2028 or form feed ends no line here
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
    return Event(name, "\n".join(data), raw)
