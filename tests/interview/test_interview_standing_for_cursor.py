"""Reading the last interview leaves no cursor open, on either database."""

from __future__ import annotations

import gc
import warnings

from emeritus.interview.register.standing_for import last_interview
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, InterviewSession


def test_stopping_at_the_first_session_closes_its_cursor(database: Database) -> None:
    """A server's cursor that is dropped while open warns, and holds its transaction's memory."""
    with database.session() as session:
        session.add(
            ActRow(
                id="a",
                seq=0,
                kind="k",
                resident="wren",
                actor="a",
                role="r",
                automated=False,
                at="2026-01-01T00:00:00Z",
                public={},
                payloads={},
                private_withheld=False,
            )
        )
        session.flush()
        for number in range(500):
            session.add(
                InterviewSession(
                    id=f"s{number:03}",
                    resident="wren",
                    purpose="interview",
                    condition={"id": "baseline"},
                    protocol_sha256="f" * 64,
                    journal="x",
                    journal_sha256="j" * 64,
                    turns=1,
                    attempts=1,
                    status="complete",
                    build={},
                    started_at="2026-01-01T00:00:00Z",
                    ended_at="2026-01-01T00:00:00Z",
                    act="a",
                )
            )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with database.reading() as session:
            found = last_interview(session, "wren")
            assert found is not None
            assert found.id == "s499"
            assert last_interview(session, "finch") is None
        gc.collect()
    assert [str(each.message) for each in caught] == []
