"""A ledger, a database and two residents to grant access to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from access_house import STEWARD, Clock, registered

from emeritus.access.policy import Standing
from emeritus.access.projection import PROJECTORS
from emeritus.access.service import Access
from emeritus.acts import Acts, Draft
from emeritus.blobs.local import LocalStore
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database

ORIGIN = "test.example/ledger"


@pytest.fixture
def clock() -> Clock:
    """Noon of 1 March 2027, UTC."""
    return Clock()


@pytest.fixture
def acts(tmp_path: Path, database: Database, clock: Clock) -> Acts:
    """Acts over a real ledger, with the residents `ibis` and `heron` registered."""
    key = SigningKey.generate(ORIGIN)
    store = LocalStore(tmp_path / "home")
    ledger = Ledger.create(LocalStore(tmp_path / "ledger"), key, ORIGIN, tmp_path / "ledger.lock")
    acts = Acts(ledger, database, store, {**PROJECTORS, "test.registered": registered}, clock)
    for name in ("ibis", "heron"):
        acts.perform(f"register:{name}", STEWARD, lambda _, name=name: Draft("test.registered", name))
    return acts


@pytest.fixture
def access(acts: Acts, database: Database, clock: Clock) -> Iterator[Access]:
    """The service, closed at the end; both residents answer by request."""
    access = Access(acts, database, clock)
    for name in ("ibis", "heron"):
        access.set_tier(name, Standing("on-demand", "by request"), "asked for", STEWARD)
    yield access
    access.close()
