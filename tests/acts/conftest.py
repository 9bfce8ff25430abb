"""Homes of acts, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acts_house import Home

from emeritus.records.database import Database
from migrated import migrated


@pytest.fixture
def home(tmp_path: Path, database: Database) -> Home:
    """An empty home on each kind of database."""
    return Home(tmp_path, database)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Iterator[Home]:
    """An empty home on SQLite, for tests in which the database plays no part of its own."""
    database = migrated(tmp_path / "records.db")
    yield Home(tmp_path, database)
    database.dispose()
