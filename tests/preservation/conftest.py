"""A home with a resident whose weights are held and one whose weights are not, over a keeper of folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kept_folders import FolderKeeper, Mind

from emeritus.preservation.drills import Drills
from emeritus.preservation.projection import PROJECTORS
from emeritus.preservation.service import Preservation
from feature_home import FeatureHome, make_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FeatureHome]:
    """A home with `wren` (weights held) and `robin` (weights elsewhere)."""
    made = make_home(tmp_path / "home", PROJECTORS)
    for name in ("wren", "robin"):
        made.state(
            name,
            "Resident",
            name=name,
            title=name,
            description="",
            engine={"kind": "scripted"},
            weights_held=name == "wren",
            demonstration=False,
            registered_at="2026-01-10T12:00:00Z",
        )
    yield made
    made.database.dispose()


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    """Where files are kept."""
    return FolderKeeper(tmp_path / "kept")


@pytest.fixture
def preservation(home: FeatureHome, keeper: FolderKeeper) -> Preservation:
    """The service under test."""
    return Preservation(home.acts, home.database, keeper, home.folder)


@pytest.fixture
def drills(home: FeatureHome, keeper: FolderKeeper) -> Drills:
    """The drills under test, over the same keeper."""
    return Drills(home.acts, home.database, keeper, home.folder)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a model's files."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "model.safetensors").write_bytes(bytes(range(256)))
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture
def mind() -> Mind:
    """The resident, awake."""
    return Mind()
