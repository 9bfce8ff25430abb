"""How the kernel's cores are run: compiled with sanitizers, by libFuzzer where clang is, else by kernel/driver.c."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from fuzz import corpus

HERE = Path(__file__).parent / "kernel"
CORE = Path(__file__).parents[1] / "src/emeritus/vault/codec/kernel"
RANS = ["rans.c", "rans_scalar.c", "rans_avx2.c", "rans_avx512.c", "rans_neon.c"]
PARTS = {
    "kernel-numbers": ["numbers.c", "planes.c", *RANS, "level.c"],
    "kernel-difference": ["difference.c", "difference_avx512.c", "level.c"],
    "kernel-field": ["reed_solomon.c", "level.c"],
}
FLAGS = ["-g", "-std=gnu11", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def build(part: str, out: Path, compiler: str, *, with_libfuzzer: bool) -> Path:
    """The program of one part. Raises CalledProcessError where the compiler lacks sanitizers."""
    sources = [CORE / name for name in PARTS[part]] + [HERE / f"{part.removeprefix('kernel-')}.c"]
    if not with_libfuzzer:
        sources.append(HERE / "driver.c")
    return compiled(sources, out / part, compiler, "address,undefined" + (",fuzzer" if with_libfuzzer else ""))


def compiled(sources: list[Path], program: Path, compiler: str, sanitizers: str = "address,undefined") -> Path:
    """A program with these sanitizers."""
    level = "-O1" if "fuzzer" in sanitizers else "-O0"  # what a test compiles for a moment's run is to be quick
    command = [
        compiler,
        level,
        *FLAGS,
        f"-fsanitize={sanitizers}",
        "-I",
        str(CORE),
        *map(str, sources),
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return program


def fuzz(part: str, seconds: int, keep: bool) -> int:
    """Run one part for so long; the exit status, 0 where nothing was found."""
    own = corpus.ROOT / part
    own.mkdir(parents=True, exist_ok=True)
    guided, compiler = shutil.which("clang"), shutil.which("clang") or shutil.which("gcc") or "cc"
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        program = build(part, work, compiler, with_libfuzzer=guided is not None)
        if guided is None:
            return subprocess.run([program, str(seconds), *own.iterdir()], check=False).returncode
        found, least = work / "found", work / "least"
        found.mkdir()
        least.mkdir()
        limits = [
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=16384",
            "-use_value_profile=1",
            f"-artifact_prefix=crash-{part}-",
        ]
        done = subprocess.run(
            [program, *limits, f"-max_total_time={seconds}", "-print_final_stats=1", found, own], check=False
        )
        if keep and done.returncode == 0:
            subprocess.run([program, *limits, "-merge=1", least, own, found], check=True)
            corpus.keep(part, least.iterdir())
    return done.returncode
