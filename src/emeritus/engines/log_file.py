"""Where a started process's own output goes: one file per model, appended to, of bounded size. Knows no engine.

A file that has grown too large becomes `NAME.1`, whose place the next one takes: at most twice `MOST` per model.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from emeritus.errors import EngineFailed

MOST = 8 << 20  # bytes


def open_log(path: Path) -> BinaryIO:
    """The file, its folder made, a dated line written. Raises EngineFailed when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = _opened(path, MOST)
        log.write(f"--- started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
    except OSError as error:
        raise EngineFailed(
            f"the engine's log {path.name} cannot be written: {error.strerror}",
            remedy="Free space, or make the home's logs folder writable.",
        ) from error
    return log


def keep_log(source: int, path: Path, most: int = MOST) -> None:
    """Copy what a descriptor gives into the file until it ends, and close it.

    What cannot be written is lost, and holds up nobody.
    """
    log: BinaryIO | None = None
    written = 0
    while data := os.read(source, 1 << 16):
        with contextlib.suppress(OSError):
            if log is None or written + len(data) > most:
                if log is not None:
                    log.close()
                log = _opened(path, most - len(data))
                written = path.stat().st_size
            log.write(data)
            written += len(data)
    os.close(source)
    if log is not None:
        log.close()


def _opened(path: Path, most: int) -> BinaryIO:
    if path.exists() and path.stat().st_size > most:
        os.replace(path, path.with_name(f"{path.name}.1"))
    return path.open("ab", buffering=0)
