"""A disk that is full at each single write of a preservation with parity, and residents preserved side by side."""

from __future__ import annotations

import errno
import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from vault_models import contents, make_model

from emeritus.blobs.disk import Disk
from emeritus.blobs.local import LocalStore
from emeritus.errors import NotFound, StoreFull
from emeritus.vault.packs import pack
from emeritus.vault.vault import Vault


class FullAt(Disk):
    """A disk whose `fail_at`-th write (from 1) takes half of its bytes and fails for want of room; 0: none does."""

    def __init__(self, fail_at: int = 0) -> None:
        self.fail_at = fail_at
        self.writes = 0

    def write(self, fd: int, data: memoryview) -> None:
        """Half of it, once."""
        self.writes += 1
        if self.writes == self.fail_at:
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(fd, data)


def test_full_at_each_write(tmp_path: Path, small_packs: None) -> None:
    """Whichever write finds no room: StoreFull, nothing half-made, no temporary file; and the next run completes.

    The last write is the sketch's, which is made anew any time: without it the weights are kept all the same.
    """
    model = make_model(tmp_path / "model", count=4000)
    counting = FullAt()
    whole = LocalStore(tmp_path / "whole", counting)
    Vault.create(whole).preserve(model, "wren")
    assert len(list(whole.list("parity/"))) >= 2
    assert counting.writes > 10
    for fail_at in range(1, counting.writes + 1):
        root = tmp_path / f"v{fail_at}"
        full = LocalStore(root, FullAt(fail_at))
        if fail_at < counting.writes:
            with pytest.raises(StoreFull):
                Vault.create(full).preserve(model, "wren")
        else:
            Vault.create(full).preserve(model, "wren")
        store = LocalStore(root)
        assert not (root / "~tmp").exists() or not any((root / "~tmp").iterdir())
        try:
            seen = Vault.at(store)
        except NotFound:
            pass  # the marker never became visible
        else:
            visible = fail_at == counting.writes
            assert bool(seen.manifests()) == visible
            report = seen.verify()
            assert (report.ok, report.unsketched) == (True, ("wren",) if visible else ())
        vault = Vault.create(store)
        vault.preserve(model, "wren")
        assert vault.verify().ok
        vault.restore("wren", tmp_path / f"out{fail_at}")
        assert contents(tmp_path / f"out{fail_at}") == contents(model)


def _preserve(root: str, model: str, name: str, start: Barrier) -> None:
    pack.LEAST_BYTES = 20_000  # several packs each
    vault = Vault.create(LocalStore(root))
    start.wait(60)
    vault.preserve(Path(model), name)


def test_residents_preserved_at_once(tmp_path: Path) -> None:
    """Four processes preserve three models, one of them under two names: each comes out as it went in."""
    models = [make_model(tmp_path / name, seed=seed, count=20_000) for name, seed in (("a", 1), ("b", 2), ("c", 3))]
    given = {"wren": models[0], "robin": models[0], "dove": models[1], "rook": models[2]}
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(given))
    root = tmp_path / "vault"
    work = [
        context.Process(target=_preserve, args=(str(root), str(model), name, start)) for name, model in given.items()
    ]
    for process in work:
        process.start()
    for process in work:
        process.join(60)
        assert process.exitcode == 0
    vault = Vault.at(LocalStore(root))
    assert sorted(manifest.name for manifest in vault.manifests()) == sorted(given)
    report = vault.verify()
    assert (report.ok, report.unlisted) == (True, ())
    for name, model in given.items():
        vault.restore(name, tmp_path / "out" / name)
        assert contents(tmp_path / "out" / name) == contents(model)
    assert not any((root / "~tmp").iterdir())
