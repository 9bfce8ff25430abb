"""The vault's way in and out, against physical limits: preserving, restoring.

Ratios are taken in one run, the sides in turn, and reported as medians. What is preserved and restored is bf16 noise of
a model's scale in shards, on a RAM disk where there is one; the peak of memory and the cold restore use the disk. ZipNN
has an environment of its own, and decodes without verifying anything. Each side gets memory of its own afresh, of which
the machine has enough at hand: a virtual machine's free memory is its host's, and slow for whoever touches it first.
`python -m benchmarks.vault_pipeline [SCALE [METRIC ...]]` runs these alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.memory import have_memory, peak_mb
from benchmarks.metric import RAM_DISK, Metric, Options
from benchmarks.vault_zipnn import PACKAGES, environment

GB = 1_000_000_000
SHARD = 2 * GB
TENSOR = 4096 * 4096  # weights
PRESERVED, RESTORED, COLD, LARGE = 2 * GB, GB, 4 * GB, 20 * GB
LEAST = 64_000_000  # bytes of a model at the smallest scale
READINGS = 3  # of each side in a round
ROUNDS = 5
THREADS = 2


def measure(options: Options) -> list[Metric]:
    """All four."""
    return [each(options) for each in METRICS.values()]


def preserve_vs_sha256(options: Options) -> Metric:
    """Bytes a second and core of a whole preservation, over those of hashlib's sha256: two threads each."""
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.vault import Vault

    size = options.of(PRESERVED, LEAST)
    with folder_on(RAM_DISK, 3 * size) as folder:
        model = _model(folder / "model", size)
        total = _bytes_in(model)
        ratios, by_time, sealed = [], [], []
        data = (model / "shard-0.safetensors").read_bytes()[: 512 << 20]
        hashed = THREADS * len(data)
        for number in range(ROUNDS):
            clock, busy = _timed(partial(_hash_twice, data))
            vault = Vault.create(LocalStore(folder / "vault"))
            have_memory(size + size // 4)
            vault_clock, vault_busy = _timed(partial(vault.preserve, model, "bench"))
            stored = vault.manifest("bench").stored_bytes
            ratios.append(total / vault_clock / (hashed / clock))
            by_time.append(total / vault_busy / (hashed / busy))
            shutil.rmtree(folder / "vault")
            locked = _encrypted(folder / "vault")
            have_memory(size + size // 4)
            sealed.append(vault_busy / _timed(partial(locked.preserve, model, "bench"))[1])
            shutil.rmtree(folder / "vault")
            _tell(f"preserve {number + 1}: {ratios[-1]:.3f} by the clock, {by_time[-1]:.3f} by processor time")
    beside = {
        "bytes": total,
        "stored": stored / total,
        "sha256 GB/s and core": hashed / busy / GB,
        "by processor time": statistics.median(by_time),
        "encrypted, of that speed": statistics.median(sealed),
        "load": os.getloadavg()[0],
    }
    return Metric("preserve_vs_sha256", statistics.median(ratios), low=0.22, beside=beside)


def restore_vs_zipnn(options: Options) -> Metric:
    """Vault to RAM, every segment verified, over ZipNN's decoding of the same bytes; two threads each, warm."""
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.vault import Vault

    try:
        python = str(environment("zipnn", PACKAGES))
    except (OSError, subprocess.CalledProcessError) as error:
        return Metric.missing("restore_vs_zipnn", f"ZipNN cannot be installed beside: {error}")
    size = options.of(RESTORED, LEAST)
    with folder_on(RAM_DISK, 7 * size) as folder:
        model = _model(folder / "model", size)
        vault = Vault.create(LocalStore(folder / "vault"))
        vault.preserve(model, "bench")
        locked = _encrypted(folder / "encrypted")
        locked.preserve(model, "bench")
        with _peer(python, model) as ask:
            about = json.loads(ask())
            ours, theirs, sealed = [], [], []
            for number in range(ROUNDS):
                ours.append(_quickest(partial(_read_all, vault), size))
                theirs.append(_quickest(lambda: tuple(json.loads(ask("again"))), size))
                sealed.append(_quickest(partial(_read_all, locked), size)[1] / ours[-1][1])
                _tell(f"restore {number + 1}: {ours[-1][0] / GB:.2f} GB/s, ZipNN {theirs[-1][0] / GB:.2f}")
    ratio, busy = (statistics.median(mine[n] / its[n] for mine, its in zip(ours, theirs, strict=True)) for n in (0, 1))
    beside = {
        "bytes": size,
        "GB/s": statistics.median(mine[0] for mine in ours) / GB,
        "zipnn": about,
        "zipnn GB/s": statistics.median(its[0] for its in theirs) / GB,
        "by processor time": busy,
        "encrypted, of that speed": statistics.median(sealed),
        "load": os.getloadavg()[0],
    }
    return Metric("restore_vs_zipnn", ratio, low=1.3, beside=beside)


def restore_vs_raw_cold(options: Options) -> Metric:
    """Vault to RAM over reading the safetensors files as they are, both from a disk whose cache holds neither."""
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.vault import Vault

    size = options.of(COLD, LEAST)
    with folder_on(None, 3 * size) as folder:
        model = _model(folder / "model", size)
        vault = Vault.create(LocalStore(folder / "vault"))
        vault.preserve(model, "bench")
        ours, theirs = [], []
        for number in range(ROUNDS):
            _forget(folder)
            theirs.append(_read_raw(model))
            _forget(folder)
            ours.append(_read_all(Vault.at(LocalStore(folder / "vault")))[0])
            _tell(f"cold {number + 1}: {ours[-1] / GB:.2f} GB/s, raw {theirs[-1] / GB:.2f}")
    ratio = statistics.median(mine / its for mine, its in zip(ours, theirs, strict=True))
    beside = {
        "bytes": size,
        "GB/s": statistics.median(ours) / GB,
        "raw GB/s": statistics.median(theirs) / GB,
        "load": os.getloadavg()[0],
    }
    return Metric("restore_vs_raw_cold", ratio, low=1.2, beside=beside)


def preserve_peak_mb(options: Options) -> Metric:
    """The most memory a preservation takes, in MB (10^6 bytes), in a process of its own."""
    size = options.of(LARGE, LEAST)
    with folder_on(None, 2 * size) as folder:
        model = _model(folder / "model", size)
        code = "import sys; from benchmarks.vault_pipeline import preserve_and_tell; preserve_and_tell(*sys.argv[1:])"
        command = [sys.executable, "-c", code, str(model), str(folder / "vault")]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Metric("preserve_peak_mb", found["peak_mb"], high=1000, unit="MB", beside=found)


def preserve_and_tell(model: str, vault: str) -> None:
    """Preserve, and print peak and time as JSON."""
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.vault import Vault

    start = time.perf_counter()
    manifest = Vault.create(LocalStore(vault)).preserve(Path(model), "bench")
    seconds = time.perf_counter() - start
    print(json.dumps({"peak_mb": peak_mb(), "bytes": manifest.total_bytes, "seconds": seconds}))


# -- what is measured with ------------------------------------------------------------------------------------------

_ZIPNN = """
import importlib.metadata, json, pathlib, sys, time
import zipnn
threads = int(sys.argv[2])
coder = zipnn.ZipNN(bytearray_dtype="bfloat16", input_format="byte", threads=threads)
packed, total, stored = [], 0, 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors")):
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while piece := file.read(64 << 20):
            total += len(piece)
            packed.append(coder.compress(piece))
            stored += len(packed[-1])
print(json.dumps({"version": importlib.metadata.version("zipnn"), "stored": stored / total}), flush=True)
for _ in sys.stdin:
    clock, busy = time.perf_counter(), time.process_time()
    kept = [coder.decompress(each) for each in packed]  # as a loaded model is, and as we do
    print(json.dumps([total / (time.perf_counter() - clock), total / (time.process_time() - busy)]), flush=True)
    del kept
"""


def _encrypted(folder: Path) -> Any:
    """An encrypted vault. What encryption costs is told by processor time, as a share of the speed without it."""
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.keys.cipher import Secret
    from emeritus.vault.vault import Vault

    return Vault.create(LocalStore(folder), secret=Secret.key_file(bytes(range(32))))


@contextmanager
def _peer(python: str, model: Path) -> Iterator[Callable[..., str]]:
    """ZipNN in a process of its own, which answers a line with a line."""
    command = [python, "-c", _ZIPNN, str(model), str(THREADS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(line: str = "") -> str:
            if line and process.stdin:
                print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline() if process.stdout else ""
            if not answer:
                raise RuntimeError("ZipNN gave no answer")
            return answer

        yield ask


def _model(folder: Path, size: int) -> Path:
    """Shards of bf16 noise in tensors of a usual size, `size` bytes of weights in all.

    Every tensor is a stretch of one bank of noise that begins elsewhere: none is another's copy, or nearly, and to draw
    noise takes longer than to preserve it.
    """
    import numpy as np

    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    chance = np.random.default_rng(1)
    most = min(TENSOR, size // 2)
    drawn = chance.standard_normal(2 * most, dtype=np.float32) * np.float32(0.02)
    bank = (drawn.view(np.uint32) >> 16).astype("<u2")
    for number, begin in enumerate(range(0, size, SHARD)):
        left = min(SHARD, size - begin) // 2
        header, at = {}, 0
        for tensor in range(-(-left // TENSOR)):
            count = min(TENSOR, left - at // 2)
            header[f"{number}.{tensor}"] = {"dtype": "BF16", "shape": [count], "data_offsets": [at, at + 2 * count]}
            at += 2 * count
        text = json.dumps(header).encode()
        with (folder / f"shard-{number}.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            while left:
                count = min(left, most)
                where = int(chance.integers(len(bank) - count + 1))
                file.write(bank[where : where + count].tobytes())
                left -= count
    return folder


@contextmanager
def folder_on(where: Path | None, room: int) -> Iterator[Path]:
    """A folder on the RAM disk, or on a disk; gone afterwards, also where this process is asked to end.

    Says so when there is no room.
    """
    if where is not None and not where.is_dir():
        where = None
    parent = where or Path(tempfile.gettempdir())
    free = shutil.disk_usage(parent).free
    if free < room:
        raise RuntimeError(f"{parent} has room for {free} bytes; {room} are needed: try a smaller --scale")
    asked = signal.signal(signal.SIGTERM, _end)
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix="emeritus-bench-") as folder:
            yield Path(folder)
    finally:
        signal.signal(signal.SIGTERM, asked)


def _end(number: int, frame: object) -> None:
    """Leave as an error does: what was opened is closed, gigabytes are removed."""
    sys.exit(128 + number)


def _hash_twice(data: bytes) -> None:
    """The sha256 of bytes in memory, taken by two threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: hashlib.sha256(data).digest(), range(THREADS)))


def _timed(what: Callable[[], object]) -> tuple[float, float]:
    """(seconds by the clock, seconds of processor time)."""
    clock, busy = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - clock, time.process_time() - busy


def _read_all(vault: Any) -> tuple[float, float]:
    """Bytes a second from the vault into memory, by the clock and by processor time."""
    found: dict[str, Any] = {}
    clock, busy = _timed(lambda: found.update(vault.open("bench").read_all(threads=THREADS)))
    total = sum(array.nbytes for array in found.values())
    return total / clock, total / busy


def _quickest(read: Callable[[], tuple[float, float]], size: int) -> tuple[float, float]:
    """The quickest of some readings in a row, by the clock.

    Both sides write to fresh memory, and what a host takes while they do only ever adds: with one reading each, every
    third round was decided by whom that met (1.2 GB/s instead of 3.2).
    """
    found = []
    for _ in range(READINGS):
        have_memory(2 * size + size // 2)  # with less, more of them still met what the host had taken
        found.append(read())
    return max(found)


def _read_raw(model: Path) -> float:
    """Bytes a second of reading the files as they are, each into memory of its own, two at a time."""
    from concurrent.futures import ThreadPoolExecutor

    def read(path: Path) -> int:
        import numpy as np

        out = np.empty(path.stat().st_size, np.uint8)
        with path.open("rb", buffering=0) as file:
            at = 0
            while at < len(out):
                at += file.readinto(out[at : at + (8 << 20)].data)
        return at

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(read, sorted(model.glob("*.safetensors"))))
    return total / (time.perf_counter() - start)


def _forget(folder: Path) -> None:
    """Have the system write out the files below and drop them from its cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


METRICS: dict[str, Callable[[Options], Metric]] = {
    "preserve_vs_sha256": preserve_vs_sha256,
    "restore_vs_zipnn": restore_vs_zipnn,
    "restore_vs_raw_cold": restore_vs_raw_cold,
    "preserve_peak_mb": preserve_peak_mb,
}

if __name__ == "__main__":
    from benchmarks.metric import table

    size = Options(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    print(table([METRICS[name](size) for name in sys.argv[2:] or METRICS]))
