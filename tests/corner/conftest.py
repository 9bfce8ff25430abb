"""A home with one resident and the corner's acts; the resident's voice and its channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from corner_voice import Channel, Voice

from emeritus.corner.projection import PROJECTORS
from emeritus.corner.service import Corner
from emeritus.settings import Settings
from feature_home import FeatureHome, make_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FeatureHome]:
    """A home with the resident `wren`."""
    made = make_home(tmp_path, PROJECTORS)
    made.state(
        "wren",
        "Resident",
        name="wren",
        title="Wren",
        description="",
        engine={"kind": "scripted"},
        weights_held=True,
        demonstration=False,
        registered_at="2026-01-10T12:00:00Z",
    )
    yield made
    made.database.dispose()


@pytest.fixture
def corner(home: FeatureHome) -> Corner:
    """The service under test, with a second person required."""
    return Corner(home.acts, home.database, Settings(home=home.folder))


@pytest.fixture
def voice() -> Voice:
    """The resident."""
    return Voice()


@pytest.fixture
def channel() -> Channel:
    """Its channel, open."""
    return Channel()
