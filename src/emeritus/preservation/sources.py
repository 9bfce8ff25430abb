"""A resident's files for an engine: restored from the vault into a local cache, every byte verified each time.

The cache is no archive: whatever in it is missing, damaged or too much is thrown away and restored again. Safe beside
other processes: one lock for each resident, and a folder appears whole by one rename. Knows no table and no engine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from emeritus.errors import IntegrityError, NotFound
from emeritus.preservation.keeper import Keeper, Kept


class VaultSource:
    """`engines.base.WeightSource` over the vault and a cache folder."""

    def __init__(self, vault: Keeper, name: str, cache_dir: Path) -> None:
        self._vault = vault
        self._name = name
        self._cache = cache_dir

    @property
    def weights_digest(self) -> str:
        """The digest that names the weights. Raises NotFound when the vault holds none for this name."""
        digest = self._vault.manifest(self._name).weights_digest
        if digest is None:
            raise NotFound(f"the vault holds no weights of {self._name!r}", resident=self._name)
        return digest

    def folder(self) -> Path:
        """The resident's files, restored when they are not as they should be. Raises IntegrityError, StoreFull."""
        manifest = self._vault.manifest(self._name)
        folder = self._cache / f"{self._name}@{manifest.sha256[:16]}"
        self._cache.mkdir(parents=True, exist_ok=True)
        with locked(self._cache / f"{self._name}.lock"):
            if folder.exists():
                if not differences(folder, manifest):
                    return folder
                shutil.rmtree(folder)
            for leftover in self._cache.glob(f"{self._name}@*~new*"):  # of a process that died while it restored
                shutil.rmtree(leftover)
            fresh = self._cache / f"{folder.name}~new{secrets.token_hex(4)}"
            try:
                self._vault.restore(self._name, fresh)
                wrong = differences(fresh, manifest)
                if wrong:
                    raise IntegrityError(f"the restored files of {self._name!r} differ: {wrong[0]}", problems=wrong)
                os.rename(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        return folder


def differences(folder: Path, manifest: Kept) -> list[str]:
    """One line for each file that is missing, additional, or not the manifest's bytes by size and sha256."""
    wanted = {kept.path: kept for kept in manifest.files}
    present = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    wrong = [f"{path}: not in the manifest" for path in sorted(present - wanted.keys())]
    wrong += [f"{path}: missing" for path in sorted(wanted.keys() - present)]
    paths = sorted(present & wanted.keys())
    with ThreadPoolExecutor() as threads:  # hashing releases the interpreter's lock
        digests = threads.map(lambda path: _sha256(folder / path), paths)
        wrong += [
            f"{path}: its bytes differ"
            for path, digest in zip(paths, digests, strict=True)
            if digest != (wanted[path].size, wanted[path].sha256)
        ]
    return wrong


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for it; the system lets go of it when the process ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> tuple[int, str]:
    if path.is_symlink() or not path.is_file():
        return -1, ""  # what a link shows can change behind the check
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
