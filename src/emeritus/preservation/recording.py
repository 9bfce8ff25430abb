"""What every act of preservation does alike: files into the vault, a restore compared, and how a check is recorded.

Knows the vault by its protocol; decides nothing and performs no act.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emeritus.errors import StoreError, StoreFull, StoreUnavailable
from emeritus.preservation.cache import locked
from emeritus.preservation.comparing import differences
from emeritus.preservation.keeper import Keeper, Kept, Progress, Role

Json = dict[str, Any]
_MOST_PROBLEMS = 50  # lines of a check's record; a statement has room for no more, and the count is exact


def keep_files(vault: Keeper, home: Path, name: tuple[str, Role], files: Mapping[str, bytes]) -> Kept:
    """Keep files made here as the newest set of a resident's role."""
    resident, role = name
    (home / "cache").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{role}-", dir=home / "cache") as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        return vault.preserve(Path(folder), resident, role=role)


def restore_compared(
    vault: Keeper, home: Path, resident: str, progress: Progress | None
) -> tuple[list[str], StoreError | None]:
    """Restore every file into a folder, compare each with the manifest, delete the folder.

    One line for each difference, and what the vault raised where it gave nothing. Raises StoreFull and
    StoreUnavailable: without room or store nothing is proven either way.
    """
    manifest = vault.manifest(resident)
    proofs = home / "cache" / "proofs"
    proofs.mkdir(parents=True, exist_ok=True)
    with locked(proofs / "lock"):
        for leftover in proofs.glob("proof-*"):  # of a process that died during a proof
            shutil.rmtree(leftover)
        folder = proofs / f"proof-{secrets.token_hex(4)}"
        try:
            vault.restore(resident, folder, progress=progress)
            return differences(folder, manifest.files), None
        except (StoreFull, StoreUnavailable):
            raise
        except StoreError as error:
            return [error.message], error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def kept_fields(role: Role, manifest: Kept) -> Json:
    """A set of files as an act states it."""
    return {
        "role": role,
        "version": manifest.version,
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "stored_bytes": manifest.stored_bytes,
        "weights_digest": manifest.weights_digest if role == "weights" else None,
    }


def problems(lines: Sequence[str]) -> Json:
    """What a check found wrong, as its record states it."""
    return {"problems": [line[:500] for line in lines[:_MOST_PROBLEMS]], "problem_count": len(lines)}
