"""Other ways to keep the same bytes, in an environment of their own: what is reported beside the codec's figures.

Blosc2 (byte shuffle, zstd-1), zstd-1 of the exponents' plane beside the raw rest, hf_xet's chunks and hashes, and
safetensors' plain load, which compresses nothing: one thread each, medians inside one process. Also zstd-3's sizes for
the differences. Knows nothing of our codec.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.vault_zipnn import environment

PACKAGES = ("blosc2==4.14.1", "zstandard==0.25.0", "safetensors==0.8.0", "hf_xet==1.8.0", "numpy==2.4.6")
TABLE = """
import json, os, statistics, sys, tempfile, time
import blosc2, hf_xet, numpy as np, zstandard
from safetensors.numpy import load_file, save_file
data = np.fromfile(sys.argv[1], np.uint16)
blosc2.set_nthreads(1)

def median(work, rounds=3):
    spent = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        made = work()
        spent.append(time.perf_counter() - started)
    return made, data.nbytes / 1e9 / statistics.median(spent[1:])

def row(size, encode, decode):
    return {"of raw": size / data.nbytes, "encode GB/s": encode, "decode GB/s": decode}

parts = [data[at : at + (1 << 24)] for at in range(0, len(data), 1 << 24)]  # Blosc2 takes less than 2 GiB at once
shuffled, encode = median(lambda: [
    blosc2.compress2(p, codec=blosc2.Codec.ZSTD, clevel=1, typesize=2, filters=[blosc2.Filter.SHUFFLE]) for p in parts])
_, decode = median(lambda: [blosc2.decompress2(p) for p in shuffled])
found = {"Blosc2, shuffle and zstd-1": row(sum(map(len, shuffled)), encode, decode)}

def split():
    exponents = (data >> 7 & 255).astype(np.uint8).tobytes()
    rest = (data >> 8 & 128 | data & 127).astype(np.uint8)
    return zstandard.ZstdCompressor(level=1).compress(exponents), rest

def merge():
    exponents = np.frombuffer(zstandard.ZstdDecompressor().decompress(planes[0]), np.uint8).astype(np.uint16)
    rest = planes[1].astype(np.uint16)
    return (rest & 128) << 8 | exponents << 7 | rest & 127

planes, encode = median(split)
_, decode = median(merge)
found["exponents' plane and zstd-1, by NumPy"] = row(len(planes[0]) + len(planes[1]), encode, decode)
with tempfile.TemporaryDirectory(dir=os.path.dirname(sys.argv[1])) as folder:
    path = os.path.join(folder, "model.safetensors")
    save_file({"w": data}, path)
    _, decode = median(lambda: load_file(path)["w"])
    found["safetensors, plain load"] = {"of raw": 1.0, "load GB/s": decode}
    _, encode = median(lambda: hf_xet.hash_files([path]))
    found["hf_xet, chunks and hashes"] = {"GB/s": encode}
print(json.dumps(found))
"""
SIZES = """
import struct, sys
import zstandard
while head := sys.stdin.buffer.read(8):
    data = sys.stdin.buffer.read(struct.unpack("<Q", head)[0])
    made = zstandard.ZstdCompressor(level=3).compress(data)
    sys.stdout.buffer.write(struct.pack("<Q", len(made)))
"""


def others(file: Path) -> dict[str, Any]:
    """Sizes and speeds of the other ways on a file of bf16 numbers; what stopped them, where they cannot be had."""
    try:
        python = environment("codecs", PACKAGES)
        single = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "BLOSC_NTHREADS": "1"}
        done = subprocess.run([str(python), "-c", TABLE, str(file)], check=True, capture_output=True, env=single)
    except (subprocess.CalledProcessError, OSError) as error:
        return {"missing": f"the other ways cannot be installed or run: {error}"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def zstd_sizes(pieces: Sequence[bytes]) -> list[int]:
    """What zstd-3 makes of each piece, in bytes. Raises CalledProcessError or OSError where it cannot be installed."""
    python = environment("codecs", PACKAGES)
    given = b"".join(struct.pack("<Q", len(piece)) + piece for piece in pieces)
    done = subprocess.run([str(python), "-c", SIZES], input=given, check=True, capture_output=True)
    return [size for (size,) in struct.iter_unpack("<Q", done.stdout)]
