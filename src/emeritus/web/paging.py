"""Long lists in pages: which part of a list a request asks for, and where the parts beside it are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from emeritus.errors import InputError

T = TypeVar("T")
SIZE = 100  # of a page


@dataclass(frozen=True, slots=True)
class Paging:
    """Page `number` (from 1) of a list of `total`. `address` is that of the page without its number."""

    number: int
    total: int
    address: str
    size: int = SIZE

    @classmethod
    def of(cls, request: Request, total: int) -> Paging:
        """What `?page=` asks for. Raises InputError for a page that is not there."""
        given = request.query_params.get("page", "1")
        pages = max(1, -(-total // SIZE))
        if not given.isdecimal() or len(given) > 9 or not 1 <= int(given) <= pages:
            raise InputError(f"there is no page {given[:20]!r}; the list has {pages}")
        others = urlencode([(key, value) for key, value in request.query_params.multi_items() if key != "page"])
        return cls(int(given), total, f"{request.url.path}?{others}&" if others else f"{request.url.path}?")

    @property
    def first(self) -> int:
        """The place of the page's first entry, from 0."""
        return (self.number - 1) * self.size

    @property
    def last(self) -> int:
        """One past the place of its last."""
        return min(self.first + self.size, self.total)

    @property
    def before(self) -> str | None:
        """The page before."""
        return f"{self.address}page={self.number - 1}" if self.number > 1 else None

    @property
    def after(self) -> str | None:
        """The page after."""
        return f"{self.address}page={self.number + 1}" if self.last < self.total else None

    def part(self, entries: Sequence[T]) -> Sequence[T]:
        """The page's part of the whole list."""
        return entries[self.first : self.last]
