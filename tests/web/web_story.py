"""The story the test house tells: one model retired with everything, one announced whose weights are not held."""

from __future__ import annotations

from web_after import essays, retired
from web_asked import interviewed, register
from web_house import House
from web_kept import axis, kept, registered

from emeritus.records.tables import Check, Resident, Wait


def tell(house: House) -> None:
    """Write the whole story."""
    retired_model(house)
    hosted_model(house)


def retired_model(house: House) -> None:
    """A demonstration model that has walked the whole way."""
    registered(house)
    kept(house)
    interviewed(house)
    register(house)
    retired(house)
    essays(house)


def hosted_model(house: House) -> None:
    """A model behind an API: announced, not yet retired, its weights not held, its last check failed."""
    name = "ferry-chat"
    house.record(
        f"register:{name}",
        "lifecycle.registered",
        Resident(
            name=name,
            title="Ferry Chat",
            description="A customer-service model at a hosting provider, reached through its API.",
            engine={"kind": "upstream", "options": {}},
            weights_held=False,
            demonstration=False,
            weights_digest=None,
            registered_at="2026-10-02T10:00:00Z",
        ),
        resident=name,
        at="2026-10-02T10:00:00Z",
    )
    house.record(
        f"announce:{name}:1",
        "lifecycle.announced",
        axis(name, "offering", "active", "2025-02-01"),
        axis(name, "offering", "deprecated", "2026-10-02", reason="its host withdraws it"),
        axis(name, "offering", "retired", "2027-01-01", "quarter"),
        axis(name, "preservation", "behaviour only", "2026-10-02"),
        Wait(
            id=f"retire:{name}",
            resident=name,
            what=f"retire {name}: its announced date",
            due="2027-01-01",
            opened_at="2026-10-02T10:05:00Z",
        ),
        public={
            "events": [{"axis": "offering", "state": "retired", "date": "2027-01-01"}],
            "notice_days": 60,
            "waive_notice": None,
        },
        resident=name,
        at="2026-10-02T10:05:00Z",
    )
    house.record(
        f"drill:{name}:1",
        "preservation.checked",
        Check(
            resident=name,
            kind="drill",
            ok=False,
            summary="the host did not answer within 120 s",
            detail={},
            at="2026-11-20T04:41:00Z",
        ),
        resident=name,
        at="2026-11-20T04:41:00Z",
        who="emeritus serve",
        role="schedule",
        automated=True,
    )
