"""From token ids to text that can be sent at once: whole characters only, and nothing of a stop sequence.

Pure; knows a tokenizer only as a function from ids to text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
REPLACEMENT = "\ufffd"  # what a decoder gives for bytes that are not (yet) a character


class Detokeniser:
    """Spells ids one by one. What `push` and `flush` return, joined, is what decoding all ids at once gives.

    A piece is decoded together with the ids before it, because a tokenizer may drop or add a space at the beginning of
    what it decodes; it is held back while it ends in a replacement character, because the next id may complete it.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._from = 0  # ids before this one no longer matter
        self._told = 0  # ids whose text has been returned

    def push(self, token_id: int) -> str:
        """The text that this id makes certain; often empty."""
        self._ids.append(token_id)
        return self._advance(final=False)

    def flush(self) -> str:
        """What was held back, as it is."""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        before = self._decode(self._ids[self._from : self._told])
        now = self._decode(self._ids[self._from :])
        if len(now) <= len(before) or (now.endswith(REPLACEMENT) and not final):
            return ""
        self._from, self._told = self._told, len(self._ids)
        return now[len(before) :]


@dataclass
class StopGate(Generic[T]):
    """Lets text through until a stop sequence appears. Text that may be the beginning of one waits for what follows.

    Each piece of text carries an item (its token's log-probability, say), which passes with it.
    """

    stops: Sequence[str]
    stopped: bool = False
    stopped_by: str | None = None  # the stop sequence, once stopped
    _held: list[tuple[str, T]] = field(default_factory=list)

    def push(self, text: str, item: T) -> tuple[str, list[T]]:
        """What may go out now. After a stop sequence `stopped` is True and everything from it on is gone."""
        self._held.append((text, item))
        joined = "".join(text for text, _ in self._held)
        found = [(at, stop) for stop in self.stops if (at := joined.find(stop)) >= 0]
        if found:
            self.stopped = True
            at, self.stopped_by = min(found, key=lambda pair: pair[0])  # of two at one place, the one named first
            return joined[:at], self._release(at, whole=False)
        safe = len(joined) - self._undecided(joined)
        items = self._release(safe, whole=True)
        return joined[: len(joined) - sum(len(text) for text, _ in self._held)], items

    def flush(self) -> tuple[str, list[T]]:
        """The rest, when the answer ends without a stop sequence."""
        text, items = "".join(text for text, _ in self._held), [item for _, item in self._held]
        self._held = []
        return text, items

    def _undecided(self, joined: str) -> int:
        """Length of the longest end of `joined` that begins a stop sequence."""
        longest = max((len(stop) for stop in self.stops), default=1) - 1
        for length in range(min(longest, len(joined)), 0, -1):
            if any(stop.startswith(joined[-length:]) for stop in self.stops):
                return length
        return 0

    def _release(self, upto: int, *, whole: bool) -> list[T]:
        """Take the held pieces that end at or before `upto` (whole), or begin before it."""
        items: list[T] = []
        at = 0
        while self._held:
            end = at + len(self._held[0][0])
            if (end > upto) if whole else (at >= upto):
                break
            items.append(self._held.pop(0)[1])
            at = end
        return items
