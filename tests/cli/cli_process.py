"""The command line as a program: each call is a process of its own, as a user's would be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a call printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON it printed."""
        return json.loads(self.out)


Emeritus = Callable[..., Said]


def emeritus_process(home: Path, *arguments: str) -> list[str]:
    """The command line of one call."""
    return [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), *arguments]
