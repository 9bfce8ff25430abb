"""The command line as a program: each call is a process of its own, as a user's would be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from warm_program import Said

Emeritus = Callable[..., Said]


def emeritus_process(home: Path, *arguments: str) -> list[str]:
    """The command line of one call."""
    return [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), *arguments]
