"""ZipNN as a peer: an environment of its own, made once, and a process that is asked for one encoding at a time.

The work is timed inside that process, so that neither starting it nor talking to it counts. Knows nothing of our codec.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("zipnn==0.5.4", "torch==2.13.0+cpu", "numpy")
WORKER = """
import json, sys, time
import numpy, torch, zipnn
threads = int(sys.argv[2])
torch.set_num_threads(threads)
data = open(sys.argv[1], "rb").read()
coder = zipnn.ZipNN(input_format="byte", bytearray_dtype="bfloat16", threads=threads)
print(json.dumps({"zipnn": "0.5.4", "torch": torch.__version__, "coder_threads": coder.threads,
                  "torch_threads": torch.get_num_threads()}), flush=True)
packed = None
for line in sys.stdin:
    given = bytearray(data) if line == "encode\\n" else packed
    wall, cpu = time.perf_counter(), time.process_time()
    made = coder.compress(given) if line == "encode\\n" else coder.decompress(given)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    if line == "encode\\n":
        packed = made
    print(json.dumps({"wall": spent[0], "cpu": spent[1], "bytes": len(made),
                      "right": line == "encode\\n" or bytes(made) == data}), flush=True)
"""


def peers_folder() -> Path:
    """Where environments of peers are kept between runs: EMERITUS_BENCHMARK_PEERS, or in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("EMERITUS_BENCHMARK_PEERS", cache / "emeritus" / "peers"))


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """The interpreter of an environment that holds these packages and nothing of ours; made where it is not there."""
    folder = peers_folder() / name
    python, done = folder / "bin" / "python", folder / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != list(packages):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
        done.write_text(json.dumps(packages))
    return python


class Peer:
    """ZipNN in a process of its own, given the bytes of a file; `about` says what it is and how many threads it has."""

    def __init__(self, python: Path, file: Path, threads: int = 1) -> None:
        quiet = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        command = [str(python), "-c", WORKER, str(file), str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)
        self.about = self._read()
        self.packed_bytes = 0

    def ask(self, what: str) -> dict[str, Any]:
        """The seconds ("wall", "cpu") that "encode" or "decode" took. Raises RuntimeError for a wrong result."""
        if self._process.stdin is None:
            raise RuntimeError("ZipNN's process has no input")
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        found = self._read()
        if not found["right"]:
            raise RuntimeError("ZipNN did not give back the bytes it was given")
        if what == "encode":
            self.packed_bytes = found["bytes"]
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"ZipNN's process ended with {self._process.wait(60)}")
        found: dict[str, Any] = json.loads(line)
        return found
