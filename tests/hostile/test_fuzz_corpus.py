"""Every parser against the kept corpus and a moment of fresh mutations; fuzz/README.md has the long runs."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from fuzz import corpus, engines, kernel_engine
from fuzz.target import Broken, Target
from fuzz.targets import TARGETS

MUTATING_S = 0.25
MOST_CORPUS = 300_000


def told(done: engines.Done) -> list[str]:
    """Each fault, with the input that brings it back."""
    return [f"{error!r} for {data.hex()}" for data, error in done.faults]


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_breaks_a_parser(target: str) -> None:
    """Kept inputs, the target's own, and new mutations each time: our errors or a result, and readings that agree."""
    assert told(engines.replay(target)) == []
    done = engines.mutations(target, MUTATING_S, random.randrange(1 << 30))
    assert done.executions > 1
    assert told(done) == []


@pytest.mark.parametrize("part", kernel_engine.PARTS)
def test_no_input_breaks_the_kernel(part: str, tmp_path: Path) -> None:
    """The kernel's cores, compiled with sanitizers of address and of undefined behaviour."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    program = kernel_engine.build(part, tmp_path, compiler, with_libfuzzer=False)
    kept = sorted((corpus.ROOT / part).iterdir())
    done = subprocess.run([program, str(MUTATING_S), *kept], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[:4000]
    assert int(done.stdout.split()[0]) > len(kept)


def test_sanitizers_see_a_step_outside(tmp_path: Path) -> None:
    """The same driver and flags around a parser that reads one byte too many: the run ends with a report."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    source = tmp_path / "careless.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data[size] == 7 ? 1 : 0; }\n"
    )
    program = kernel_engine.compiled([source, kernel_engine.HERE / "driver.c"], tmp_path / "careless", compiler)
    (tmp_path / "input").write_bytes(b"abc")
    done = subprocess.run([program, "0.1", tmp_path / "input"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


def test_faults_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that raises what is not ours, one that disagrees and one that hangs are each reported, once."""

    def careless(data: bytes) -> None:
        if len(data) > 5:
            raise KeyError("not ours")
        if len(data) == 5:
            raise Broken("readings differ")
        while not data:
            pass

    monkeypatch.setitem(TARGETS, "careless", Target(careless, lambda: [b"1234"]))
    monkeypatch.setattr(engines, "HANG_S", 0.02)
    found = engines.mutations("careless", 0.5, 1).faults
    assert sorted(type(fault).__name__ for _, fault in found) == ["Broken", "Hang", "KeyError"]
    assert engines.run_one("careless", b"abc") is None


def test_the_corpus_is_small_and_of_targets() -> None:
    """What is kept belongs to a target, bears its name, and all of it is less than 300 KB."""
    files = [path for path in corpus.ROOT.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {*TARGETS, *kernel_engine.PARTS}
    assert all(path.name == corpus.name_of(path.read_bytes()) for path in files)
    assert sum(path.stat().st_size for path in files) < MOST_CORPUS
