"""SQLite databases that hold their tables already: the migrations run once in a process, and their file is copied.

Knows nothing of what is kept in them. Tests of the migrations themselves do not use it.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from emeritus.records.database import Database


@functools.cache
def _file() -> bytes:
    """A database's file as the migrations leave it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.db"
        database = Database.open(f"sqlite:///{path}")
        database.migrate()
        database.dispose()
        assert [each.name for each in Path(folder).iterdir()] == [path.name]  # nothing is left in a log beside it
        return path.read_bytes()


def fill(path: Path) -> None:
    """Put a migrated database's file where there is none yet."""
    with path.open("xb") as file:
        file.write(_file())


def migrated(path: Path) -> Database:
    """A new database at `path` with its tables. The caller disposes of it."""
    fill(path)
    database = Database.open(f"sqlite:///{path}")
    database.migrate()  # finds nothing to do
    return database
