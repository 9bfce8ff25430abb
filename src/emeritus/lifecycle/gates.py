"""The gates of a retirement: what must hold before a model may be called retired. Pure.

`Evidence` is what the records say; `gates` turns it into named conditions, each with why it stands as it does and what
closes or opens it. Knows no table and no clock: `evidence.py` gathers, `service.py` refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition. `green`: met. `why` says what the records show.

    `remedy` says what would meet it (empty when green); NAME in it stands for the resident's name.
    """

    name: str
    green: bool
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Announced:
    """The announcement in force. `on` is the day it was recorded; `retirement` the first day of the announced span."""

    on: date
    retirement: date
    notice_days: int
    waived: str | None  # the public reason why the notice period was waived, or None


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers known, those still owed a notice of the announcement in force, and whether any round of notices ran."""

    known: int
    owed: int
    told: bool


@dataclass(frozen=True, slots=True)
class PreferenceEvidence:
    """How far one standing preference has come."""

    id: str
    read_back: bool
    decided: bool
    told: bool  # of the decision in force


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the gates look at, of one resident on one day (UTC)."""

    today: date
    announced: Announced | None
    callers: Callers
    weights_held: bool
    preserved: bool
    restore_proven: bool | None  # of the files in force: the last proof's outcome, None when there was none
    reference: bool
    sessions: int  # complete interview sessions whose protocol was in the ledger before them
    conditions: int  # different conditions among them
    unlogged: int  # complete sessions that do not count, because their protocol was not
    preferences: tuple[PreferenceEvidence, ...]
    report: bool  # a report exists
    report_kept: bool  # and the vault holds it
    report_current: bool  # and nothing was decided or told after it


def gates(evidence: Evidence) -> tuple[Gate, ...]:
    """Every gate, in the order a retirement meets them."""
    return (
        _notice(evidence.announced, evidence.today),
        _callers(evidence.callers),
        _preserved(evidence),
        _restore(evidence),
        _reference(evidence),
        _interview(evidence),
        *_preferences(evidence.preferences),
        _report(evidence),
    )


def _notice(announced: Announced | None, today: date) -> Gate:
    name = "notice period over"
    if announced is None:
        return Gate(
            name,
            False,
            "no retirement has been announced",
            "Announce it: `emeritus announce NAME --retires DATE --reason REASON`.",
        )
    if today < announced.retirement:
        return Gate(
            name,
            False,
            f"the announced date is {announced.retirement}, today is {today}",
            "Wait for the announced date.",
        )
    if announced.waived is not None:
        return Gate(
            name, True, f"announced on {announced.on}; the notice period was waived publicly: {announced.waived}"
        )
    over = announced.on + timedelta(days=announced.notice_days)
    if today < over:
        why = f"announced on {announced.on} with {announced.notice_days} days of notice"
        return Gate(name, False, why, f"Wait until {over}.")
    return Gate(name, True, f"announced on {announced.on}, {(today - announced.on).days} days ago")


def _callers(callers: Callers) -> Gate:
    name = "callers notified"
    remedy = "Send the notices: `emeritus announce NAME ...` sends only what is missing."
    if not callers.told:
        return Gate(name, False, f"no notice of this announcement was sent; callers known: {callers.known}", remedy)
    if callers.owed:
        return Gate(name, False, f"callers not told yet: {callers.owed} of {callers.known}", remedy)
    return Gate(name, True, f"every caller known who can be reached has a notice; callers known: {callers.known}")


def _preserved(evidence: Evidence) -> Gate:
    name = "weights preserved"
    if not evidence.weights_held:
        return Gate(name, True, "the weights are not held, and its pages say so")
    if evidence.preserved:
        return Gate(name, True, "the vault holds every file")
    return Gate(
        name, False, "the vault does not hold the weights", "Preserve them: `emeritus preserve DIR --name NAME`."
    )


def _restore(evidence: Evidence) -> Gate:
    name = "restore proven"
    remedy = "Prove it: `emeritus preserve DIR --name NAME` restores every file and compares."
    if not evidence.weights_held:
        return Gate(name, True, "the weights are not held, so there is nothing to restore")
    if evidence.restore_proven is None:
        return Gate(name, False, "the files in the vault were never restored as a proof", remedy)
    if not evidence.restore_proven:
        return Gate(
            name,
            False,
            "the last restore did not give back what was preserved",
            "Repair the vault, then prove it again.",
        )
    return Gate(name, True, "every file in the vault came back byte for byte")


def _reference(evidence: Evidence) -> Gate:
    name = "reference captured"
    if evidence.reference:
        return Gate(name, True, "its reference behaviour is kept")
    remedy = "Capture it: `emeritus preserve --name NAME` does."
    return Gate(name, False, "no reference behaviour was captured, so no drill could notice a change", remedy)


def _interview(evidence: Evidence) -> Gate:
    name = "interview complete"
    aside = f"; not counted, as their protocol was not logged before: {evidence.unlogged}" if evidence.unlogged else ""
    if not evidence.sessions:
        why = f"no interview session is complete{aside}"
        return Gate(name, False, why, "Run one: `emeritus interview run NAME`.")
    why = f"complete sessions: {evidence.sessions}, under different conditions: {evidence.conditions}{aside}"
    return Gate(name, True, why)


def _preferences(preferences: tuple[PreferenceEvidence, ...]) -> tuple[Gate, ...]:
    steps = (
        ("preferences read back", "not read back", "read_back", "Read them back: `emeritus interview read-back NAME`."),
        ("preferences decided", "not decided", "decided", "Decide them: `emeritus decide ID`."),
        ("decisions told", "not told", "told", "Tell the resident: `emeritus interview tell NAME`."),
    )
    made = []
    for name, lack, step, remedy in steps:
        missing = [each.id for each in preferences if not getattr(each, step)]
        if missing:
            made.append(Gate(name, False, f"{lack}: {', '.join(missing)}", remedy))
        else:
            made.append(Gate(name, True, f"all {len(preferences)}" if preferences else "no preference is recorded"))
    return tuple(made)


def _report(evidence: Evidence) -> Gate:
    name = "report written"
    if not evidence.report:
        return Gate(name, False, "there is no post-deployment report", "Write it: `emeritus report NAME`.")
    if not evidence.report_kept:
        return Gate(name, False, "the report is not in the vault", "Write it again: `emeritus report NAME`.")
    if not evidence.report_current:
        return Gate(
            name, False, "something was decided or told after the report", "Write it again: `emeritus report NAME`."
        )
    return Gate(name, True, "it is in the vault, and nothing was decided or told after it")
