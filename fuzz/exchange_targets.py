"""The lists of exports: sums, bags' manifests, OCFL inventories. None leads out of its folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from emeritus.vault.exchange.taking import Part, lay_out, read
from fuzz.target import Target, attempt, expect

FILES = {"a": b"first", "b/c d": b"second"}
SUMS = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}


def check_list(data: bytes) -> None:
    """A first byte 0: the rest are sums; 1: a bag's manifest; 2: the body of an inventory."""
    with tempfile.TemporaryDirectory() as name:
        source, work = Path(name) / "source", Path(name) / "work"
        _write(source, data[:1], data[1:])
        fine, parts = attempt(lambda: lay_out(read(source)[1], work))
        laid = {path for path in work.rglob("*") if path.is_file()} if work.exists() else set()
        outside = set(Path(name).iterdir()) - {source, work}
        expect(not outside, "an export wrote beside its folder")
        expect(all(path.read_bytes() in FILES.values() for path in laid), "an export gave bytes it does not have")
        if fine:
            expect(isinstance(parts, list) and all(isinstance(part, Part) and part.items for part in parts), "no part")


def _write(source: Path, kind: bytes, text: bytes) -> None:
    below = {b"\1": source / "data", b"\2": source / "v1" / "content"}.get(kind, source)
    for path, data in FILES.items():
        (below / path).parent.mkdir(parents=True, exist_ok=True)
        (below / path).write_bytes(data)
    if kind == b"\1":
        (source / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        (source / "manifest-sha256.txt").write_bytes(text)
    elif kind == b"\2":
        (source / "0=ocfl_object_1.1").write_text("ocfl_object_1.1\n")
        for place in (source, source / "v1"):
            (place / "inventory.json").write_bytes(text)
            (place / "inventory.json.sha256").write_text(hashlib.sha256(text).hexdigest())
    else:
        (source / "SHA256SUMS").write_bytes(text)


def seeds() -> list[bytes]:
    """One sound list of each kind."""
    inventory = {
        "id": "x",
        "digestAlgorithm": "sha256",
        "head": "v1",
        "manifest": {digest: [f"v1/content/{path}"] for path, digest in SUMS.items()},
        "versions": {"v1": {"state": {digest: [path] for path, digest in SUMS.items()}}},
    }
    return [
        b"\0" + "".join(f"{digest}  {path}\n" for path, digest in SUMS.items()).encode(),
        b"\1" + "".join(f"{digest}  data/{path}\n" for path, digest in SUMS.items()).encode(),
        b"\2" + json.dumps(inventory).encode(),
    ]


TARGETS = {"exchange": Target(check_list, seeds)}
