"""A home and the program on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import Emeritus

from warm_program import Said, Warm


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a home is to be."""
    return tmp_path / "home"


@pytest.fixture
def emeritus(home: Path, warm: Warm) -> Emeritus:
    """Run `emeritus` on the home; fails the test when the exit code is not the expected one."""
    program = replace(warm, home=home)

    def run(*arguments: str, code: int = 0, env: dict[str, str] | None = None) -> Said:
        said = program.say(*arguments, env=env)
        assert said.code == code, f"{arguments} ended with {said.code}\n{said.out}\n{said.err}"
        return said

    return run


@pytest.fixture
def made(emeritus: Emeritus) -> Emeritus:
    """`emeritus` on a home whose small group waived the second coder and the second decider."""
    emeritus("init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")
    return emeritus
