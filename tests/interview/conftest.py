"""A home with interview's acts, and its service under the default policy and under a waived one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emeritus.interview.projection import PROJECTORS
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.service import Interviews
from emeritus.settings import Settings
from feature_home import FeatureHome, make_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FeatureHome]:
    """A home with nothing in it yet."""
    made = make_home(tmp_path, PROJECTORS)
    yield made
    made.database.dispose()


@pytest.fixture
def strict(home: FeatureHome) -> Interviews:
    """The service under the default policy: second people are required."""
    return Interviews(home.acts, home.database, home.folder / "journals", Settings(home=home.folder))


@pytest.fixture
def interviews(home: FeatureHome) -> Interviews:
    """The service of a group that waived the second coder."""
    settings = Settings(home=home.folder, second_coder="waived")
    return Interviews(home.acts, home.database, home.folder / "journals", settings)


@pytest.fixture
def protocol() -> Protocol:
    """The short protocol that ships."""
    return load()
