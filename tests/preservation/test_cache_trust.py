"""When the record of a verification stands for reading cached weights again, and when it does not."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from kept_folders import FolderKeeper

from emeritus.errors import IntegrityError
from emeritus.preservation import sources, verified
from emeritus.preservation.cache import Cache
from emeritus.preservation.sources import VaultSource

DAY = 86_400.0


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The weight files whose bytes were read to verify them, as they are read."""
    found: list[str] = []
    compare = sources.segments_differ

    def count(folder: Path, files: object, **rest: object) -> list[str]:
        found.extend(file.path for file in files if file.path.endswith(".safetensors"))
        return compare(folder, files, **rest)

    monkeypatch.setattr(sources, "segments_differ", count)
    return found


@pytest.fixture
def folder(keeper: FolderKeeper, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> Path:
    """The restored files of `wren`, verified once and noted; nothing counted as read so far."""
    monkeypatch.setattr(verified, "SETTLED_NS", 0)  # else the test would wait for two seconds
    keeper.preserve(model, "wren")
    place = source(keeper, tmp_path).folder()
    wake(keeper, tmp_path)
    assert read
    read.clear()
    return place


def source(keeper: FolderKeeper, tmp_path: Path, trust_s: float = DAY) -> VaultSource:
    """The files of `wren` for one wake."""
    return VaultSource(keeper, "wren", Cache(tmp_path / "cache", trust_s=trust_s))


def wake(keeper: FolderKeeper, tmp_path: Path, trust_s: float = DAY) -> None:
    """Take the folder before it is proven, and prove it, as an engine does. Raises what that raises."""
    _, prove = source(keeper, tmp_path, trust_s).folder_unproven()
    prove()


def weights(folder: Path) -> Path:
    """The one weight file."""
    return folder / "sub" / "model.safetensors"


def test_verified_files_are_not_read_again(folder: Path, keeper: FolderKeeper, tmp_path: Path, read: list[str]) -> None:
    """A wake of unchanged files rests on the record; without trust every wake reads every byte."""
    wake(keeper, tmp_path)
    assert read == []
    for _ in range(2):
        read.clear()
        wake(keeper, tmp_path, trust_s=0.0)
        assert read == ["sub/model.safetensors"]


def flip(path: Path) -> None:
    """Change one byte in place and set the time of the change back: neither size nor mtime tells of it."""
    was = path.stat()
    with path.open("r+b") as file:
        file.seek(was.st_size - 1)
        last = file.read(1)
        file.seek(was.st_size - 1)
        file.write(bytes([last[0] ^ 1]))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_a_change_is_found_whatever_its_time_says(
    folder: Path, keeper: FolderKeeper, model: Path, tmp_path: Path, read: list[str]
) -> None:
    """A flipped bit under the old size and mtime is read and refused, and the record is gone; then it is restored."""
    flip(weights(folder))
    with pytest.raises(IntegrityError, match="differ"):
        wake(keeper, tmp_path)
    assert read == ["sub/model.safetensors"]
    assert not list((tmp_path / "cache").glob("*.verified"))
    assert weights(source(keeper, tmp_path).folder()).read_bytes() == weights(model).read_bytes()
    wake(keeper, tmp_path)


@pytest.mark.parametrize("change", ["age", "future", "boot", "manifest", "inode", "torn", "list", "settling"])
def test_what_makes_a_record_void(
    change: str,
    folder: Path,
    keeper: FolderKeeper,
    tmp_path: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A record too old, from another start, of other files, or not readable is not believed: the bytes are read."""
    record = folder.with_name(f"{folder.name}.verified")
    known = json.loads(record.read_text())
    if change == "age":
        record.write_text(json.dumps(known | {"at": time.time() - DAY - 1}))
    elif change == "future":
        record.write_text(json.dumps(known | {"at": time.time() + 3600}))
    elif change == "boot":
        record.write_text(json.dumps(known | {"boot": "another"}))
    elif change == "manifest":
        record.write_text(json.dumps(known | {"manifest": "0" * 64}))
    elif change == "inode":
        other = folder.parent / "other"
        other.write_bytes(weights(folder).read_bytes())
        os.replace(other, weights(folder))
    elif change == "torn":
        record.write_text(record.read_text()[:-5])
    elif change == "list":
        record.write_text("[]")
    else:
        monkeypatch.setattr(verified, "SETTLED_NS", 1 << 62)
    wake(keeper, tmp_path)
    assert read == ["sub/model.safetensors"]
    read.clear()
    wake(keeper, tmp_path)
    assert bool(read) == (change == "settling")  # noted anew, but what was changed just now is read each time


def test_changed_while_it_was_verified(
    folder: Path, keeper: FolderKeeper, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes between the first byte read and the last is not noted as verified."""
    compare = sources.segments_differ
    os.utime(weights(folder))

    def touch(place: Path, files: object, **rest: object) -> list[str]:
        found = compare(place, files, **rest)
        os.utime(weights(folder))
        return found

    monkeypatch.setattr(sources, "segments_differ", touch)
    wake(keeper, tmp_path)
    monkeypatch.setattr(sources, "segments_differ", compare)
    read.clear()
    wake(keeper, tmp_path)
    assert read == ["sub/model.safetensors"]


def test_the_record_goes_with_the_folder(folder: Path, keeper: FolderKeeper, tmp_path: Path) -> None:
    """A folder given up leaves no record."""
    assert list(folder.parent.glob("*.verified"))
    assert Cache(folder.parent).give_up_one()
    assert not list(folder.parent.glob("*.verified"))
    assert not list(folder.parent.glob(".*.verified"))
