"""Folders that hold models, made byte by byte, without any model library."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np


def numbers(count: int, dtype: str, seed: int) -> bytes:
    """`count` normally distributed weights, little-endian."""
    values = np.random.default_rng(seed).normal(0, 0.02, count).astype("<f4")
    if dtype == "BF16":
        return (values.view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).tobytes()


def safetensors(header: dict[str, object], data: bytes, pad: int = 0) -> bytes:
    """A safetensors file: the header as it is given, padded with spaces, and the data."""
    text = json.dumps(header).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    """One header entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def make_model(folder: Path, seed: int = 1, count: int = 30_000) -> Path:
    """A sharded model with everything odd a folder may have: see the comments."""
    folder.mkdir(parents=True)
    bf16, fp16, fp32 = (numbers(count, dtype, seed + n) for n, dtype in enumerate(("BF16", "F16", "F32")))
    end = 2 * len(bf16)
    first = safetensors(
        {
            "__metadata__": {"format": "pt"},
            "z.last": tensor("BF16", [count], len(bf16), end),  # misordered: the header names the second first
            "a.first": tensor("BF16", [count // 10, 10], 0, len(bf16)),
            "tied": tensor("BF16", [count], 0, len(bf16)),  # shares every byte with a.first
            "empty": tensor("F32", [0, 7], end, end),
            "unknown": tensor("F3_NEW", [3], end, end + 5),  # a type this version does not know
            "odd": tensor("U8", [3], end + 9, end + 12),  # four bytes that belong to no tensor lie before it
        },
        bf16 + bf16[::-1] + b"UNKNO" + b"gap!" + b"odd",
        pad=5,
    )
    (folder / "model-00001-of-00002.safetensors").write_bytes(first + b"trailing bytes")
    shapes = {"h": tensor("F16", [count], 0, len(fp16)), "s": tensor("F32", [count], len(fp16), len(fp16 + fp32))}
    (folder / "model-00002-of-00002.safetensors").write_bytes(safetensors(shapes, fp16 + fp32))
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + bf16[:5000])
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "tokenizer.json").write_text(json.dumps({f"word{n}": n for n in range(4000)}))
    (folder / "empty.txt").write_bytes(b"")
    (folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    (folder / "名前 with\nnewline é.txt").write_text("odd name")
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "code" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "code" / "run.sh").chmod(0o755)
    (folder / "code" / "link.sh").symlink_to("run.sh")
    (folder / "nothing" / "inside").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref")
    return folder


def contents(folder: Path) -> dict[str, tuple[bytes, bool] | None]:
    """Every file's bytes and executable bit; None for a folder that holds nothing. Version control left out."""
    found: dict[str, tuple[bytes, bool] | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git":
            continue
        if path.is_file():
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        elif path.is_dir() and not any(path.iterdir()):
            found[name] = None
    return found
