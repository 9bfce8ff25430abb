"""Parity's sums on AArch64, under emulation: NEON and plain C there give the bytes that plain C gives here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from emeritus.vault.codec import kernel as kernel_package

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
HERE, SCALAR, NEON = "gcc", "0", "1"

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in (COMPILER, EMULATOR, HERE)),
    reason=f"{COMPILER} (with libc6-dev-arm64-cross), {EMULATOR} or {HERE} is not installed",
)


def test_another_machine_gives_the_same_sums(tmp_path: Path) -> None:
    """150 seeded cases of every shape: one hash over all results, the same by each instruction set on each machine."""
    harness = Path(__file__).with_name("reed_solomon_harness.c")
    folders = ["-I", str(Path(kernel_package.__file__).parent)]
    found = []
    for compiler, levels, run in ((HERE, [SCALAR], []), (COMPILER, [SCALAR, NEON], [EMULATOR])):
        program = tmp_path / compiler
        command = [compiler, "-O2", "-std=gnu11", "-static", *folders, str(harness), "-o", str(program)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
        for level in levels:
            done = subprocess.run([*run, str(program), level], check=True, timeout=120, capture_output=True)
            found.append(done.stdout)
    assert len(found) == 3
    assert len(found[0]) == 17
    assert len(set(found)) == 1
