"""Bytes as torch's tensors, without copying them: from any buffer, and from memory that another process filled.

Needs torch alone. Knows no model and no vault.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Any

import torch

from emeritus.engines.base import Placed
from emeritus.errors import EngineFailed

State = dict[str, torch.Tensor]
# safetensors' names. `vault.opened.DTYPES` has the same ones, in NumPy's words.
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
}


def map_shared(descriptor: int, tensors: Sequence[Placed]) -> State:
    """Tensors as they lie in shared memory: nothing is copied until written to, and what is written stays here.

    Takes the descriptor over.
    """
    size = os.fstat(descriptor).st_size
    room = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) if size else b""
    os.close(descriptor)
    return {each.name: as_tensor(room, each.dtype, each.shape, each.offset, each.length) for each in tensors}


def as_tensor(room: Any, dtype: str, shape: Sequence[int], offset: int, length: int) -> torch.Tensor:
    """Bytes [offset, offset + length) of a buffer as a tensor, without a copy. Raises EngineFailed for another type."""
    found = DTYPES.get(dtype)
    if found is None:
        raise EngineFailed(f"a tensor is of type {dtype}, which this engine cannot hold", dtype=dtype)
    if length == 0:
        return torch.empty(tuple(shape), dtype=found)
    return torch.frombuffer(room, dtype=found, count=length // found.itemsize, offset=offset).reshape(tuple(shape))
