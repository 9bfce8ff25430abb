"""How long work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is being worked on, done, in all (bytes, or packs in a verification)


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
