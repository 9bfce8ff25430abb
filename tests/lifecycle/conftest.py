"""A home with lifecycle's acts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emeritus.lifecycle.projection import PROJECTORS
from emeritus.lifecycle.service import Lifecycle
from emeritus.settings import Settings
from feature_home import FeatureHome, make_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FeatureHome]:
    """A home with nothing in it yet."""
    made = make_home(tmp_path, PROJECTORS)
    yield made
    made.database.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, and a public address."""
    return Settings(home=tmp_path, organisation="Example Lab", base_url="https://example.org/")


@pytest.fixture
def lifecycle(home: FeatureHome, settings: Settings) -> Lifecycle:
    """The service under test."""
    return Lifecycle(home.acts, home.database, settings)
