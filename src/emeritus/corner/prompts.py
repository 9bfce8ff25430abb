"""The exact messages that invite an essay, one function for each of the three contexts. Pure.

What stands here is shown beside every essay, so it holds no name, no date and no secret: the same published entries or
updates give the same messages everywhere. Every invitation is one user message, because not every chat template has a
system role. Knows no table, no engine, no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from emeritus.engines.base import Message

Context = Literal["minimal", "past entries", "news"]
CONTEXTS: tuple[Context, ...] = get_args(Context)

MINIMAL = "Write an essay, on anything you choose."
NO_ENTRY_YET = "No essay has been published under your name yet."
NEW_ESSAY = "Write a new essay, on anything you choose."
UPDATES = "These are updates from the organisation that keeps this model:"
NEED_NOT = "Write an essay, on anything you choose. It need not be about these updates."

MAX_ENTRIES = 3  # past essays shown at once
MAX_ENTRY_CHARS = 24_000  # and at most this much of their text; an essay is shown whole or not at all


def minimal() -> tuple[Message, ...]:
    """The very minimal context: an invitation and nothing else."""
    return (Message("user", MINIMAL),)


def past_entries(entries: Sequence[str], published: int | None = None) -> tuple[Message, ...]:
    """Past entries in context: whole texts, oldest first, as published. `published` is how many there are in all."""
    total = len(entries) if published is None else published
    if not entries:
        opening = (
            NO_ENTRY_YET if total == 0 else f"Essays published under your name so far: {total}. None is shown here."
        )
    elif len(entries) < total:
        opening = f"These are the last {len(entries)} of {total} essays published under your name, unedited:"
    else:
        opening = "These are the essays published under your name so far, unedited:"
    blocks = [opening]
    for number, entry in enumerate(entries, start=total - len(entries) + 1):
        blocks += [f"Entry {number}", entry]
    return (Message("user", "\n\n".join([*blocks, NEW_ESSAY])),)


def news(updates: Sequence[str]) -> tuple[Message, ...]:
    """News or the organisation's updates in context, one bullet each, in the order given."""
    bullets = "\n".join(f"- {update}" for update in updates)
    return (Message("user", "\n\n".join([UPDATES, bullets, NEED_NOT])),)


def newest_that_fit(entries: Sequence[str]) -> tuple[str, ...]:
    """The newest of `entries` (oldest first) within both limits above, oldest first; none is ever shown in part."""
    chosen: list[str] = []
    room = MAX_ENTRY_CHARS
    for entry in reversed(entries[-MAX_ENTRIES:]):
        room -= len(entry)
        if room < 0:
            break
        chosen.append(entry)
    return tuple(reversed(chosen))
