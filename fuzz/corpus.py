"""The inputs that are kept, a folder for each target: sound ones, and every one that found a fault."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

BYTES, FILES = 12 << 10, 60  # of one target, beyond which nothing is added: all of it runs in every test run
ROOT = Path(__file__).parent / "corpus"


def name_of(data: bytes) -> str:
    """What an input's file is called."""
    return hashlib.sha256(data).hexdigest()[:16]


def read(target: str) -> list[bytes]:
    """A target's inputs, in the order of their names."""
    return [path.read_bytes() for path in sorted((ROOT / target).glob("*")) if path.is_file()]


def write(target: str, inputs: Iterable[bytes]) -> None:
    """Add inputs."""
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / name_of(data)).write_bytes(data)


def keep(target: str, found: Iterable[Path]) -> None:
    """Add some of what an engine found to reach other code, short and long, as far as there is room."""
    have = [path.stat().st_size for path in (ROOT / target).glob("*")]
    new = sorted(found, key=lambda each: (each.stat().st_size, each.name))
    room, count = BYTES - sum(have), max(1, min(FILES - len(have), len(new)))
    for path in new[:: -(-len(new) // count)] if len(have) < FILES else []:
        room -= path.stat().st_size
        if room < 0:
            break
        write(target, [path.read_bytes()])
