"""Which format cuts a file, by its name's ending. A new format is one line here and a module beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from emeritus.vault.formats import other, safetensors
from emeritus.vault.formats.cut import Cut, Tensor

FORMATS: dict[str, Callable[[BinaryIO, int, str], Iterator[Cut]]] = {".safetensors": safetensors.cuts}
TENSORS: dict[str, Callable[[BinaryIO, int, str], list[Tensor]]] = {".safetensors": safetensors.tensors}


def tensors(file: BinaryIO, size: int, path: str) -> list[Tensor]:
    """The tensors a file names, none where its format names none. Raises BadTensorFile."""
    for ending, read in TENSORS.items():
        if path.lower().endswith(ending):
            return read(file, size, path)
    return []


def cuts(file: BinaryIO, size: int, path: str) -> list[Cut]:
    """The file's cuts, in order, without gap or overlap. Raises BadTensorFile for a file that contradicts itself."""
    for ending, cut in FORMATS.items():
        if path.lower().endswith(ending):
            return list(cut(file, size, path))
    return list(other.cuts(file, size, path))
