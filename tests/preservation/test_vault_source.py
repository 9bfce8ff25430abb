"""The engines' files: restored once, verified each time, whole whatever else happens."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from kept_folders import FolderKeeper

from emeritus.errors import IntegrityError, NotFound
from emeritus.preservation.cache import Cache
from emeritus.preservation.comparing import differences
from emeritus.preservation.sources import VaultSource


@pytest.fixture
def kept(keeper: FolderKeeper, model: Path) -> FolderKeeper:
    """A keeper that holds `wren`."""
    keeper.preserve(model, "wren")
    return keeper


def test_the_files_are_restored_once(kept: FolderKeeper, tmp_path: Path) -> None:
    """A second call finds the folder as it should be."""
    source = VaultSource(kept, "wren", Cache(tmp_path / "cache"))
    folder = source.folder()
    assert source.folder() == folder
    assert kept.restores == 1
    assert differences(folder, kept.manifest("wren").files) == []
    assert source.weights_digest == kept.manifest("wren").weights_digest


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "additional", "link", "folder gone"])
def test_a_damaged_cache_is_restored_again(kept: FolderKeeper, tmp_path: Path, damage: str) -> None:
    """Whatever is wrong in the cache, what the engine gets is right."""
    source = VaultSource(kept, "wren", Cache(tmp_path / "cache"))
    weights = source.folder() / "sub" / "model.safetensors"
    if damage == "flipped":
        stat = weights.stat()
        weights.write_bytes(b"\x01" + weights.read_bytes()[1:])
        os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # silent: neither size nor time tells
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "missing":
        weights.unlink()
    elif damage == "additional":
        (weights.parent / "modeling.py").write_text("import os")
    elif damage == "link":
        weights.unlink()
        weights.symlink_to("/etc/hostname")
    else:
        weights.parent.parent.rename(tmp_path / "away")
    assert differences(source.folder(), kept.manifest("wren").files) == []
    assert kept.restores == 2


def test_a_restore_that_differs_is_never_given_out(kept: FolderKeeper, tmp_path: Path) -> None:
    """Damage behind the vault's back is caught here, and leaves nothing in the cache."""
    (kept.kept("wren") / "config.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"config.json: its bytes differ"):
        VaultSource(kept, "wren", Cache(tmp_path / "cache")).folder()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [".room.lock", "wren.lock"]


def test_what_a_killed_restore_left_is_swept(kept: FolderKeeper, tmp_path: Path) -> None:
    """A half-restored folder has another name than a whole one, and goes at the next restore."""
    half = tmp_path / "cache" / "wren@0123~newdead"
    half.mkdir(parents=True)
    neighbour = tmp_path / "cache" / "robin@0123~newbusy"
    neighbour.mkdir()
    VaultSource(kept, "wren", Cache(tmp_path / "cache")).folder()
    assert not half.exists()
    assert neighbour.exists()


def test_a_new_version_is_another_folder(kept: FolderKeeper, model: Path, tmp_path: Path) -> None:
    """An engine that still reads the old files keeps them."""
    source = VaultSource(kept, "wren", Cache(tmp_path / "cache"))
    old = source.folder()
    (model / "config.json").write_text('{"v": 2}')
    kept.preserve(model, "wren")
    assert source.folder() != old
    assert old.exists()


def test_nothing_kept_is_not_found(keeper: FolderKeeper, tmp_path: Path) -> None:
    """A resident the vault does not hold has no files."""
    source = VaultSource(keeper, "wren", Cache(tmp_path / "cache"))
    with pytest.raises(NotFound):
        source.folder()
    with pytest.raises(NotFound):
        _ = source.weights_digest


def test_threads_that_come_at_once_share_one_restore(kept: FolderKeeper, tmp_path: Path) -> None:
    """Eight callers, one restore, one folder."""
    source, found = VaultSource(kept, "wren", Cache(tmp_path / "cache")), []
    threads = [threading.Thread(target=lambda: found.append(source.folder())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert kept.restores == 1


def _restore(kept: FolderKeeper, cache: Path, begin: threading.Event, results: object) -> None:
    begin.wait()
    folder = VaultSource(kept, "wren", Cache(cache)).folder()
    results.put((kept.restores, differences(folder, kept.manifest("wren").files)))


def test_processes_that_come_at_once_share_one_restore(kept: FolderKeeper, tmp_path: Path) -> None:
    """The lock holds between processes: one of them restores, all get whole files."""
    context = multiprocessing.get_context("spawn")
    begin, results = context.Event(), context.Queue()
    arguments = (kept, tmp_path / "cache", begin, results)
    processes = [context.Process(target=_restore, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    begin.set()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sorted(restores for restores, _ in found) == [0, 0, 1]
    assert all(wrong == [] for _, wrong in found)
