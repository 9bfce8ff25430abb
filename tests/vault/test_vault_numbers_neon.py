"""Encoding 3 on AArch64, under emulation: NEON and plain C there give the bytes that this machine gives."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from numbers_cases import CASES

from emeritus.errors import IntegrityError
from emeritus.vault.codec import kernel as kernel_package
from emeritus.vault.codec import numbers

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
SOURCES = ("numbers.c", "planes.c", "rans.c", "rans_scalar.c", "rans_neon.c", "level.c")
SCALAR, NEON = 0, 1

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None,
    reason=f"{COMPILER} (with libc6-dev-arm64-cross) or {EMULATOR} is not installed",
)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The codec and its harness, compiled for AArch64."""
    folder = Path(kernel_package.__file__).parent
    program = tmp_path_factory.mktemp("neon") / "harness"
    sources = [str(folder / name) for name in SOURCES] + [str(Path(__file__).with_name("numbers_harness.c"))]
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-static", "-I", str(folder)]
    subprocess.run([COMPILER, *flags, *sources, "-o", str(program)], check=True, timeout=120)
    return program


def run(harness: Path, level: int, cases: list[tuple[int, bytes, int]]) -> list[tuple[int, bytes]]:
    """The answer to each case: (layout or 0 to decode, bytes, decoded length). See the harness."""
    stdin = b"".join(struct.pack("<III", layout, len(data), length) + data for layout, data, length in cases)
    command = [EMULATOR, str(harness), str(level)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=120)
    assert done.stderr == f"{level}\n".encode()
    found, at = [], 0
    for layout, _, length in cases:
        (first,) = struct.unpack_from("<I", done.stdout, at)
        size = first if layout else length * first
        found.append((first, done.stdout[at + 4 : at + 4 + size]))
        at += 4 + size
    assert at == len(done.stdout)
    return found


@pytest.mark.parametrize("level", [SCALAR, NEON])
def test_another_machine_gives_the_same_bytes(harness: Path, level: int) -> None:
    """Every case encodes to the same bytes there as here, and decodes to what was given."""
    made = [(layout, make()) for layout, make in CASES.values()]
    here = [numbers.encode(data, layout) for layout, data in made]
    there = run(harness, level, [(layout, data, 0) for layout, data in made])
    assert [stored for _, stored in there] == here
    back = run(harness, level, [(0, stored, len(data)) for stored, (_, data) in zip(here, made, strict=True)])
    assert back == [(1, data) for _, data in made]


def test_another_machine_finds_the_same_damage(harness: Path) -> None:
    """What is damaged is refused there where it is refused here."""
    layout, make = CASES["bf16"]
    data = make()
    stored = numbers.encode(data, layout)
    cases = []
    for at in range(7, len(stored), len(stored) // 40):
        changed = bytearray(stored)
        changed[at] ^= 4
        cases += [bytes(changed), stored[:at]]
    answers = run(harness, NEON, [(0, case, len(data)) for case in cases])
    for case, (right, found) in zip(cases, answers, strict=True):
        out = bytearray(len(data))
        try:
            numbers.decode_into(case, out)
            assert (right, found) == (1, bytes(out))
        except IntegrityError:
            assert right == 0
    assert 0 < sum(right for right, _ in answers) < len(answers)  # a change of a raw plane is for the digest to find
