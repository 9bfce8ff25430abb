"""delta_size_vs_xor_zstd: what a fine-tune takes beside its base, against the better of two kinds of XOR and zstd.

Updates by chance of four sizes on weights of scale 0.02, each beside the entropy that its steps have given the base's
exponent; then really trained pairs (`benchmarks.difference_pairs`). Every size is of bytes that were decoded again.
`python -m benchmarks.vault_difference [SCALE]` runs it by itself.
"""

from __future__ import annotations

import hashlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.difference_pairs import pairs
from benchmarks.metric import Metric, Options, table
from benchmarks.vault_peers import zstd_sizes
from emeritus.vault.codec import difference
from emeritus.vault.codec.kernel import level

WEIGHTS = 1 << 22  # of a pair: one segment of 8 MiB
SCALE = 0.02
JUDGED, SIGMAS = 5e-5, (1e-5, 5e-5, 2e-4, 1e-3)
STEPS = 100  # of a really trained pair's further training
ROUNDS = 9

Bits = npt.NDArray[np.uint16]  # bf16


def measure(options: Options) -> list[Metric]:
    """The one metric, with what is reported beside it."""
    try:
        zstd_sizes([])
    except (subprocess.CalledProcessError, OSError) as error:
        return [Metric.missing("delta_size_vs_xor_zstd", f"the peer, zstandard, cannot be installed: {error}")]
    beside: dict[str, Any] = {"instruction set": level()}
    judged = float("nan")
    for sigma in SIGMAS:
        data, base = moved(sigma, options.of(WEIGHTS, 1 << 16))
        figures = compare({"w": base}, {"w": data})
        figures["entropy"] = entropy(data, base)
        beside[f"bits a weight, sigma {sigma:g}"] = figures
        if sigma == JUDGED:
            judged = figures["over XOR and zstd"]
            beside["bytes a second over sha256's"] = speed(data.tobytes(), base.tobytes(), options.of(ROUNDS, 3))
    for name, before, after in pairs(options.of(STEPS, 5)):
        beside[f"bits a weight, trained {name}"] = compare(before, after)
    return [Metric("delta_size_vs_xor_zstd", judged, high=0.6, beside=beside)]


def bf16(values: npt.NDArray[np.float32]) -> Bits:
    """Rounded to the nearest bf16, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def moved(sigma: float, count: int) -> tuple[Bits, Bits]:
    """(weights after an update, weights before): both Gaussian, rounded to bf16."""
    chance = np.random.default_rng(1)
    base = bf16(chance.normal(0, SCALE, count).astype(np.float32))
    update = chance.normal(0, sigma, count).astype(np.float32)
    return bf16((base.astype(np.uint32) << 16).view(np.float32) + update), base


def compare(base: Any, data: Any) -> dict[str, float]:
    """Bits a weight of both peers and of ours, tensors by name; ours over the better peer."""
    xor = np.concatenate([(data[name] ^ base[name]).ravel() for name in base])
    plain, planes = zstd_sizes([xor.tobytes(), xor.view(np.uint8).reshape(-1, 2).T.tobytes()])
    ours = sum(_stored(data[name].tobytes(), base[name].tobytes()) for name in base)
    return {
        "ours": 8 * ours / len(xor),
        "XOR and zstd": 8 * plain / len(xor),
        "XOR, planes, zstd": 8 * planes / len(xor),
        "over XOR and zstd": ours / min(plain, planes),
        "unchanged": float(np.mean(xor == 0)),
    }


def _stored(data: bytes, base: bytes) -> int:
    """Bytes that a difference takes, or the tensor itself where none pays; decoded and compared."""
    stored = difference.encode(data, base, 2)
    if stored is None:
        return len(data)
    out = bytearray(len(data))
    difference.decode_into(stored, base, out)
    if out != data:
        raise RuntimeError("a difference did not give back what was encoded")
    return len(stored)


def entropy(data: Bits, base: Bits) -> float:
    """Bits a weight that the ordered steps from the base have, given its exponent; of this sample, so a little low."""

    def order(bits: Bits) -> npt.NDArray[np.int64]:
        return np.where(bits & 0x8000, 0x7FFF - bits.astype(np.int64), bits)

    steps, exponents = order(data) - order(base), base >> 7 & 255
    bits = 0.0
    for exponent in np.unique(exponents):
        _, counts = np.unique(steps[exponents == exponent], return_counts=True)
        bits += float((counts * np.log2(counts.sum() / counts)).sum())
    return bits / len(base)


def speed(data: bytes, base: bytes, rounds: int) -> dict[str, float]:
    """Medians of processor time in one thread, by turns: our bytes of weights a second over sha256's."""
    stored = difference.encode(data, base, 2)
    if stored is None:
        raise RuntimeError("a difference does not pay")
    out = bytearray(len(data))
    work: dict[str, Callable[[], object]] = {
        "sha256": lambda: hashlib.sha256(data).digest(),
        "encode": lambda: difference.encode(data, base, 2),
        "decode": lambda: difference.decode_into(stored, base, out),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            started = time.thread_time()
            do()
            seconds[name].append(time.thread_time() - started)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {name: medians["sha256"] / medians[name] for name in ("encode", "decode")} | {
        "sha256 itself, GB/s": len(data) / medians["sha256"] / 1e9
    }


if __name__ == "__main__":
    print(table(measure(Options(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))))
