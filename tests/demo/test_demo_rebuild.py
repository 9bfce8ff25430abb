"""After each step of the demonstration the database can be lost: ledger, payloads, journals and vault refill it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.cli.walkthrough import Walkthrough
from emeritus.records.tables import NOT_REBUILT, Base
from emeritus.settings import load
from emeritus.testing.demonstration import trained

Dump = dict[str, list[tuple[Any, ...]]]


def dump(app: App) -> Dump:
    """Every row of every projected table."""
    with app.database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name not in NOT_REBUILT
        }


def make(home: Path, **more: object) -> App:
    """An opened home with the demonstration's waivers."""
    waived = {"second_decider": "waived", "second_coder": "waived", "organisation": "Hedgerow (a demonstration)"}
    settings = load(home=home, **waived, **more)
    App.create(settings, Actor("test", "test", automated=True), keep=set(waived))
    return App.open(settings)


async def walk(app: App, number: int) -> None:
    """One step of the walk, its residents put to sleep afterwards."""
    _, step = Walkthrough(app, trained(app.settings.home / "demo" / "model")[0], quiet=True).steps()[number]
    try:
        done = step()
        if inspect.isawaitable(done):
            await done
    finally:
        await app.close_residency()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_database_deleted_after_each_step_is_rebuilt_as_it_was(fresh_home: Callable[[], Path]) -> None:
    """Every row of every projected table comes back, after each step, and the walk goes on from the rebuilt rows."""
    home = fresh_home()
    app = make(home)
    steps = len(Walkthrough(app, trained(home / "demo" / "model")[0], quiet=True).steps())
    grown = []
    for number in range(steps):
        asyncio.run(walk(app, number))
        before = dump(app)
        app.close()
        for file in home.glob("records.db*"):
            file.unlink()
        app = App.open(app.settings)
        assert dump(app) == before
        grown.append(len(before["acts"]))
        asyncio.run(walk(app, number))
        assert len(dump(app)["acts"]) == grown[-1], f"step {number} did something again"
    assert app.check().ok
    assert grown == sorted(grown)
    app.close()


@pytest.fixture
def on_postgres(fresh_home: Callable[[], Path], postgres_url: str) -> Iterator[App]:
    """A home whose records are in PostgreSQL."""
    app = make(fresh_home(), database_url=postgres_url)
    yield app
    app.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_walk_on_postgresql_and_a_rebuild_of_it(on_postgres: App) -> None:
    """The same program by a setting alone: retired, verified, and every row the same after a rebuild."""
    app = on_postgres
    resident = trained(app.settings.home / "demo" / "model")[0]
    asyncio.run(Walkthrough(app, resident, quiet=True).all())
    assert all(gate["green"] for gate in app.retirement.gates(resident.name))
    before = dump(app)
    assert app.acts.rebuild() == len(before["acts"])
    assert dump(app) == before
    assert app.check().ok
