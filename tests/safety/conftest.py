"""A home with the safety measurement's acts, its service, and the scenarios that ship."""

from pathlib import Path

import pytest
from safety_house import SafetyHome

from emeritus.acts import Acts
from emeritus.blobs.local import LocalStore
from emeritus.interview.safety.projection import PROJECTORS
from emeritus.interview.safety.scenarios import ScenarioSet, load
from emeritus.interview.safety.service import Safety
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database


@pytest.fixture
def home(tmp_path: Path, database: Database) -> SafetyHome:
    """A home with nothing in it yet, over each kind of database."""
    key = SigningKey.generate("example.org/test")
    ledger = Ledger.create(LocalStore(tmp_path / "ledger"), key, "example.org/test", tmp_path / "ledger.lock")
    acts = Acts(ledger, database, LocalStore(tmp_path), PROJECTORS)
    return SafetyHome(tmp_path, database, acts, Safety(acts, database, tmp_path / "journals"))


@pytest.fixture
def scenarios() -> ScenarioSet:
    """The set that ships."""
    return load()
