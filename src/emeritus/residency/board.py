"""How the house is, as each serving process writes it down every few seconds, so that looking wakes and asks nobody.

A process's note is one small file in the home, replaced whole; one that has not been replaced for a while is of a
process that has ended, and is read no more. Knows no page and no command.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from emeritus.residency.status import HouseStatus, ResidentStatus

Json = dict[str, Any]
EVERY_S = 2.0  # how often a process looks whether its note is still true
GONE = timedelta(seconds=30)  # a note this old is of a process that has ended, or hangs as a whole


def note(url: str, now: datetime, residents: Iterable[ResidentStatus], house: HouseStatus | None) -> Json:
    """What a process says: its address, every resident asked for since it began, room, waiting, what is wrong."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "url": url,
        "at": now.isoformat(timespec="seconds"),
        "residents": [{**asdict(each), "since": each.since.isoformat(timespec="seconds")} for each in residents],
        "house": None if house is None else {**asdict(house), "problems": list(house.problems)},
    }


class Board:
    """The notes of a home's serving processes. Safe beside other processes."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "serving"

    def pin(self, told: Json) -> None:
        """Put a process's note in the place of its last one, and take down those of processes that have ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{told['host']}-{told['pid']}"
        temporary.write_text(json.dumps(told), encoding="utf-8")
        os.chmod(temporary, 0o600)
        os.replace(temporary, self._mine(told))
        for path, found in self._all():
            if _age(found, datetime.fromisoformat(told["at"])) > GONE:
                path.unlink(missing_ok=True)

    def take_down(self, told: Json) -> None:
        """Take a process's note down: it serves no more."""
        self._mine(told).unlink(missing_ok=True)

    def read(self, now: datetime) -> tuple[Json, ...]:
        """The notes of those that serve now, by host and process."""
        return tuple(found for _, found in self._all() if _age(found, now) <= GONE)

    def _mine(self, told: Json) -> Path:
        return self._folder / f"{told['host']}-{told['pid']}.json"

    def _all(self) -> list[tuple[Path, Json]]:
        found = []
        for path in sorted(self._folder.glob("[!.]*.json")):
            try:
                found.append((path, json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError):  # taken down in this moment, or not one of ours
                continue
        return found


def _age(found: Json, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(found["at"])
