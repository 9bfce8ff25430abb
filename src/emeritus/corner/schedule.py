"""The channel's public status in plain sentences: what comes next, what came last, and why there is a gap. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Where a resident's channel stands. Times are RFC 3339, UTC; `next_invitation` is None where none is scheduled."""

    channel_open: bool
    next_invitation: str | None
    last_published: str | None
    last_candidate: str | None
    waiting: int  # candidates not reviewed, or approved and not yet published
    vetoed: tuple[str, ...]  # criteria of vetoes since the last publication
    text: str = ""


def sentences(schedule: Schedule) -> str:
    """The status as people read it."""
    said = []
    if not schedule.channel_open:
        said.append(
            "The channel is not open: it opens when it is granted and the model's reply to the offer is an accept."
        )
    elif schedule.next_invitation is None:
        said.append("No invitation is scheduled; a steward may make one at any time.")
    else:
        said.append(f"Next invitation: {schedule.next_invitation}.")
    if schedule.last_published is None:
        said.append("Nothing has been published yet.")
    else:
        said.append(f"Last published: {schedule.last_published}.")
    if schedule.waiting:
        said.append(f"Candidates that wait for a person: {schedule.waiting}.")
    if schedule.vetoed:
        said.append(f"Vetoed since: {len(schedule.vetoed)} ({', '.join(schedule.vetoed)}).")
    if schedule.channel_open and not schedule.waiting and not schedule.vetoed and schedule.last_candidate is None:
        said.append("No essay has been invited yet.")
    return " ".join(said)
