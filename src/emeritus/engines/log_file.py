"""Where a started process's own output goes: one file per model, appended to. Knows no engine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from emeritus.errors import EngineFailed


def open_log(path: Path) -> BinaryIO:
    """The file, its folder made, a dated line written. Raises EngineFailed when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("ab", buffering=0)
        log.write(f"--- started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
    except OSError as error:
        raise EngineFailed(
            f"the engine's log {path.name} cannot be written: {error.strerror}",
            remedy="Free space, or make the home's logs folder writable.",
        ) from error
    return log
