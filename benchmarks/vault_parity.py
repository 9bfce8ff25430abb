"""Parity measured: making it and bringing two lost packs of sixteen back, per core, over sha256 of the same bytes.

Each figure is bytes of data a second of one core's time: the thread's own, so that others' work counts little. Encoding
is all that a preservation does for parity but the writing: products, the BLAKE3 of every block, the objects and their
names. Repairing reads the fourteen packs left and the parity from a store in memory, solves, and proves every block
that gives and the sha256 of the two packs. The value is the slower of the two over hashlib's sha256, each the median of
rounds that take turns. Run by `python -m benchmarks vault`.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable

from benchmarks.memory import have_memory
from benchmarks.metric import RAM_DISK, Metric, Options, table
from emeritus.blobs.local import LocalStore
from emeritus.vault.codec.kernel import level
from emeritus.vault.codec.reed_solomon import cauchy, combine
from emeritus.vault.packs.pack import pack_key
from emeritus.vault.parity.build import PACKS, SHARDS, Encoder, GroupBuilder
from emeritus.vault.parity.groups import Groups
from emeritus.vault.parity.mend import mend

PACK_BYTES = 32 << 20
ROUNDS = 5


def measure(options: Options) -> list[Metric]:
    """The ratio, and beside it each speed in GB/s; at a smaller scale with smaller packs."""
    packs = make_packs(options.of(PACK_BYTES, 1 << 20))
    size = sum(map(len, packs.values()))
    with tempfile.TemporaryDirectory(prefix="parity-", dir=RAM_DISK if RAM_DISK.is_dir() else None) as folder:
        store = LocalStore(folder)
        builder = GroupBuilder(store)
        for name, data in packs.items():
            store.put(pack_key(name), data)
            builder.add(name, data)
        builder.finish()
        lost = list(packs)[3:5]
        for name in lost:
            store.delete(pack_key(name))
        runs: dict[str, Callable[[], object]] = {
            "sha256": lambda: [hashlib.sha256(data).digest() for data in packs.values()],
            "encode": lambda: encode(packs),
            "repair": lambda: repair(store, lost, packs),
            "products": lambda: products(packs),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                have_memory(size)
                began = time.thread_time()
                run()
                seconds[name].append(time.thread_time() - began)
    speed = {name: size / statistics.median(found) / 1e9 for name, found in seconds.items()}
    ratios = {name: speed[name] / speed["sha256"] for name in ("encode", "repair", "products")}
    beside = {
        "over sha256": ratios,
        "GB/s": speed,
        "MB": size / 1e6,
        "level": level(),
        "load": os.getloadavg()[0],
    }
    return [Metric("parity_vs_sha256", min(ratios["encode"], ratios["repair"]), low=1, beside=beside)]


def make_packs(size: int, seed: int = 4) -> dict[str, bytes]:
    """Sixteen objects under their sha256, of nearly one size."""
    chance = random.Random(seed)
    found = {}
    for number in range(PACKS):
        data = chance.randbytes(size - 1000 * number)
        found[hashlib.sha256(data).hexdigest()] = data
    return found


def encode(packs: dict[str, bytes]) -> list[str]:
    """The parity objects' keys, everything computed and nothing written."""
    encoder = Encoder(range(SHARDS))
    for name, data in packs.items():
        encoder.add(name, data)
    return [key for key, _ in encoder.objects()]


def products(packs: dict[str, bytes]) -> None:
    """The sums of products alone."""
    targets = [bytearray(max(map(len, packs.values()))) for _ in range(SHARDS)]
    combine(cauchy(range(SHARDS), range(len(packs))), list(packs.values()), targets)


def repair(store: LocalStore, lost: list[str], packs: dict[str, bytes]) -> None:
    """Bring the lost packs back, and compare them: a wrong one would make the figure worthless."""
    (group,) = Groups(store).refresh().all()
    for mended in mend([store], group, lost):
        if mended.data != packs[mended.name]:
            raise RuntimeError(f"{mended.name} did not come back")


if __name__ == "__main__":
    print(table(measure(Options())))
