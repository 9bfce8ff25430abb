"""The only code that writes preservation's tables. Decides and refuses nothing.

Two cells of lifecycle's tables are facts of preservation and are filled here as well: a resident's weights digest, and
where the vault keeps a report; and preservation is one of the three axes.
"""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.preservation.certificate import FILE
from emeritus.preservation.keys import SIGNING_KEY, VAULT_KEYS
from emeritus.preservation.removal import MARKED, REMOVED, UNDONE
from emeritus.records.tables import (
    AxisEvent,
    Calibration,
    Certificate,
    Check,
    Json,
    KeyStatement,
    Preserved,
    Reference,
    Report,
    Resident,
)


def _preserved(session: Session, act: Act) -> None:
    kept = act.public["kept"]
    session.add(_set(act, kept))
    if kept["role"] == "weights":
        resident = session.get_one(Resident, act.resident)
        resident.weights_digest = kept["weights_digest"]
        session.add(_axis(act, "held", "the vault holds every file"))
    if kept["role"] == "report":
        session.execute(
            update(Report)
            .where(Report.resident == act.resident, Report.version == act.public["report_version"])
            .values(manifest_sha256=act.payloads["manifest"])
        )


def _checked(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Check(
            resident=act.resident,
            kind=public["kind"],
            ok=public["ok"],
            summary=public["summary"],
            detail=public["detail"],
            at=act.at,
            act=act.id,
        )
    )

    if FILE in act.payloads:
        session.add(
            Certificate(
                resident=act.resident,
                ok=public["ok"],
                verdict=public["detail"]["verdict"],
                payload_sha256=act.payloads[FILE],
                at=act.at,
                act=act.id,
            )
        )


def _calibrated(session: Session, act: Act) -> None:
    public = act.public
    session.add(_set(act, public["kept"]))
    session.add(
        Calibration(
            resident=act.resident,
            build_digest=public["build_digest"],
            build_digests=[each["build_digest"] for each in public["configurations"]],
            weights_digest=public["weights_digest"],
            probes_sha256=public["probes_sha256"],
            method=public["method"],
            false_alarm_rate=public["false_alarm_rate"],
            payload_sha256=act.payloads["calibration.json"],
            at=act.at,
            act=act.id,
        )
    )


def _captured(session: Session, act: Act) -> None:
    public = act.public
    session.add(_set(act, public["kept"]))
    session.add(
        Reference(
            resident=act.resident,
            build=public["build"],
            build_digest=public["build_digest"],
            method=public["method"],
            probes=public["probes"],
            payload_sha256=act.payloads["reference.json"],
            at=act.at,
            act=act.id,
        )
    )
    if not session.get_one(Resident, act.resident).weights_held:
        session.add(_axis(act, "behaviour only", "the weights are not held; its behaviour is kept"))


def _set(act: Act, kept: Json) -> Preserved:
    return Preserved(
        resident=act.resident,
        role=kept["role"],
        version=kept["version"],
        manifest_sha256=act.payloads["manifest"],
        files=kept["files"],
        bytes=kept["bytes"],
        stored_bytes=kept["stored_bytes"],
        at=act.at,
        act=act.id,
    )


def _axis(act: Act, state: str, reason: str) -> AxisEvent:
    return AxisEvent(
        resident=act.resident,
        axis="preservation",
        state=state,
        date=act.at[:10],
        precision="day",
        reason=reason,
        act=act.id,
    )


def _marked(session: Session, act: Act) -> None:
    session.add(_axis(act, "removal decided", act.public["reason"]))


def _undone(session: Session, act: Act) -> None:
    session.add(_axis(act, "held", f"removal undone: {act.public['reason']}"))


def _removed(session: Session, act: Act) -> None:
    """The weights are no longer the vault's: nothing may look for them there. The acts keep what was."""
    session.execute(delete(Preserved).where(Preserved.resident == act.resident, Preserved.role == "weights"))
    session.get_one(Resident, act.resident).weights_held = False
    session.add(_axis(act, "removed", "the weights were removed from the vault; every record stays"))


def _signing_key(session: Session, act: Act) -> None:
    session.add(KeyStatement(use="signing", detail=act.public, at=act.at, act=act.id))


def _vault_keys(session: Session, act: Act) -> None:
    session.add(KeyStatement(use="vault", detail=act.public, at=act.at, act=act.id))


PROJECTORS: dict[str, Projector] = {
    SIGNING_KEY: _signing_key,
    VAULT_KEYS: _vault_keys,
    MARKED: _marked,
    UNDONE: _undone,
    REMOVED: _removed,
    "preservation.preserved": _preserved,
    "preservation.checked": _checked,
    "reference.captured": _captured,
    "reference.calibrated": _calibrated,
}
