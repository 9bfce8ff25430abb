"""The demonstration's trained model, and homes that begin with it, so that each test does not train anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def fresh_home(demo_model: Path, tmp_path: Path) -> Callable[[], Path]:
    """Make homes in which the demonstration's model is trained already and nothing else has happened."""
    made: list[Path] = []

    def make() -> Path:
        home = tmp_path / f"home-{len(made)}"
        (home / "demo").mkdir(parents=True)
        shutil.copytree(demo_model, home / "demo" / "model")
        made.append(home)
        return home

    return make
