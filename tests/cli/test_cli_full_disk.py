"""A full disk while a model is preserved or restored: one error, no half of anything, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_models import large_model
from refused import Program, error_of, state

from small_disk import fill, mounted
from warm_program import Warm

SIZE = 3_000_000  # bytes of weights that cannot be compressed
LARGEST = 2_000_000  # bytes a file may have: more than the database has, less than the weights


@pytest.fixture
def program(tmp_path: Path, warm: Warm) -> Program:
    """The program on a home of its own."""
    program = Program(tmp_path / "home", tmp_path, warm.parent)
    program("init")
    return program


def apart_from_packs(home: Path) -> dict[str, object]:
    """The home without packs: those that no manifest names yet wait for the next attempt (see EM202's remedy)."""
    return {name: value for name, value in state(home).items() if not name.startswith("vault/packs/")}


def test_a_file_that_may_not_grow(program: Program, tmp_path: Path) -> None:
    """The system's limit on a file's size stops preserve and restore; without it both succeed."""
    source = large_model(tmp_path / "model", SIZE)
    arguments = ("preserve", str(source), "--name", "wren", "--no-reference")
    before = apart_from_packs(program.home)
    error_of(program.say(*arguments, "--json", largest=LARGEST), "EM202", 4)
    assert apart_from_packs(program.home) == before
    program(*arguments)
    dest = tmp_path / "there" / "wren"
    dest.parent.mkdir()
    program.refuses("restore", "wren", str(dest), code="EM202", status=4, largest=LARGEST)
    assert os.listdir(dest.parent) == []
    program("restore", "wren", str(dest))
    assert {each.name: each.read_bytes() for each in dest.iterdir()} == {
        each.name: each.read_bytes() for each in source.iterdir()
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of six megabytes."""
    with mounted(tmp_path / "disk", 6 << 20) as folder:
        yield folder


def test_a_disk_without_room(small_disk: Path, tmp_path: Path, warm: Warm) -> None:
    """Home on a small disk: what does not fit is refused whole; with room made, the same commands succeed."""
    source = large_model(tmp_path / "model", SIZE)
    program = Program(small_disk / "home", tmp_path, warm.parent)
    program("init")
    ballast = small_disk / "ballast"
    arguments = ("preserve", str(source), "--name", "wren", "--no-reference")
    before = apart_from_packs(program.home)
    for left in (0, 50_000, 400_000, 2_000_000):
        fill(ballast, left)
        error_of(program.say(*arguments, "--json"), "EM202", 4)
        ballast.unlink()
        assert apart_from_packs(program.home) == before
    fill(ballast, SIZE + 1_000_000)  # room for the pack and not for the proof that it can be restored
    error_of(program.say(*arguments, "--json"), "EM202", 4)
    ballast.unlink()
    assert state(program.home)["table checks"] == []  # nothing was proven, nor was damage found
    assert not any(name.startswith("cache/proofs/") for name in state(program.home))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    program(*arguments)
    fill(ballast, 1_000_000)
    dest = small_disk / "back"
    error_of(program.say("restore", "wren", str(dest), "--json"), "EM202", 4)
    assert sorted(os.listdir(small_disk)) == ["ballast", "home"]
    ballast.unlink()
    program("restore", "wren", str(dest))
    assert {each.name for each in dest.iterdir()} == {each.name for each in source.iterdir()}
    assert program("verify")["ok"]
