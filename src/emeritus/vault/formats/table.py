"""Which format cuts a file, by its name's ending. A new format is one line here and a module beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from emeritus.vault.formats import checkpoint, chunks, gguf, safetensors
from emeritus.vault.formats.cut import Cut, Tensor

CHECKPOINTS = (".bin", ".pt", ".pth", ".ckpt")


def _safetensors(file: BinaryIO, size: int, path: str) -> list[Cut] | None:
    return list(safetensors.cuts(file, size, path))


def _gguf(file: BinaryIO, size: int, path: str) -> list[Cut] | None:
    return list(gguf.cuts(file, size, path)) if gguf.is_one(file, size) else None


def _checkpoint(file: BinaryIO, size: int, path: str) -> list[Cut] | None:
    return checkpoint.cuts(file, size)


FORMATS: dict[str, Callable[[BinaryIO, int, str], list[Cut] | None]] = {
    ".safetensors": _safetensors,
    ".gguf": _gguf,
    **dict.fromkeys(CHECKPOINTS, _checkpoint),
}


def tensors(file: BinaryIO, size: int, path: str) -> list[Tensor]:
    """The tensors a file names, none where its format names none. Raises BadTensorFile."""
    if path.lower().endswith(".safetensors"):
        return safetensors.tensors(file, size, path)
    if path.lower().endswith(".gguf") and gguf.is_one(file, size):
        return gguf.tensors(file, size, path)
    return []


def structured(file: BinaryIO, size: int, path: str) -> list[Cut]:
    """The cuts of a file whose format is known; none for any other. Raises BadTensorFile."""
    for ending, cut in FORMATS.items():
        if path.lower().endswith(ending):
            return cut(file, size, path) or []
    return []


def cuts(file: BinaryIO, size: int, path: str) -> list[Cut]:
    """The file's cuts, in order, without gap or overlap. Raises BadTensorFile for a file that contradicts itself."""
    return structured(file, size, path) or list(chunks.cuts(file, size))
