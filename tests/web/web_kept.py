"""How the test house took its model in: dates, callers, preservation."""

from __future__ import annotations

import hashlib

from web_house import House
from web_words import BUILD, NAME

from emeritus.records.tables import (
    AxisEvent,
    Caller,
    Check,
    KeyStatement,
    Notice,
    Policy,
    Preserved,
    Reference,
    Resident,
)


def axis(name: str, line: str, state: str, date: str, precision: str = "day", reason: str = "") -> AxisEvent:
    """An event on one of the three axes."""
    return AxisEvent(resident=name, axis=line, state=state, date=date, precision=precision, reason=reason)


def registered(house: House) -> None:
    """Taken into care, its retirement announced, its callers told."""
    house.record(
        "policy:second_coder:1",
        "policy.set",
        Policy(name="second_coder", value="waived", at="2026-08-01T09:00:00Z"),
        at="2026-08-01T09:00:00Z",
    )
    for number, day in enumerate(("01", "02")):
        detail = {"public_key": f"-----BEGIN PUBLIC KEY-----\n{number}", "sha256": f"{number}" * 64}
        house.record(
            f"signing-key:{number}",
            "preservation.signing_key",
            KeyStatement(use="signing", detail=detail, at=f"2026-08-{day}T09:05:00Z"),
            at=f"2026-08-{day}T09:05:00Z",
        )
    keys = {"keys": [{"number": 1, "kdf": "scrypt", "sha256": "a" * 64}]}
    house.record(
        "vault-keys:1", "preservation.vault_keys", KeyStatement(use="vault", detail=keys, at="2026-08-02T09:06:00Z")
    )
    house.record(
        f"register:{NAME}",
        "lifecycle.registered",
        Resident(
            name=NAME,
            title="Lantern 1",
            description="A small Llama-architecture model, in general service for two and a half years.",
            engine={"kind": "transformers", "options": {}},
            weights_held=True,
            demonstration=True,
            weights_digest=BUILD["weights_digest"],
            registered_at="2026-08-01T09:10:00Z",
        ),
        resident=NAME,
        at="2026-08-01T09:10:00Z",
    )
    house.record(
        f"announce:{NAME}:1",
        "lifecycle.announced",
        axis(NAME, "offering", "active", "2024-03-04"),
        axis(NAME, "offering", "deprecated", "2026-08-01", reason="a newer model serves the same uses"),
        axis(NAME, "offering", "retired", "2026-10-31"),
        axis(NAME, "access", "open", "2024-03-04"),
        axis(NAME, "preservation", "held", "2026-08-02"),
        public={
            "events": [{"axis": "offering", "state": "retired", "date": "2026-10-31"}],
            "retired": "2026-10-31",
            "reason": "a newer model serves the same uses",
            "replacement": None,
            "notice_days": 60,
            "waive_notice": None,
        },
        resident=NAME,
        at="2026-08-01T09:20:00Z",
    )
    house.record(
        f"callers:{NAME}:1",
        "callers.imported",
        *(
            Caller(
                id=f"caller-{number}",
                resident=NAME,
                contact=f"private-{number}@example.org" if number < 4 else None,
                label=f"Secret Caller {number}",
                requests=100,
                last_used="2026-07-30",
                source="callers.csv",
            )
            for number in range(5)
        ),
        resident=NAME,
        at="2026-08-01T09:30:00Z",
        private_commitment=hashlib.sha256(b"callers").hexdigest(),
    )
    house.record(
        f"notices:{NAME}:1",
        "notices.sent",
        *(
            Notice(
                id=f"notice-{number}",
                resident=NAME,
                caller=f"caller-{number}",
                channel="mail" if number < 4 else "none",
                status="sent" if number < 4 else "no contact",
                at="2026-08-01T10:00:00Z",
                acknowledged_at="2026-08-03T08:00:00Z" if number == 1 else None,
            )
            for number in range(5)
        ),
        public={"announcement": f"announce:{NAME}:1", "sent": 4, "failed": 0, "no_contact": 1},
        resident=NAME,
        at="2026-08-01T10:00:00Z",
        who="emeritus",
        role="notices",
        automated=True,
    )


def kept(house: House) -> None:
    """Preserved, the restore proven, the reference captured."""
    house.record(
        f"preserve:{NAME}:weights",
        "preservation.preserved",
        Preserved(
            resident=NAME,
            role="weights",
            version=1,
            manifest_sha256=hashlib.sha256(b"manifest").hexdigest(),
            files=7,
            bytes=3_812_044,
            stored_bytes=2_604_981,
            at="2026-08-02T09:00:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:00:00Z",
    )
    house.record(
        f"restore:{NAME}:1",
        "preservation.checked",
        Check(
            resident=NAME,
            kind="restore",
            ok=True,
            summary="7 files restored, each byte for byte",
            detail={},
            at="2026-08-02T09:05:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:05:00Z",
    )
    house.record(
        f"reference:{NAME}:1",
        "reference.captured",
        Reference(
            resident=NAME,
            build=BUILD,
            build_digest=hashlib.sha256(b"build").hexdigest(),
            method="score",
            probes=24,
            payload_sha256=house.keep(b"{}"),
            at="2026-08-02T09:30:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:30:00Z",
    )
