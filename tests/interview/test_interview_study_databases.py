"""Studies on SQLite and on PostgreSQL: logged, held, found again, and rebuilt from the ledger."""

from __future__ import annotations

from pathlib import Path

from interview_house import BRIEFING, NAME, talker
from interview_walk import ANA, BEN
from sqlalchemy import select
from study_protocol import full_protocol

from emeritus.acts import Acts
from emeritus.blobs.local import LocalStore
from emeritus.interview.projection import PROJECTORS
from emeritus.interview.service import Interviews
from emeritus.interview.studies.service import Pace
from emeritus.interview.studies.study import Subject, Wanted, plan_study
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import InterviewSession, Study
from emeritus.settings import Settings
from feature_home import Clock


async def test_a_study_is_the_same_on_every_database(database: Database, tmp_path: Path) -> None:
    """Its plan, what is over of more sessions than a query takes, what stands for it, and the rows after a rebuild."""
    key = SigningKey.generate("example.org/test")
    ledger = Ledger.create(LocalStore(tmp_path / "ledger"), key, "example.org/test", tmp_path / "ledger.lock")
    acts = Acts(ledger, database, LocalStore(tmp_path), PROJECTORS, Clock())
    settings = Settings(home=tmp_path, second_coder="waived")
    interviews = Interviews(acts, database, tmp_path / "journals", settings)
    protocol = full_protocol(2)
    interviews.log_protocol(protocol, ANA)
    large = plan_study(protocol, Wanted(Subject(NAME, BRIEFING), 3, 400, ("disclosure", "facts"), 2**31 - 1))
    interviews.studies.log(large, ANA)
    small = plan_study(protocol, Wanted(Subject(NAME, BRIEFING), 3, 1, ("disclosure", "facts"), control=False))
    interviews.studies.log(small, ANA)
    await interviews.studies.hold(talker(), large, large.sessions[-1].session, ANA)
    assert interviews.studies.finished(large) == {large.sessions[-1].session}
    assert await interviews.studies.run(talker(), small, NAME, ANA, Pace(2)) == len(small.sessions)
    assert interviews.studies.study(large.id) == large
    assert interviews.propose(NAME, BEN)
    assert interviews.running() == []

    def rows() -> list[list[object]]:
        with database.reading() as session:
            return [
                [tuple(row) for row in session.execute(select(table.__table__).order_by(table.id))]
                for table in (Study, InterviewSession)
            ]

    before = rows()
    acts.rebuild()
    assert rows() == before
    assert [len(each) for each in before] == [2, len(small.sessions) + 1]
