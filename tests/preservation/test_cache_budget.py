"""The cache under a byte budget: what goes, what never does, and what is left when something fails on the way."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kept_folders import FolderKeeper

from emeritus.blobs.local import LocalStore
from emeritus.errors import StoreFull, StoreUnavailable
from emeritus.preservation.cache import Cache, locked
from emeritus.preservation.comparing import differences, segments_differ
from emeritus.preservation.sources import VaultSource
from emeritus.vault.vault import Vault

SIZE = 1000
NAMES = ("wren", "robin", "dunnock")


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    """A keeper of three residents of SIZE bytes each."""
    made = FolderKeeper(tmp_path / "kept")
    for number, name in enumerate(NAMES):
        source = tmp_path / f"source-{name}"
        source.mkdir()
        (source / "model.safetensors").write_bytes(bytes([number]) * (SIZE - 2))
        (source / "config.json").write_text("{}")
        made.preserve(source, name)
    return made


def wake(keeper: FolderKeeper, cache: Cache, name: str) -> VaultSource:
    """A source whose folder is in use for as long as it is held."""
    source = VaultSource(keeper, name, cache)
    assert differences(source.folder(), keeper.manifest(name).files) == []
    return source


def use(keeper: FolderKeeper, cache: Cache, name: str) -> None:
    """A wake that is over; the restore of so few bytes takes any time, so say that it took a second."""
    source = wake(keeper, cache, name)
    cache.used(next(each.place for each in cache.held().entries if each.resident == name), 1.0)
    source.release()


def here(cache: Cache) -> set[str]:
    """Whose folders the cache has."""
    return {each.resident for each in cache.held().entries}


def leftovers(cache: Cache) -> list[str]:
    """What lies there beside folders, their uses and locks."""
    known = {f"{each.place}{end}" for each in cache.held().entries for end in ("", ".use")}
    locks = {".room.lock", ".clock", *(f"{name}.lock" for name in NAMES)}
    return sorted(path.name for path in cache.folder.iterdir() if path.name not in known | locks)


def test_the_least_valuable_goes(keeper: FolderKeeper, tmp_path: Path) -> None:
    """Of equal sizes and times, what was used most stays."""
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    for name in ("wren", "robin", "wren", "wren", "wren"):
        use(keeper, cache, name)
    use(keeper, cache, "dunnock")
    assert here(cache) == {"wren", "dunnock"}
    assert cache.held().bytes == 2 * SIZE
    assert leftovers(cache) == []


def test_what_was_valuable_once_ages(keeper: FolderKeeper, tmp_path: Path) -> None:
    """The clock moves with what is given up, so that many uses long ago do not keep a folder for ever."""
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    for _ in range(6):
        use(keeper, cache, "wren")
    for _ in range(12):
        for name in ("robin", "dunnock"):
            use(keeper, cache, name)
    assert here(cache) == {"robin", "dunnock"}


def test_what_is_in_use_never_goes(keeper: FolderKeeper, tmp_path: Path) -> None:
    """With everything in use a further resident gets a clear refusal, and nothing of it is left."""
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    held = [wake(keeper, cache, "wren"), wake(keeper, cache, "robin")]
    with pytest.raises(StoreFull, match=r"no room in the cache for 1000 bytes of 'dunnock': everything else .* in use"):
        wake(keeper, cache, "dunnock")
    assert here(cache) == {"wren", "robin"}
    assert leftovers(cache) == []
    held.pop().release()
    wake(keeper, cache, "dunnock")
    assert here(cache) == {"wren", "dunnock"}


def test_a_resident_above_the_whole_budget(keeper: FolderKeeper, tmp_path: Path) -> None:
    """It is refused before anything is given up for it."""
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    wake(keeper, cache, "wren").release()
    with pytest.raises(StoreFull, match="may hold 999 bytes in all"):
        wake(keeper, Cache(cache.folder, SIZE - 1), "robin")
    assert here(cache) == {"wren"}


def _hold(folder: Path, place: str, held: Any, end: Any) -> None:
    lease = Cache(folder).lease(place)
    held.put(lease is not None)
    end.wait(60)


def test_another_process_s_use_counts(keeper: FolderKeeper, tmp_path: Path) -> None:
    """A folder that another process uses stays; when that process is killed, it may go."""
    cache = Cache(tmp_path / "cache", SIZE)
    wake(keeper, cache, "wren").release()
    context = multiprocessing.get_context("spawn")
    held, end = context.Queue(), context.Event()
    process = context.Process(target=_hold, args=(cache.folder, cache.held().entries[0].place, held, end))
    process.start()
    try:
        assert held.get(timeout=60)
        assert [each.in_use for each in cache.held().entries] == [True]
        with pytest.raises(StoreFull):
            wake(keeper, cache, "robin")
    finally:
        process.kill()
        process.join(60)
    wake(keeper, cache, "robin")
    assert here(cache) == {"robin"}


def test_a_folder_given_up_while_it_was_opened(keeper: FolderKeeper, tmp_path: Path) -> None:
    """Whoever waits for a lease on what is given up meanwhile is told that there is none."""
    cache = Cache(tmp_path / "cache")
    wake(keeper, cache, "wren").release()
    place = cache.held().entries[0].place
    os.rename(cache.folder / place, cache.folder / "aside")
    assert cache.lease(place) is None
    (cache.folder / place).symlink_to(cache.folder / "aside")
    assert cache.lease(place) is None


def test_two_restores_at_once_do_not_pass_the_budget_together(keeper: FolderKeeper, tmp_path: Path) -> None:
    """What a restore under way will take is counted before it is there."""
    cache = Cache(tmp_path / "cache", SIZE)
    cache.folder.mkdir()
    with locked(cache.folder / "wren.lock"), cache.restoring("wren@0123456789abcdef", SIZE) as fresh:
        with pytest.raises(StoreFull, match="everything else in the cache is in use"):
            wake(keeper, cache, "robin")
        assert cache.held().reserved_bytes == SIZE
        fresh.mkdir()
    assert cache.held().reserved_bytes == 0


def test_a_killed_restore_s_share_counts_no_more(keeper: FolderKeeper, tmp_path: Path) -> None:
    """What nobody is restoring takes no room, and goes at the resident's next restore."""
    cache = Cache(tmp_path / "cache", SIZE)
    cache.folder.mkdir()
    (cache.folder / "robin.lock").touch()
    left = cache.folder / "robin@0123456789abcdef~new00.use"
    left.write_text(json.dumps({"bytes": SIZE, "seconds": 0.0, "uses": 0, "last_used": 0.0, "priority": 0.0}))
    wake(keeper, cache, "wren").release()
    wake(keeper, cache, "robin")
    assert not left.exists()


