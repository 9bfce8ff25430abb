"""What the API lists says the same as the features' own queries, from a few queries for all residents together."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from emeritus.access import queries as access
from emeritus.access.policy import Standing
from emeritus.errors import NotFound
from emeritus.gateway.listing import Listing
from emeritus.lifecycle import queries as lifecycle
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, AxisEvent, Resident, Tier, Wake

NOW = "2026-06-10T12:00:00Z"  # a Wednesday
NAMES = ("crow", "heron", "ibis", "wren")
EVENTS = (
    ("ibis", "offering", "deprecated", "2026-01-01"),
    ("ibis", "offering", "retired", "2026-08-01"),
    ("ibis", "offering", "retired", "2026-06-10"),
    ("ibis", "access", "by request", "2026-06-10"),
    ("ibis", "preservation", "stored", "2026-02-01"),
    ("ibis", "preservation", "proven", "2026-02-01"),
    ("heron", "offering", "deprecated", "2026-09-01"),
    ("wren", "preservation", "proven", "2026-03-01"),
    ("wren", "preservation", "stored", "2026-02-01"),
    ("wren", "preservation", "proven", "2026-01-01"),
)
TIERS = (
    ("ibis", "awake", "open", None),
    ("ibis", "hours", "by request", "mon-fri 14:00-15:00"),
    ("heron", "on-demand", "entitled", None),
    ("wren", "on-demand", "none", None),
)


@pytest.fixture
def acts(database: Database) -> itertools.count[int]:
    """Four residents with dates and tiers, each row by an act of its own; gives the next act's number."""
    numbers = itertools.count(1)
    for name in NAMES:
        write(
            database,
            next(numbers),
            Resident(
                name=name,
                title=name.title(),
                description="",
                engine={"kind": "scripted"},
                weights_held=True,
                demonstration=False,
                weights_digest=None,
                registered_at="2025-12-01T10:00:00Z",
            ),
        )
    for name, axis, state, date in EVENTS:
        row = AxisEvent(resident=name, axis=axis, state=state, date=date, precision="day", reason="")
        write(database, next(numbers), row)
    for name, tier, who, hours in TIERS:
        row = Tier(resident=name, tier=tier, access=who, hours=hours, reasons="", at=NOW)
        write(database, next(numbers), row)
    return numbers


def write(database: Database, number: int, row: object) -> None:
    """A row and the act behind it, in one transaction as acts write them."""
    act = ActRow(
        id=f"a{number}", seq=number, kind="t", resident=None, actor="ana", role="", automated=False, at=NOW, public={}
    )
    act.payloads = {}
    row.act = act.id
    with database.session() as session:
        session.add(act)
        session.flush()
        session.add(row)


def listing(database: Database) -> Listing:
    """The listing under test."""
    return Listing(database, "Test House", "https://house.example")


@pytest.mark.usefixtures("acts")
def test_it_says_what_the_features_say(database: Database) -> None:
    """Offering, preservation, dates, tier and access of each resident are those of its timeline and access state."""
    listed, dates = listing(database), ("2026-01-15T00:00:00Z", NOW, "2026-12-01T14:30:00Z")
    compared = [(now, info) for now in dates for info in listed.all(now, {})]
    assert len(compared) == len(dates) * len(NAMES)
    for now, info in compared:
        with database.reading() as session:
            timeline = lifecycle.timeline(session, info.name, now)
            tier = access.access_state(session, info.name, now).tier
        standing = tier.standing if tier else Standing()
        answers = standing.may_answer(datetime.fromisoformat(now))
        assert info.offering == (timeline.offering.state if timeline.offering else "active")
        assert info.preservation == (timeline.preservation.state if timeline.preservation else "none")
        assert (info.tier, info.access, info.hours) == (standing.tier, standing.access, standing.hours)
        assert info.reachable == (standing.access != "none" and answers.now)
        for state, moment in (("deprecated", info.deprecated), ("retired", info.retires)):
            dated = timeline.first("offering", state)
            assert moment == (datetime.fromisoformat(dated.date).replace(tzinfo=UTC) if dated else None)


@pytest.mark.usefixtures("acts")
def test_names_are_in_order_and_one_is_found_among_them(database: Database) -> None:
    """The list goes by name; one resident is the same as in the list, and an unknown one is not found."""
    listed = listing(database)
    assert tuple(info.name for info in listed.all(NOW, {})) == NAMES
    assert listed.one("ibis", NOW, {}) == listed.all(NOW, {})[2]
    with pytest.raises(NotFound):
        listed.one("dodo", NOW, {})


@pytest.mark.usefixtures("acts")
def test_visiting_hours_and_states_are_asked_each_time(database: Database) -> None:
    """Without any act in between, hours begin, residents wake, and a wake's expected time is told while asleep."""
    listed = listing(database)
    with database.session() as session:
        session.add(Wake(resident="heron", at=NOW, seconds=12.5, way="cache", outcome="ok"))
    closed, opened = listed.one("ibis", NOW, {}), listed.one("ibis", "2026-06-10T14:00:00Z", {})
    assert (closed.reachable, opened.reachable) == (False, True)
    assert closed.reachable_at == datetime(2026, 6, 10, 14, tzinfo=UTC)
    asleep, awake = listed.one("heron", NOW, {}), listed.one("heron", NOW, {"heron": "awake"})
    assert (asleep.state, asleep.expected_wake_s) == ("asleep", 12.5)
    assert (awake.state, awake.expected_wake_s) == ("awake", None)


def test_an_act_is_seen_at_once_and_nothing_is_read_twice(database: Database, acts: itertools.count[int]) -> None:
    """Unchanged, a list costs one query however many residents there are; what an act changes is in the next list."""
    listed = listing(database)
    listed.all(NOW, {})
    statements: list[str] = []
    event.listen(database._readers, "before_cursor_execute", lambda *given: statements.append(given[2]))
    listed.all(NOW, {})
    assert [text for text in statements if text.lstrip().upper().startswith("SELECT")] == [
        "SELECT max(acts.seq) AS max_1 \nFROM acts"
    ]
    write(
        database,
        next(acts),
        AxisEvent(resident="crow", axis="offering", state="retired", date="2026-06-01", precision="day", reason=""),
    )
    assert listed.one("crow", NOW, {}).offering == "retired"
