"""A vault of many residents: how long finding one takes, and how long looking for a base among all of them.

Each resident has a pack, a manifest and a sketch of its own, made by the vault's own code; what is left out is what
costs most of a preservation of so little: parity, and waiting for a disk. `python -m benchmarks.vault_many [SCALE]`
runs this alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.metric import RAM_DISK, Metric, Options
from benchmarks.vault_pipeline import folder_on

if TYPE_CHECKING:
    from emeritus.vault.vault import Vault

RESIDENTS = 10_000
WEIGHTS = 8192  # of each: little, but with all that a sketch has of the first tensors
TRIED = 50  # residents that are opened, and looked for
LIKELY = 8  # near tensors that a preservation asks for
WHOLE = "model.safetensors"


def measure(options: Options) -> list[Metric]:
    """The one."""
    return [each(options) for each in METRICS.values()]


def open_ms(options: Options) -> Metric:
    """Opening a vault of many residents and finding one: its manifest, its tensors, and where their segments lie.

    Each time as a new process would, of residents far apart. Every tensor found is read once, the clock stopped, and
    must hold the resident's own numbers.
    """
    from emeritus.blobs.local import LocalStore
    from emeritus.vault.vault import Vault

    count = options.of(RESIDENTS, 100)
    with folder_on(RAM_DISK, 60_000 * count) as folder:
        start = time.perf_counter()
        vault = Vault.create(LocalStore(folder / "vault"))
        layer = _Layer(vault)
        for number in range(count):
            layer.add(number)
        made = time.perf_counter() - start
        times = []
        for number in _far_apart(count):
            start = time.perf_counter()
            opened = Vault.at(LocalStore(folder / "vault")).open(f"resident-{number}")
            found = len(opened.tensors)
            times.append((time.perf_counter() - start) * 1000)
            if found != 1 or opened.read("w").tobytes() != _weights(number):
                raise RuntimeError(f"resident-{number} came with other tensors than its own")
        base = _find_base(vault, count)
    beside = {"residents": count, "worst": max(times), "set up in s": made, **base, "load": os.getloadavg()[0]}
    return Metric("open_ms_10k_residents", statistics.median(times), high=50, unit="ms", beside=beside)


METRICS = {"open_ms_10k_residents": open_ms}


# -- what is measured with ------------------------------------------------------------------------------------------


class _Layer:
    """Lays out residents of one small tensor in a vault, by its own writers, as `Ingest` does but for parity."""

    def __init__(self, vault: Vault) -> None:
        from emeritus.vault.packs.index import SegmentIndex
        from emeritus.vault.shelf import Shelf
        from emeritus.vault.writing.sketches import Sketches

        self._store = vault.store
        self._index = SegmentIndex(vault.store, vault.keys)
        self._sketches = Sketches(vault.store, self._index)
        self._shelf = Shelf(vault.store)

    def add(self, number: int) -> None:
        """The resident of that number: its pack, its manifest, its sketch."""
        from emeritus.vault.codec.table import encode
        from emeritus.vault.digests import blake3_of
        from emeritus.vault.formats.table import cuts
        from emeritus.vault.manifest import FileEntry, Manifest
        from emeritus.vault.packs.pack import Encoded, PackBuilder, pack_key
        from emeritus.vault.writing import sketch

        data = _file(number)
        parts = cuts(io.BytesIO(data), len(data), WHOLE)
        pack = PackBuilder()
        segments = []
        for cut in parts:
            piece = data[cut.offset : cut.offset + cut.length]
            pack.add(Encoded(blake3_of(piece), len(piece), *encode(piece, cut.layout)))
            segments.append((blake3_of(piece).hex(), len(piece)))
        name, packed = pack.finish()
        self._store.put(pack_key(name), packed)
        self._index.add(name, pack.entries)
        stored = sum(entry.stored for entry in pack.entries)
        file = FileEntry(WHOLE, len(data), hashlib.sha256(data).hexdigest(), False, tuple(segments))
        manifest = Manifest(f"resident-{number}", "weights", 1, (file,), (), (), (name,), stored)
        self._shelf.add(manifest)
        tensors = sketch.tensors(parts)
        samples = {(0, each.offset): sketch.take(each, _reading(data)) for each in tensors}
        self._sketches.keep(manifest, [tensors], samples)


def _find_base(vault: Vault, count: int) -> dict[str, Any]:
    """How long a preservation looks for a base among so many sketches: reading them, and then for each tensor."""
    from emeritus.vault.packs.index import SegmentIndex
    from emeritus.vault.writing import sketch
    from emeritus.vault.writing.sketches import Sketches

    sketches = Sketches(vault.store, SegmentIndex(vault.store, vault.keys))
    start = time.perf_counter()
    sketches.load(without=())
    read = time.perf_counter() - start
    times = []
    for number in _far_apart(count):
        near = bytes(byte ^ (at % 2 == 0) for at, byte in enumerate(_weights(number)))  # the last bit of each differs
        sampled = sketch.take(sketch.Stretch(0, len(near), 2), _reading(near))
        start = time.perf_counter()
        alike = sketches.alike(sampled, 2, LIKELY)
        times.append((time.perf_counter() - start) * 1000)
        if f"resident-{number}" not in {each.name for each in alike}:
            raise RuntimeError(f"nothing was found near the tensor of resident-{number}")
    return {"sketches read in s": read, "near tensors found in ms": statistics.median(times)}


def _far_apart(count: int) -> range:
    return range(0, count, max(1, count // TRIED))


def _weights(number: int) -> bytes:
    """Its tensor's bytes: bf16 noise of a model's scale."""
    import numpy as np

    weights = np.random.default_rng(number).standard_normal(WEIGHTS, dtype=np.float32) * np.float32(0.02)
    return (weights.view(np.uint32) >> 16).astype("<u2").tobytes()


def _file(number: int) -> bytes:
    """Its safetensors file."""
    weights = _weights(number)
    text = json.dumps({"w": {"dtype": "BF16", "shape": [WEIGHTS], "data_offsets": [0, len(weights)]}}).encode()
    return struct.pack("<Q", len(text)) + text + weights


def _reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


if __name__ == "__main__":
    from benchmarks.metric import table

    print(table(measure(Options(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))))
