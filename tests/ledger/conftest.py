"""A lock file and a log over several tiles, for the ledger's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_stores import KEY, ORIGIN, MemoryStore, fill

from emeritus.ledger.log import Ledger


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Where the lock file is."""
    return tmp_path / "lock"


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    """A log of 515 entries: two full tiles and a partial one. Copy it before changing it."""
    store = MemoryStore()
    fill(Ledger.create(store, KEY, ORIGIN, tmp_path_factory.mktemp("grown") / "lock"), 515)
    return store
