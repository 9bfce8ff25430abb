"""One parser under fuzzing: what is done with an input, what must hold, and inputs to begin with. Knows no engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from emeritus.errors import EmeritusError


class Broken(Exception):
    """A parser broke its promise: two readings disagree, or what was read does not write back."""


@dataclass(frozen=True, slots=True)
class Target:
    """`check(data)` returns for any `data`; what it raises is a fault. `seeds()` gives sound inputs."""

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def attempt(read: Callable[[], object], *refusals: type[BaseException]) -> tuple[bool, Any]:
    """(True, what `read` gives), or (False, None) where it refuses by one of our errors or of `refusals`."""
    try:
        return True, read()
    except (EmeritusError, *refusals):
        return False, None


def agree(readings: dict[str, tuple[bool, Any]]) -> tuple[bool, Any]:
    """The one answer that all readings give. Raises Broken where they differ."""
    answers = list(readings.values())
    if any(answer != answers[0] for answer in answers[1:]):
        said = ", ".join(f"{name}: {_short(answer)}" for name, answer in readings.items())
        raise Broken(f"readings differ: {said}")
    return answers[0]


def expect(holds: bool, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


@contextlib.contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    """A module's attribute, replaced for a while: how a twin runs where the kernel is built."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _short(answer: tuple[bool, object]) -> str:
    return repr(answer[1])[:60] if answer[0] else "refused"
