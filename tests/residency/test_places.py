"""Budgets of host and devices as a home's settings state them, up to who leaves for whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.errors import BadSettings, Busy
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load

ANA = Actor("ana")
BYTES = '{"ada": {"cuda:0": 16}, "bea": {"host": 10, "cuda:0": 16}, "cat": {"host": 2000000}, "giant": {"cuda:0": 25}}'


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A home of two megabytes and a device of 24 bytes, with residents that a script answers for."""
    places = {"memory_budget_bytes": 2_000_010, "device_budgets": '{"cuda:0": 24}', "resident_bytes": BYTES}
    chosen = load(home=tmp_path / "home", patience_s=1, **places)
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    for name in ("ada", "bea", "cat", "giant", "heron"):
        opened.lifecycle.register(Registration(name, engine="scripted", options={}, weights_held=False), ANA)
    yield opened
    opened.close()


async def test_each_place_has_its_own_budget(app: App) -> None:
    """Two share a device by turns while a third has the host beside them; what never fits is refused by its place."""
    try:
        states = app.reviving.states
        async with app.awake("cat"), app.awake("heron"):
            async with app.awake("ada"):
                assert states() == {"cat": "awake", "heron": "awake", "ada": "awake"}
                with pytest.raises(Busy):
                    async with app.awake("bea", wait_s=0.05):
                        pytest.fail("the device has no room for both")
            async with app.awake("bea"):
                assert states() == {"cat": "awake", "heron": "awake", "ada": "asleep", "bea": "awake"}
                house = app.reviving.house()
                assert house is not None
                assert dict(house.used) == {"host": 2_000_010, "cuda:0": 16}
            with pytest.raises(Busy) as busy:
                async with app.awake("giant"):
                    pytest.fail("it is larger than the device")
            assert (busy.value.facts["bytes"], busy.value.facts["budget"]) == (25, 24)
            assert "cuda:0" in busy.value.message
    finally:
        await app.reviving.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_budgets": '{"cuda:0": "24 GB"}'},
        {"device_budgets": '{"cuda:0": -1}'},
        {"device_budgets": '{"cuda:0": true}'},
        {"device_budgets": '{"host": 5}'},
        {"device_budgets": "[1]"},
        {"resident_bytes": '{"ada": 5}'},
        {"resident_bytes": '{"ada": {"cuda:0": 1.5}}'},
    ],
)
def test_places_that_cannot_be_are_refused_before_a_home_is_opened(wrong: dict[str, Any], tmp_path: Path) -> None:
    """By the setting's name, not at the first wake."""
    with pytest.raises(BadSettings, match=next(iter(wrong))):
        load(home=tmp_path / "home", **wrong)
