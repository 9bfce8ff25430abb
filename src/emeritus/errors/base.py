"""The base of every error with a code, and the walk over all of them."""

from __future__ import annotations

from typing import ClassVar


class EmeritusError(Exception):
    """Base of all errors with a code. `str(error)` is one clear sentence; `remedy` says what to do about it.

    Subclasses set `code` (stable for ever), `title` and a default `remedy`; a raise may give a more exact remedy.
    `facts` are values a program may read (JSON-serialisable).
    """

    code: ClassVar[str] = "EM000"
    title: ClassVar[str] = "Emeritus error"
    default_remedy: ClassVar[str] = "Run the command again with --log-level debug and report what it prints."

    def __init__(self, message: str, *, remedy: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy
        self.facts = facts

    def as_dict(self) -> dict[str, object]:
        """The error as programs read it: code, message, remedy, facts."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "facts": self.facts}


def walk(cls: type[EmeritusError] = EmeritusError) -> list[type[EmeritusError]]:
    """Every error class, in the order of its code."""
    found = [cls]
    for sub in cls.__subclasses__():
        found.extend(walk(sub))
    return sorted(set(found), key=lambda c: c.code)
