"""A resident's files for an engine: restored from the vault into a local cache, every byte verified.

Or its weights straight into memory, and only its other files in the cache: docs/loading.md says which, when. The cache
is no archive: whatever in it is missing, damaged or too much is thrown away and restored again. Safe beside other
processes: one lock for each resident, and a folder appears whole by one rename. Knows no table and no engine.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from emeritus.engines.base import SharedWeights
from emeritus.errors import IntegrityError, NotFound, NotSupported, StoreFull
from emeritus.preservation import memory
from emeritus.preservation.cache import NO_ROOM, Cache, Lease, locked
from emeritus.preservation.comparing import segments_differ
from emeritus.preservation.keeper import Keeper, Kept, KeptFile
from emeritus.preservation.siblings import Bases, Lent, lend_files, lend_memory
from emeritus.preservation.verified import Verified
from emeritus.vault.manifest import WEIGHT_ENDINGS
from emeritus.vault.reading.opened import DTYPES

Loading = Literal["auto", "cache", "memory"]
Wanted = Callable[[Sequence[KeptFile]], Sequence[KeptFile]]


class VaultSource:
    """`engines.base.WeightSource` over the vault and a cache folder.

    `loading`, and `near` (whether the vault is a folder of this machine's), decide where weights go: docs/loading.md.
    The folders it gave out stay in the cache, and its weights are lent to siblings through `bases`, for as long as the
    source is not let go of.
    """

    def __init__(
        self,
        vault: Keeper,
        name: str,
        cache: Cache,
        loading: Loading = "cache",
        *,
        near: bool = True,
        bases: Bases | None = None,
    ) -> None:
        self._vault = vault
        self._name = name
        self._cache = cache
        self._loading = loading
        self._near = near
        self.way: Literal["cache", "memory"] = "cache"  # that the weights took last
        self._bases = bases
        self._leases: list[Lease | Lent] = []

    @property
    def weights_digest(self) -> str:
        """The digest that names the weights. Raises NotFound when the vault holds none for this name."""
        digest = self._vault.manifest(self._name).weights_digest
        if digest is None:
            raise NotFound(f"the vault holds no weights of {self._name!r}", resident=self._name)
        return digest

    def elsewhere(self) -> dict[str, Any]:
        """See `engines.base.Elsewhere`. Raises NotSupported where the keeper is no vault with an address."""
        store = getattr(self._vault, "store", None)
        if store is None:
            raise NotSupported("these files lie in no vault that another machine could open", capability="elsewhere")
        return {"opens": "emeritus.preservation.elsewhere:open_source", "vault": store.url, "resident": self._name}

    def folder(self) -> Path:
        """The resident's files, restored when they are not as they should be. Raises IntegrityError, StoreFull."""
        folder = self._cached("", lambda files: files, self._restore)
        self._lend(folder, [file for file in self._vault.manifest(self._name).files if file.size])
        return folder

    def folder_unproven(self) -> tuple[Path, Callable[[], None]]:
        """The folder as it lies in the cache, all but its weights compared; and what compares these.

        That raises IntegrityError where `folder` would restore them again. What is not there is restored, and proven.
        Where they were verified not long ago and nothing about them has changed since, the record of that stands for it
        (`preservation.verified`).
        """
        manifest = self._vault.manifest(self._name)
        place = self._place(manifest, "")
        folder = self._cache.folder / place
        small = light(manifest.files)
        heavy = [file for file in manifest.files if file not in small]
        if not folder.is_dir() or segments_differ(folder, small, ignoring={file.path for file in heavy}):
            return self.folder(), lambda: None
        with locked(self._cache.folder / f"{self._name}.lock"):
            lease = self._cache.lease(place)
        if lease is None:
            return self.folder(), lambda: None
        self._leases.append(lease)

        seen = Verified(folder, manifest.sha256, self._cache.trust_s)

        def prove() -> None:
            if not seen.holds(heavy):
                before = seen.look(heavy)
                wrong = segments_differ(folder, heavy, ignoring={file.path for file in small})
                if wrong:
                    seen.forget()
                    raise IntegrityError(f"the cached files of {self._name!r} differ: {wrong[0]}", problems=wrong)
                seen.note(before, heavy)
            self._cache.used(place)

        self._lend(folder, heavy)
        return folder, prove

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
        if self._bases is not None:
            self._leases.append(lend_memory(self._bases, filled, list(opened.tensors.values()), manifest.files))
        self.way = "memory"
        return filled

    def release(self) -> None:
        """Let the cache give up the folders that this source gave out, and lend no weights any more. Safe to repeat.

        Dropping the source does the same.
        """
        while self._leases:
            self._leases.pop().close()

    def __del__(self) -> None:
        self.release()

    # -- how ---------------------------------------------------------------------------------------------------------

    def _lend(self, folder: Path, files: Sequence[KeptFile]) -> None:
        """Have siblings decoded against these files, for as long as they are used."""
        if self._bases is not None:
            with suppress(OSError):  # nothing depends on it
                self._leases.extend(lend_files(self._bases, folder, files))

    def _place(self, manifest: Kept, ending: str) -> str:
        return f"{self._name}@{manifest.sha256[:16]}{ending}"

    def _straight(self, manifest: Kept) -> bool:
        """The rule of `auto`."""
        if (self._cache.folder / self._place(manifest, "")).exists():
            return False
        if self._near and memory.free_bytes() >= 2 * manifest.total_bytes:
            return True
        return not self._cache.fits(manifest.total_bytes)

    def _cached(self, ending: str, wanted: Wanted, write: Callable[[Path, Sequence[KeptFile]], object]) -> Path:
        manifest = self._vault.manifest(self._name)
        files = wanted(manifest.files)
        place = self._place(manifest, ending)
        cache = self._cache
        cache.folder.mkdir(parents=True, exist_ok=True)
        with locked(cache.folder / f"{self._name}.lock"):
            lease = cache.lease(place)
            if lease is not None:
                if segments_differ(cache.folder / place, files):
                    lease.close()
                    lease = None
                else:
                    cache.used(place)
            if lease is None:
                cache.discard(place)
                cache.sweep(self._name)
                began = time.monotonic()
                with cache.restoring(place, sum(file.size for file in files)) as fresh:
                    self._filled(fresh, files, write)
                    wrong = segments_differ(fresh, files)
                    if wrong:
                        raise IntegrityError(f"the restored files of {self._name!r} differ: {wrong[0]}", problems=wrong)
                lease = cache.lease(place)
                cache.used(place, time.monotonic() - began)
        if lease is not None:
            self._leases.append(lease)
        return cache.folder / place

    def _filled(
        self, fresh: Path, files: Sequence[KeptFile], write: Callable[[Path, Sequence[KeptFile]], object]
    ) -> None:
        """Write the files. Where the disk fills up on the way, others are given up first, one after another."""
        while True:
            try:
                write(fresh, files)
                return
            except StoreFull:
                shutil.rmtree(fresh, ignore_errors=True)
                if not self._cache.give_up_one():
                    raise
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise

    def _restore(self, folder: Path, files: Sequence[KeptFile]) -> None:
        self._vault.restore(self._name, folder)

    def _write(self, folder: Path, files: Sequence[KeptFile]) -> None:
        write_light(self._vault, self._name, folder, files)


def light(files: Sequence[KeptFile]) -> Sequence[KeptFile]:
    """Those that hold no weights."""
    return [file for file in files if not file.path.lower().endswith(WEIGHT_ENDINGS)]


def write_light(vault: Keeper, name: str, folder: Path, files: Sequence[KeptFile]) -> None:
    """Write these files of a resident into a folder, verified as read. Raises NotFound, IntegrityError, StoreFull."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        data = vault.read_file(name, file.path)
        try:
            path.write_bytes(data)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise StoreFull(f"no room to write {path}: {error.strerror}", bytes=file.size) from error


def quantised(folder: Path) -> bool:
    """Whether a model's configuration says that its weights are to be unpacked before use."""
    try:
        return "quantization_config" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False  # whoever loads it says what is wrong with it
