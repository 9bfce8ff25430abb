"""What a verifier saw last: the log's key and checkpoint, kept outside it so that its past cannot change unseen."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from emeritus.errors import LedgerBroken


@dataclass(frozen=True, slots=True)
class Seen:
    """A verifier key line and a signed checkpoint."""

    vkey: str
    checkpoint: bytes

    @classmethod
    def read(cls, path: Path) -> Seen | None:
        """What was kept at `path`; None when nothing was. Raises LedgerBroken when the file is unreadable."""
        try:
            value = json.loads(path.read_bytes())
            return cls(str(value["vkey"]), str(value["checkpoint"]).encode())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise LedgerBroken(
                f"{path}, the checkpoint seen last, cannot be read",
                remedy="Restore the file from a copy; removing it means trusting the ledger as it is now.",
            ) from error

    def write(self, path: Path) -> None:
        """Keep this at `path`, durably, in place of what was there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            file.write(json.dumps({"vkey": self.vkey, "checkpoint": self.checkpoint.decode()}, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
