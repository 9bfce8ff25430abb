"""A resident's files for an engine: restored from the vault into a local cache, every byte verified each time.

Or its weights straight into memory, and only its other files in the cache: docs/loading.md says which, when. The cache
is no archive: whatever in it is missing, damaged or too much is thrown away and restored again. Safe beside other
processes: one lock for each resident, and a folder appears whole by one rename. Knows no table and no engine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from emeritus.engines.base import SharedWeights
from emeritus.errors import IntegrityError, NotFound
from emeritus.preservation import memory
from emeritus.preservation.keeper import Keeper, Kept, KeptFile
from emeritus.vault.manifest import WEIGHT_ENDINGS
from emeritus.vault.reading.opened import DTYPES

Loading = Literal["auto", "cache", "memory"]
Wanted = Callable[[Sequence[KeptFile]], Sequence[KeptFile]]


class VaultSource:
    """`engines.base.WeightSource` over the vault and a cache folder.

    `loading`, and `near` (whether the vault is a folder of this machine's), decide where weights go: docs/loading.md.
    """

    def __init__(
        self, vault: Keeper, name: str, cache_dir: Path, loading: Loading = "cache", *, near: bool = True
    ) -> None:
        self._vault = vault
        self._name = name
        self._cache = cache_dir
        self._loading = loading
        self._near = near
        self.way: Literal["cache", "memory"] = "cache"  # that the weights took last

    @property
    def weights_digest(self) -> str:
        """The digest that names the weights. Raises NotFound when the vault holds none for this name."""
        digest = self._vault.manifest(self._name).weights_digest
        if digest is None:
            raise NotFound(f"the vault holds no weights of {self._name!r}", resident=self._name)
        return digest

    def folder(self) -> Path:
        """The resident's files, restored when they are not as they should be. Raises IntegrityError, StoreFull."""
        return self._cached("", lambda files: files, self._restore)

    def light_folder(self) -> Path:
        """The same without its weights: configuration, tokenizer, texts. Raises as `folder` does."""
        return self._cached(".light", light, self._write)

    def shared(self) -> SharedWeights | None:
        """The weights decoded straight into memory; None where docs/loading.md says that files are better.

        Raises IntegrityError, StoreFull.
        """
        manifest = self._vault.manifest(self._name)
        if self._loading == "cache" or not memory.available():
            return None
        if self._loading == "auto" and not self._straight(manifest):
            return None
        try:
            opened = self._vault.open(self._name).checkpoint()
        except NotFound:
            return None  # in another format than safetensors
        if any(each.dtype not in DTYPES for each in opened.tensors.values()):
            return None
        folder = self.light_folder()
        if quantised(folder):
            return None  # the library's own way reads such files
        filled = memory.fill(opened, folder)
        self.way = "memory"
        return filled

    # -- how ---------------------------------------------------------------------------------------------------------

    def _place(self, manifest: Kept, ending: str) -> Path:
        return self._cache / f"{self._name}@{manifest.sha256[:16]}{ending}"

    def _straight(self, manifest: Kept) -> bool:
        """The rule of `auto`."""
        if self._place(manifest, "").exists():
            return False
        if self._near and memory.free_bytes() >= 2 * manifest.total_bytes:
            return True
        self._cache.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self._cache)
        return disk.free - manifest.total_bytes < disk.total / 20

    def _cached(self, ending: str, wanted: Wanted, write: Callable[[Path, Sequence[KeptFile]], object]) -> Path:
        manifest = self._vault.manifest(self._name)
        files = wanted(manifest.files)
        folder = self._place(manifest, ending)
        self._cache.mkdir(parents=True, exist_ok=True)
        with locked(self._cache / f"{self._name}.lock"):
            if folder.exists():
                if not differences(folder, files):
                    return folder
                shutil.rmtree(folder)
            for leftover in self._cache.glob(f"{self._name}@*~new*"):  # of a process that died while it restored
                shutil.rmtree(leftover)
            fresh = self._cache / f"{folder.name}~new{secrets.token_hex(4)}"
            try:
                write(fresh, files)
                wrong = differences(fresh, files)
                if wrong:
                    raise IntegrityError(f"the restored files of {self._name!r} differ: {wrong[0]}", problems=wrong)
                os.rename(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        return folder

    def _restore(self, folder: Path, files: Sequence[KeptFile]) -> None:
        self._vault.restore(self._name, folder)

    def _write(self, folder: Path, files: Sequence[KeptFile]) -> None:
        write_light(self._vault, self._name, folder, files)


def light(files: Sequence[KeptFile]) -> Sequence[KeptFile]:
    """Those that hold no weights."""
    return [file for file in files if not file.path.lower().endswith(WEIGHT_ENDINGS)]


def write_light(vault: Keeper, name: str, folder: Path, files: Sequence[KeptFile]) -> None:
    """Write these files of a resident into a folder, verified as they are read. Raises NotFound, IntegrityError."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(vault.read_file(name, file.path))


def quantised(folder: Path) -> bool:
    """Whether a model's configuration says that its weights are to be unpacked before use."""
    try:
        return "quantization_config" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False  # whoever loads it says what is wrong with it


def differences(folder: Path, files: Sequence[KeptFile]) -> list[str]:
    """One line for each file that is missing, additional, or not the kept bytes by size and sha256."""
    wanted = {kept.path: kept for kept in files}
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
