"""Wakes are written down in the background, the newest kept, and what to expect is read from them."""

from __future__ import annotations

import pytest

from emeritus.errors import DatabaseUnavailable
from emeritus.records.database import Database
from emeritus.records.tables import Wake
from emeritus.residency.queries import LAST, expected_wake_s, expected_wakes
from emeritus.residency.wakes import KEPT, WakeLog, Way, Woke


def woke(seconds: float, way: Way = "cache", outcome: str = "ok", name: str = "ada") -> Woke:
    """One wake."""
    return Woke(name, "2026-07-06T09:00:00Z", seconds, way, outcome)


def record(database: Database, *wakes: Woke) -> None:
    """Have them written, and wait for that."""
    log = WakeLog(database)
    for each in wakes:
        log.record(each)
    log.close()


def test_median_of_the_last_by_the_newest_way(database: Database) -> None:
    """Failures and wakes of another way do not count; old ones stop counting."""
    with database.reading() as session:
        assert expected_wake_s(session, "ada") is None
    record(database, woke(90, "memory"), *(woke(50) for _ in range(3)), *(woke(s) for s in (1, 2, 3, 4, 5, 6, 7, 8, 9)))
    record(
        database, woke(0.1, outcome="EM402"), woke(4, name="bea", way="upstream"), woke(9, name="cat", outcome="EM406")
    )
    with database.reading() as session:
        assert LAST == 9
        assert expected_wake_s(session, "ada") == 5
        assert expected_wake_s(session, "ada", "memory") == 90
        assert expected_wake_s(session, "ada", "upstream") is None
        assert expected_wakes(session) == {"ada": 5, "bea": 4}


def test_only_the_newest_are_kept(database: Database) -> None:
    """The table does not grow with the years; another resident's wakes stay."""
    record(database, woke(3, name="bea"), *(woke(second) for second in range(KEPT + 20)))
    with database.reading() as session:
        assert expected_wakes(session) == {"ada": KEPT + 20 - 1 - LAST // 2, "bea": 3}
        assert session.query(Wake).where(Wake.resident == "ada").count() == KEPT


def test_a_database_out_of_reach_harms_nobody(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A wake that cannot be written is logged, and the one that woke hears nothing of it."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('none')}/missing/records.db")
    with pytest.raises(DatabaseUnavailable), database.reading() as session:
        expected_wakes(session)
    record(database, woke(1))
    assert "could not be written down" in caplog.text
