"""A home and the program on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cli_process import Emeritus, Said, emeritus_process


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a home is to be."""
    return tmp_path / "home"


@pytest.fixture
def emeritus(home: Path) -> Emeritus:
    """Run `emeritus` on the home; fails the test when the exit code is not the expected one."""

    def run(*arguments: str, code: int = 0, env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            emeritus_process(home, *arguments),
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "EMERITUS_DATABASE_URL": "", **(env or {})},
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.code == code, f"{arguments} ended with {said.code}\n{said.out}\n{said.err}"
        return said

    return run


@pytest.fixture
def made(emeritus: Emeritus) -> Emeritus:
    """`emeritus` on a home whose small group waived the second coder and the second decider."""
    emeritus("init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")
    return emeritus