def test_an_interrupted_deletion_is_finished(keeper: FolderKeeper, tmp_path: Path) -> None:
    """A folder is renamed before it is deleted, so a half-deleted one is never taken for whole."""
    cache = Cache(tmp_path / "cache")
    (cache.folder / ".gone-0123").mkdir(parents=True)
    (cache.folder / ".gone-0123" / "model.safetensors").write_bytes(b"half")
    wake(keeper, cache, "wren")
    assert leftovers(cache) == []


class Filling(FolderKeeper):
    """A keeper whose disk has room for so many restored folders."""

    room = 2
    cache: Path

    def restore(self, name: str, dest: Path, **more: Any) -> Path:
        """As the vault does: StoreFull leaves nothing behind."""
        if sum(path.is_dir() and "@" in path.name for path in self.cache.iterdir()) >= self.room:
            raise StoreFull("no room to restore: No space left on device")
        return super().restore(name, dest, **more)


def test_a_disk_that_fills_up_while_waking(keeper: FolderKeeper, tmp_path: Path) -> None:
    """Others are given up, one after another; with none left the error is clear, and all others are as they were."""
    disk = Filling(keeper.root, sets=keeper.sets)
    cache = Cache(tmp_path / "cache")
    disk.cache = cache.folder
    held = [wake(disk, cache, "wren")]
    wake(disk, cache, "robin").release()
    held.append(wake(disk, cache, "dunnock"))
    assert here(cache) == {"wren", "dunnock"}
    with pytest.raises(StoreFull, match="No space left"):
        wake(disk, cache, "robin")
    assert here(cache) == {"wren", "dunnock"}
    assert leftovers(cache) == []
    held.clear()  # nothing is stuck: with somebody gone it can be woken
    wake(disk, cache, "robin")


