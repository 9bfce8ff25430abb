"""The second configuration: the engine's choice or the setting's, woken and put to sleep, left out where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.errors import BadSettings, Busy, EngineFailed
from emeritus.lifecycle.registration import Registration
from emeritus.preservation import certificate, queries
from emeritus.preservation.queries import PreservationState
from emeritus.records.tables import Resident
from emeritus.reviving import OTHERWISE
from emeritus.settings import load as settings
from emeritus.testing.model import random_model

ANA = Actor("ana")
NAME = "voice-1"
Home = Callable[..., App]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Opens a home that keeps a small model's files, under the settings given."""
    opened: list[App] = []

    def make(engine: str = "scripted", **chosen: Any) -> App:
        taken = settings(home=tmp_path / "home", engine_threads=1, **chosen)
        App.create(taken, ANA, keep=set())
        app = App.open(taken)
        opened.append(app)
        random_model(tmp_path / "model")
        app.retirement.take_in(Registration(NAME, engine=engine), tmp_path / "model", ANA)
        return app

    yield make
    for app in opened:
        app.close()


def kept(app: App) -> PreservationState:
    """What is recorded."""
    with app.database.reading() as session:
        return queries.preservation(session, NAME)


async def test_the_second_configuration_sleeps_when_its_reference_is_captured(home: Home) -> None:
    """Two references, one calibration between them; only the configuration that serves is awake afterwards."""
    app = home()
    await app.retirement.capture_reference(NAME, ANA)
    states = {each.name: each.state for each in app.residency.status()}
    assert states == {NAME: "awake", f"{NAME}{OTHERWISE}": "asleep"}
    await app.close_residency()
    second, first = kept(app).references
    assert second.build["config"]["rounding"] == "'"
    (made,) = kept(app).calibrations
    assert (made.build_digest, made.build_digests) == (first.build_digest, (first.build_digest, second.build_digest))
    size = app.ledger.size
    await app.retirement.capture_reference(NAME, ANA)
    await app.close_residency()
    assert app.ledger.size == size


def test_the_setting_names_the_second_configuration(home: Home) -> None:
    """Options of the engine, over the resident's own."""
    app = home(second_configuration='{"rounding": "by hand", "threads": 2}')
    app.run(app.retirement.capture_reference(NAME, ANA))
    assert kept(app).references[0].build["config"]["rounding"] == "by hand"


@pytest.mark.parametrize("wrong", ["{", "[]", "rounding"])
def test_a_second_configuration_that_is_no_object_is_refused(tmp_path: Path, wrong: str) -> None:
    """By the settings, before a home is opened."""
    with pytest.raises(BadSettings, match="second_configuration"):
        settings(home=tmp_path, second_configuration=wrong)


@pytest.mark.parametrize("wrong", ['{"colour": 1}', '{"threads": "two"}', '{"threads": true}', '{"threads": -1}'])
def test_options_the_engine_does_not_have_are_refused(home: Home, wrong: str) -> None:
    """When the reference is captured; the first one stands, and a corrected setting goes on from it."""
    app = home(second_configuration=wrong)
    with pytest.raises(BadSettings):
        app.run(app.retirement.capture_reference(NAME, ANA))
    assert len(kept(app).references) == 1
    assert kept(app).calibrations == ()


def test_a_second_configuration_that_cannot_be_woken_is_left_out(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """The draws alone calibrate the drill, which then passes under the one configuration there is."""
    app = home("transformers", second_configuration='{"load_timeout_s": 0.001}')
    with caplog.at_level(logging.WARNING):
        app.run(app.retirement.capture_reference(NAME, ANA))
    assert "second configuration" in caplog.text
    (made,) = kept(app).calibrations
    assert len(made.build_digests) == len(kept(app).references) == 1
    act = app.run(app.retirement.drill(NAME, ANA))
    assert act.public["detail"]["verdict"] == certificate.SAME


def test_a_full_house_says_nothing_of_a_resident(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill that finds no room is raised, not certified; one that cannot be revived is certified as that."""
    app = home()
    app.run(app.retirement.capture_reference(NAME, ANA))

    async def full(name: str) -> Any:
        raise Busy("no room", retry_after_s=10)

    monkeypatch.setattr(app.reviving, "open_engine", full)
    with pytest.raises(Busy):
        app.run(app.retirement.drill(NAME, ANA))
    assert kept(app).certificates == ()
    monkeypatch.undo()
    packs = app.settings.home / "vault" / "packs"
    packs.rename(packs.with_name("away"))
    (app.settings.home / "cache").rename(app.settings.home / "cache-away")
    (app.settings.home / "cache").mkdir()
    act = app.run(app.retirement.drill(NAME, ANA))
    assert act.public["ok"] is False
    assert kept(app).certificates[0].verdict in (certificate.ASLEEP, certificate.LOST)


async def test_options_for_all_embedded_engines(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting reaches every embedded engine that is opened; what it cannot have is refused when one is."""
    app = home("transformers", engine_options='{"batching": "together", "at_once": 3}')
    async with app.residency.awake(NAME, wait_s=60) as awake:
        assert awake.build.config["batch"] == 3
    await app.close_residency()
    refused = app.settings.model_copy(update={"engine_options": '{"batching": "apart"}'})
    monkeypatch.setattr(app.reviving, "_settings", refused)
    with pytest.raises(EngineFailed, match=r"EM106.*batching"):
        async with app.residency.awake(NAME, wait_s=60):
            pass
    await app.close_residency()


async def test_what_runs_elsewhere_takes_no_room_here(home: Home) -> None:
    """A resident whose model runs in a cluster is held without a byte of this machine's budget."""
    app = home()
    assert app.reviving.need_of(NAME) == {"host": app.vault.manifest(NAME).total_bytes}
    with app.database.session() as session:
        session.get_one(Resident, NAME).engine = {"kind": "ray", "options": {}}
    assert app.reviving.need_of(NAME) == {}
