"""The local folder: the contract, and what only a disk can do wrong."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emeritus.blobs.local import TEMP, LocalStore
from emeritus.errors import BadName, StoreFull, StoreUnavailable
from emeritus.testing.blob_contract import BlobContract
from emeritus.testing.faults import FullDisk, RecordingDisk, lay_out, survivors


class Folder:
    """The back door of a local store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: str) -> bytes:
        """The file's bytes."""
        return (self.root / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """A file made by someone else."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def everything(self) -> list[str]:
        """All files but the store's lock; temporary files count, for none may stay."""
        paths = (path for path in self.root.rglob("*") if path.is_file() and path.name != "~lock")
        return sorted(path.relative_to(self.root).as_posix() for path in paths)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in a folder that does not exist yet."""
    return LocalStore(tmp_path / "deep" / "store")


@pytest.fixture
def back_door(store: LocalStore) -> Folder:
    """The same folder, by plain file calls."""
    return Folder(store.root)


class TestLocalStore(BlobContract):
    """The local store does all a store must."""


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """Every put that runs out of room raises StoreFull, keeps the old object and leaves no temporary file."""
    disk = FullDisk(10_000)
    store = LocalStore(tmp_path / "s", disk)
    store.put("old", b"old")
    big = bytes(20_000)
    source = tmp_path / "source"
    source.write_bytes(big)
    version = store.version("old")
    for call in (
        lambda: store.put("old", big),
        lambda: store.put_if_absent("new", big),
        lambda: store.put_if_match("old", big, version),
        lambda: store.put_file("file", source),
    ):
        disk.room = 10_000
        with pytest.raises(StoreFull) as caught:
            call()
        assert caught.value.code == "EM202"
    assert Folder(store.root).everything() == ["old"]
    assert store.get("old") == b"old"
    assert source.read_bytes() == big


def test_file_size_limit_is_full(tmp_path: Path) -> None:
    """The kernel's own refusal (RLIMIT_FSIZE) is reported as StoreFull and leaves nothing."""
    script = textwrap.dedent(
        """
        import resource, sys
        from emeritus.blobs.local import LocalStore
        from emeritus.errors import StoreFull
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            LocalStore(sys.argv[1]).put("k", bytes(10000))
        except StoreFull as error:
            print(error.code)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s")], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "EM202\n"
    assert Folder(tmp_path / "s").everything() == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_unreachable_folder(tmp_path: Path) -> None:
    """A root below a file cannot be: the error names it instead of a traceback."""
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file" / "store")
    with pytest.raises((StoreUnavailable, BadName)):
        store.put("k", b"")
    assert list(store.list()) == []


def test_key_below_a_key(tmp_path: Path) -> None:
    """A folder cannot hold `a` and `a/b`; the second is refused and the first stays."""
    store = LocalStore(tmp_path / "s")
    store.put("a", b"1")
    with pytest.raises(BadName):
        store.put("a/b", b"2")
    store.put("c/d", b"3")
    with pytest.raises(BadName):
        store.put("c", b"4")
    assert {key: store.get(key) for key in store.list()} == {"a": b"1", "c/d": b"3"}
    assert Folder(store.root).everything() == ["a", "c/d"]


def test_killed_writer_leaves_only_a_temporary_that_the_next_sweeps(tmp_path: Path) -> None:
    """kill -9 between writing and naming: no object, and the next process removes the rest; a living writer's stays."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from emeritus.blobs.disk import Disk
        from emeritus.blobs.local import LocalStore
        class Killing(Disk):
            def replace(self, old, new):
                os.kill(os.getpid(), signal.SIGKILL)
        LocalStore(sys.argv[1], Killing()).put("k", b"half")
        """
    )
    root = tmp_path / "s"
    done = subprocess.run([sys.executable, "-c", script, str(root)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (left,) = os.listdir(root / TEMP)
    store = LocalStore(root)
    assert list(store.list()) == []
    with store._staged([b"alive"]) as alive:
        assert not (root / TEMP / left).exists()
        LocalStore(root).put("other", b"x")
        assert alive.exists()
    assert Folder(root).everything() == ["other"]


def test_strangers_files_are_not_keys(tmp_path: Path) -> None:
    """What cannot be a key is not listed."""
    store = LocalStore(tmp_path / "s")
    store.put("good", b"")
    (store.root / "not a key").write_bytes(b"")
    assert list(store.list()) == ["good"]


@pytest.mark.parametrize("keep", ["names", "nothing"])
def test_power_cut_at_every_operation(tmp_path: Path, keep: str) -> None:
    """After a cut at any operation every object is the old one or the new, and what a put had returned for is there."""
    root = tmp_path / "s"
    disk = RecordingDisk(root)
    store = LocalStore(root, disk)
    returned: list[tuple[int, dict[str, bytes]]] = []  # after how many operations which objects must be there
    state: dict[str, bytes] = {}

    def step(key: str, data: bytes) -> None:
        state[key] = data
        returned.append((len(disk.operations), dict(state)))

    store.put("a/b/one", b"1" * 100)
    step("a/b/one", b"1" * 100)
    assert store.put_if_absent("a/two", b"2" * 100)
    step("a/two", b"2" * 100)
    assert store.put_if_match("a/b/one", b"3" * 50, store.version("a/b/one"))
    step("a/b/one", b"3" * 50)
    source = tmp_path / "source"
    source.write_bytes(b"4" * 100)
    store.put_file("a/two", source)
    step("a/two", b"4" * 100)
    ever = {"a/b/one": {b"1" * 100, b"3" * 50}, "a/two": {b"2" * 100, b"4" * 100}}
    for cut in range(len(disk.operations) + 1):
        files, folders = survivors(disk.operations[:cut], keep)
        lay_out(files, folders, tmp_path / f"cut{cut}")
        after = LocalStore(tmp_path / f"cut{cut}")
        seen = {key: after.get(key) for key in after.list()}
        assert all(data in ever[key] for key, data in seen.items()), f"half an object after operation {cut}"
        promised = [objects for count, objects in returned if count <= cut]
        upcoming = [objects for count, objects in returned if count > cut][:1]
        for key, data in (promised[-1] if promised else {}).items():
            assert seen.get(key) in {data, *(objects.get(key) for objects in upcoming)} - {None}


def test_a_disk_that_does_not_sync_is_found_out(tmp_path: Path) -> None:
    """The power-cut test can fail: without fsync of file or of folder, objects are lost or empty."""

    class NoFileSync(RecordingDisk):
        def fsync(self, fd: int) -> None:
            """Nothing."""

    class NoFolderSync(RecordingDisk):
        def fsync_folder(self, path: Path) -> None:
            """Nothing."""

    careless = NoFileSync(tmp_path / "s")
    LocalStore(tmp_path / "s", careless).put("k", b"data")
    assert survivors(careless.operations, "names")[0]["k"] == b""
    forgetful = NoFolderSync(tmp_path / "t")
    LocalStore(tmp_path / "t", forgetful).put("k", b"data")
    assert "k" not in survivors(forgetful.operations, "nothing")[0]