def test_a_disk_without_room_for_the_small_files(
    keeper: FolderKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration and tokenizer meet a full disk with the same error as weights do."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeper, "read_file", lambda name, path: b"{}", raising=False)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(StoreFull, match="No space left"):
        VaultSource(keeper, "wren", cache).light_folder()
    assert leftovers(cache) == []


def test_a_vault_out_of_reach_while_waking(
    keeper: FolderKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as it is, nothing is left, and the next wake succeeds."""
    cache = Cache(tmp_path / "cache")

    def unreachable(*_: object, **__: object) -> None:
        raise StoreUnavailable("the bucket does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(keeper, "restore", unreachable)
        with pytest.raises(StoreUnavailable):
            VaultSource(keeper, "wren", cache).folder()
    assert leftovers(cache) == []
    wake(keeper, cache, "wren")


def test_without_a_budget_a_part_of_the_disk_is_spared(
    keeper: FolderKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a full disk is used only when there is nothing to give up for it."""
    cache = Cache(tmp_path / "cache")
    free = [600]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=20_000, used=0, free=free[0]))
    with pytest.raises(StoreFull):
        wake(keeper, cache, "wren")
    free[0] = 1500
    wake(keeper, cache, "wren").release()
    wake(keeper, cache, "robin").release()
    assert here(cache) == {"robin"}
    assert cache.fits(SIZE) is True  # robin's bytes would come free: 1500 + 1000 - 1000 of 20000 is a twentieth
    assert cache.fits(SIZE + 600) is False


def test_many_at_once_stay_within_the_budget(keeper: FolderKeeper, tmp_path: Path) -> None:
    """Threads that wake and let go in any order never meet a folder that is not whole, nor pass the budget."""
    cache = Cache(tmp_path / "cache", 2 * SIZE)
    wrong: list[object] = []

    def work(turn: int) -> None:
        for step in range(8):
            name = NAMES[(turn + step) % 3]
            source = VaultSource(keeper, name, cache)
            try:
                wrong.extend(differences(source.folder(), keeper.manifest(name).files))
            except StoreFull:
                continue  # the others hold the two that fit
            finally:
                source.release()
            if cache.held().bytes > 2 * SIZE:
                wrong.append(cache.held())

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert leftovers(cache) == []


@contextmanager
def changed(path: Path, at: int) -> Iterator[None]:
    """A byte of a file is another one for a while."""
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    yield
    path.write_bytes(whole)


def test_segments_prove_every_byte(tmp_path: Path) -> None:
    """A changed byte anywhere is found by its segment's digest, as are lengths, links and files too many."""
    source = tmp_path / "model"
    source.mkdir()
    (source / "model.bin").write_bytes(os.urandom(3_000_000))
    (source / "b.bin").write_bytes(b"")
    (source / "config.json").write_text("{}")
    vault = Vault.create(LocalStore(tmp_path / "vault"))
    files = vault.preserve(source, "wren").files
    assert segments_differ(source, files) == []
    for at in (0, 1_234_567, 2_999_999):
        with changed(source / "model.bin", at):
            assert segments_differ(source, files) == ["model.bin: its bytes differ"]
    for data in (b"", b"x"):
        (source / "config.json").write_bytes(data)
        assert segments_differ(source, files) == ["config.json: its bytes differ"]
    (source / "config.json").unlink()
    (source / "z").symlink_to("model.bin")
    assert segments_differ(source, files) == ["z: not in the manifest", "config.json: missing"]
