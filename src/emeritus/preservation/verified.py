"""What is remembered of cached files that were verified: a wake need not read them again before it answers.

A record names the machine's start, when the files were verified, and of each its size, times, inode and device. It
stands for the bytes until any of that differs, the machine is started anew, or its time is over: docs/adr/0014 says
what that catches and what it does not. Knows no vault.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from emeritus.preservation.keeper import KeptFile

Json = dict[str, Any]
SETTLED_NS = 2_000_000_000  # a file changed this shortly before may be changed again within the same tick of its clock
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Verified:
    """The record beside one cached folder. `trust_s` 0: nothing is remembered."""

    def __init__(self, folder: Path, manifest_sha256: str, trust_s: float) -> None:
        self._folder = folder
        self._path = folder.with_name(f"{folder.name}.verified")
        self._manifest = manifest_sha256
        self._trust_s = trust_s

    def look(self, files: Sequence[KeptFile]) -> Json | None:
        """What would be remembered of these files as they are now; None where they cannot be told apart later."""
        boot = _boot()
        if boot is None or self._trust_s <= 0:
            return None
        now = time.time_ns()
        states: dict[str, list[int]] = {}
        for file in files:
            try:
                found = os.lstat(self._folder / file.path)
            except OSError:
                return None
            if found.st_size != file.size or abs(now - found.st_ctime_ns) < SETTLED_NS:
                return None
            states[file.path] = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]
        return {"manifest": self._manifest, "boot": boot, "files": states}

    def holds(self, files: Sequence[KeptFile]) -> bool:
        """Whether exactly these files were verified, not too long ago, and nothing about them has changed since."""
        seen = self.look(files)
        if seen is None:
            return False
        try:
            known = json.loads(self._path.read_text(encoding="ascii"))
            age = time.time() - float(known.pop("at"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return bool(known == seen and 0 <= age < self._trust_s)

    def note(self, before: Json | None, files: Sequence[KeptFile]) -> None:
        """These were verified just now; `before` is what `look` said before that. Nothing is noted if they changed."""
        if before is None or before != self.look(files):
            return
        new = self._path.with_name(f".{secrets.token_hex(8)}.verified")
        try:
            new.write_text(json.dumps({**before, "at": time.time()}), encoding="ascii")
            os.replace(new, self._path)
        except OSError:  # they are verified again, then
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def forget(self) -> None:
        """They are not to be trusted."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _boot() -> str | None:
    """What names this start of the machine; None where the system does not say."""
    try:
        return _BOOT.read_text(encoding="ascii").strip() or None
    except OSError:
        return None
