"""A resident's tensors in memory without a name, decoded straight from the vault, for an engine's process to map.

No file is written, nothing outlives the processes that map it, and what maps it needs neither the vault nor its keys.
Knows no engine.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from emeritus.engines.base import Placed, SharedWeights
from emeritus.errors import StoreFull
from emeritus.preservation.keeper import Opened
from emeritus.vault.formats.cut import Tensor

NO_MEMORY = {errno.ENOMEM, errno.ENOSPC, errno.EFBIG}
LINE = 64  # bytes of a cache line: sums may be taken in another order where a tensor begins elsewhere in one


def available() -> bool:
    """Whether this system has such memory. Linux has."""
    return hasattr(os, "memfd_create")


def free_bytes() -> int:
    """Memory that can be had without anything being pushed out but clean pages; 0 where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def fill(opened: Opened, folder: Path) -> SharedWeights:
    """Every tensor of `opened`, verified. Raises IntegrityError; StoreFull where the memory cannot be had.

    `folder` holds the resident's other files; it is only handed on.
    """
    tensors = sorted(opened.tensors.values(), key=lambda each: (each.path, each.offset, -each.length))
    placed = place(tensors)
    size = max((each.offset + each.length for each in placed), default=0)
    shared = SharedWeights(folder, os.memfd_create("emeritus-weights"), placed)
    at = {each.name: each.offset for each in placed}

    def put(tensor: Tensor, start: int, data: memoryview) -> None:
        # Written, not mapped: the system neither clears the pages first nor faults for each, and says when it has none.
        done = 0
        while done < len(data):
            done += os.pwrite(shared.descriptor, data[done:], at[tensor.name] + start + done)

    try:
        os.ftruncate(shared.descriptor, size)
        opened.pour(put)
    except OSError as error:
        if error.errno not in NO_MEMORY:
            raise
        raise StoreFull(
            f"no memory for {size} bytes of weights: {error.strerror}",
            remedy="Free memory, or set `loading` to cache: files can be read without being held.",
            bytes=size,
        ) from error
    return shared


def place(tensors: Iterable[Tensor]) -> Sequence[Placed]:
    """Where each goes, one after another, tied ones in one place. Within a line they begin as they do in the file."""
    placed: list[Placed] = []
    seen: dict[tuple[str, int, int], int] = {}
    end = 0
    for each in tensors:
        key = each.path, each.offset, each.length
        if key not in seen:
            lead = each.offset % LINE if each.offset % 8 == 0 else 0  # a number must not be cut by its own width
            end += (lead - end) % LINE
            seen[key] = end
            end += each.length
        placed.append(Placed(each.name, each.dtype, each.shape, seen[key], each.length))
    return placed
