"""The codec against ZipNN and against entropy: the same synthetic bf16 weights, one thread each, turn by turn.

256 MB of normal weights of scale 0.02. Ours as the vault keeps them: segments of 8 MiB, each encoded into room that is
kept and decoded into one buffer made before. ZipNN 0.5.4 by its ordinary interface, the whole at once, told to use one
thread, in an environment and a process of its own, timed inside it; both are warm. A ratio is of medians of wall time;
the same of processor time is reported beside, which other work on the machine disturbs less. Run by `python -m
benchmarks vault`, or alone: `python -m benchmarks.vault_codec [SCALE]`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metric import Metric, Options, table
from benchmarks.vault_peers import others
from benchmarks.vault_zipnn import PACKAGES, Peer, environment
from emeritus.vault.codec import numbers
from emeritus.vault.codec.kernel import level
from emeritus.vault.formats.cut import SEGMENT_BYTES

SIZE, SCALE = 256 << 20, 0.02  # bytes of bf16, and how widely the weights are spread
ROUNDS = 7  # timed, after one that is not
TIMES = ("wall", "cpu")
Times = dict[tuple[str, str], list[float]]  # of ("encode", "wall") and so on, in seconds


def weights(count: int) -> bytes:
    """`count` normal weights of scale 0.02 as bf16, rounded to the nearest."""
    chance = np.random.default_rng(4)
    out = np.empty(count, np.uint16)
    for start in range(0, count, 1 << 22):
        values = chance.standard_normal(min(1 << 22, count - start), np.float32) * np.float32(SCALE)
        bits = values.view(np.uint32)
        out[start : start + len(bits)] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return out.tobytes()


def entropy(data: bytes) -> float:
    """Bits of entropy, order 0, of the exponents of bf16 numbers."""
    counts = np.zeros(256, np.int64)
    numbers_ = np.frombuffer(data, np.uint16)
    for start in range(0, len(numbers_), 1 << 22):
        counts += np.bincount(numbers_[start : start + (1 << 22)] >> 7 & 255, minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log2(shares)).sum())


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.thread_time() - cpu}


class Ours:
    """The vault's codec on segments, with the buffers a caller keeps."""

    def __init__(self, data: bytes) -> None:
        view = memoryview(data)
        self._data = data
        self._segments = [view[at : at + SEGMENT_BYTES] for at in range(0, len(data), SEGMENT_BYTES)]
        self._rooms = [memoryview(bytearray(len(segment) + 16)) for segment in self._segments]
        self._out = bytearray(len(data))
        self.stored: list[numbers.Data] = []

    def encode(self) -> None:
        """Every segment into its room."""
        pairs = zip(self._segments, self._rooms, strict=True)
        self.stored = [numbers.encode(segment, 2, room) for segment, room in pairs]

    def decode(self) -> None:
        """Every segment into its place of one buffer."""
        out = memoryview(self._out)
        for at, stored in enumerate(self.stored):
            numbers.decode_into(stored, out[at * SEGMENT_BYTES : (at + 1) * SEGMENT_BYTES])

    def check(self) -> None:
        """Raises RuntimeError unless the last decoding gave back the data."""
        if self._out != self._data:
            raise RuntimeError("the codec did not give back the bytes it was given")


def measure(options: Options) -> list[Metric]:
    """The three metrics of the codec; those against ZipNN are missing where it cannot be installed."""
    data = weights(options.of(SIZE // SEGMENT_BYTES) * SEGMENT_BYTES // 2)
    ours = Ours(data)
    ours.encode()
    ours.decode()
    ours.check()
    bits, bound = 8 * sum(len(stored) for stored in ours.stored) / (len(data) // 2), 8 + entropy(data)
    about: dict[str, Any] = {
        "bits a weight": bits,
        "8 and entropy": bound,
        "of raw": bits / 16,
        "megabytes": len(data) / 1e6,
    }
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        about["other ways, a thread each"] = others(Path(file.name))
    size = Metric("bf16_size_over_entropy", bits / bound, high=1.005, beside=about)
    bounds = {"decode": ("bf16_decode_vs_zipnn", 2.5), "encode": ("bf16_encode_vs_zipnn", 3.0)}
    try:
        python = environment("zipnn", PACKAGES)
    except (subprocess.CalledProcessError, OSError) as error:
        return [size, *(Metric.missing(name, f"ZipNN cannot be installed: {error}") for name, _ in bounds.values())]
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        peer = Peer(python, Path(file.name))
        try:
            mine, its = _rounds(ours, peer)
        finally:
            peer.close()
    ours.check()
    found = [size]
    for what, (name, low) in bounds.items():
        spent = {each: (statistics.median(mine[what, each]), statistics.median(its[what, each])) for each in TIMES}
        beside: dict[str, Any] = {
            f"{each}, GB/s, ours and ZipNN's": [len(data) / 1e9 / t for t in spent[each]] for each in TIMES
        }
        beside["of processor time"] = spent["cpu"][1] / spent["cpu"][0]
        beside |= {"instruction set": level(), "load": os.getloadavg()[0], "ZipNN": peer.about}
        beside["ZipNN's size, of raw"] = peer.packed_bytes / len(data)
        found.append(Metric(name, spent["wall"][1] / spent["wall"][0], low=low, beside=beside))
    return found


def _rounds(ours: Ours, peer: Peer) -> tuple[Times, Times]:
    """The seconds of each kind of work in each round, ours and the peer's, one after the other by turns."""
    mine: Times = {(what, each): [] for what in ("encode", "decode") for each in TIMES}
    its: Times = {key: [] for key in mine}
    for number in range(ROUNDS + 1):
        for what, work in (("encode", ours.encode), ("decode", ours.decode)):
            theirs, own = peer.ask(what), timed(work)
            for each in TIMES if number else ():  # the first round warms both
                mine[what, each].append(own[each])
                its[what, each].append(theirs[each])
    return mine, its


if __name__ == "__main__":
    print(table(measure(Options(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))))
