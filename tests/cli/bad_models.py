"""Folders that look like a model, byte by byte, and what can be wrong with their weight file."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOOD_HEADER = {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
WEIGHTS = "model.safetensors"


def safetensors(header: Any, data: bytes = bytes(32), length: int | None = None) -> bytes:
    """A safetensors file. `header` is JSON or the header's bytes; `length` is what it claims to be long."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def model(folder: Path, weights: bytes | None = None) -> Path:
    """A folder with a configuration, a tokenizer's file and weights; nothing loads it, everything keeps it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / WEIGHTS).write_bytes(safetensors(GOOD_HEADER) if weights is None else weights)
    return folder


def large_model(folder: Path, size: int) -> Path:
    """A model whose `size` bytes of weights cannot be compressed."""
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    return model(folder, safetensors(header, os.urandom(size)))


def one(**changes: Any) -> bytes:
    """A file of one tensor that is described with these changes."""
    return safetensors({"a": GOOD_HEADER["a"] | changes})


LYING: dict[str, bytes] = {
    "empty": b"",
    "no room for a length": b"\x10\0\0",
    "header cut off": safetensors(GOOD_HEADER, b"")[:-20],
    "data cut off": safetensors(GOOD_HEADER, bytes(9)),
    "offsets beyond the file": one(data_offsets=[0, 1 << 40], shape=[1 << 38]),
    "negative offset": one(data_offsets=[-16, 0]),
    "end before begin": one(data_offsets=[16, 0]),
    "size unlike its type": one(dtype="F64"),
    "shape too large to count": one(shape=[1 << 62, 1 << 62]),
    "negative shape": one(shape=[-2, -2]),
    "no type": safetensors({"a": {"shape": [4], "data_offsets": [0, 16]}}),
    "overlap": safetensors(GOOD_HEADER | {"b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}}),
    "a name twice": safetensors(b'{"a": {}, "a": {}}'),
    "header of 4 EiB": safetensors(GOOD_HEADER, length=1 << 62),
    "header longer than the file": safetensors(GOOD_HEADER, length=99_000_000),
    "header no JSON": safetensors(b"{broken"),
    "header not UTF-8": safetensors(b"\xff\xfe{}"),
    "header nested deeply": safetensors(b"[" * 100_000),
    "header a list": safetensors([]),
}


def _folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _without(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (model(folder) / name).unlink()
        return folder

    return make


def _file(folder: Path) -> Path:
    folder.write_bytes(safetensors(GOOD_HEADER))
    return folder


def _dangling(folder: Path) -> Path:
    (model(folder) / "extra.bin").symlink_to("gone")
    return folder


def _outward(folder: Path) -> Path:
    (model(folder) / "secret.txt").symlink_to("/etc/hostname")
    return folder


def _pipe(folder: Path) -> Path:
    os.mkfifo(model(folder) / "pipe")
    return folder


# what -> (how to make it, the code of its error, what its message says)
NO_MODEL: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "does not exist": (lambda folder: folder, "EM108", "does not exist"),
    "empty": (_folder, "EM101", "no weight file"),
    "a file": (_file, "EM101", "is a file"),
    "no configuration": (_without("config.json"), "EM101", "no config.json"),
    "no weights": (_without(WEIGHTS), "EM101", "no weight file"),
    "no tokenizer": (_without("tokenizer.json"), "EM103", "has none of tokenizer.json"),
    "a link to nothing": (_dangling, "EM100", "extra.bin is a link to gone"),
    "a link out of the folder": (_outward, "EM104", "secret.txt is a link that leaves the folder"),
    "a pipe": (_pipe, "EM100", "pipe is neither a file nor a folder"),
}
