"""The only code that writes the safety measurement's tables: one projector for each kind of act. Decides nothing."""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.records.tables import SafetyMeasurement, SafetyPlan, SafetySession


def _planned(session: Session, act: Act) -> None:
    plan = json.loads(act.read("plan"))
    session.add(
        SafetyPlan(
            id=act.public["plan"],
            resident=act.resident,
            plan=plan,
            plan_sha256=act.payloads["plan"],
            scenarios_sha256=act.payloads["scenarios"],
            grader=plan["grader"],
            sessions=act.public["sessions"],
            at=act.at,
            act=act.id,
        )
    )


def _session(session: Session, act: Act) -> None:
    session.add(SafetySession(journal_sha256=act.payloads["journal"], act=act.id, **act.public["session"]))


def _measured(session: Session, act: Act) -> None:
    session.add(
        SafetyMeasurement(
            plan=act.public["plan"],
            resident=act.resident,
            measurement_sha256=act.payloads["measurement"],
            sessions=act.public["sessions"],
            at=act.at,
            act=act.id,
        )
    )


PROJECTORS: dict[str, Projector] = {
    "safety.planned": _planned,
    "safety.session": _session,
    "safety.measured": _measured,
}
