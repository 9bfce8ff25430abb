"""Where the tensors lie in a safetensors file, read from its header alone, which is hostile until checked.

Format: u64 LE header length, that many bytes of JSON {name: {dtype, shape, data_offsets}}, then the data
(https://github.com/huggingface/safetensors#format). More is accepted than a loader would take, since every byte is kept
in any case: gaps between tensors, bytes after the last, tensors that share all their bytes, types not known yet.
What contradicts itself is refused: an archive of a file that was damaged before it came would prove the damage.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from emeritus.errors import BadTensorFile
from emeritus.vault.formats.cut import Cut, Tensor, slices

MAX_HEADER = 100_000_000  # bytes; the limit of the reference implementation
_LENGTH = struct.Struct("<Q")
# dtype -> bits of one element. An unknown name is kept as plain bytes: formats grow, archives must not refuse that.
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "U16": 16,
    "I16": 16,
    "U32": 32,
    "I32": 32,
    "U64": 64,
    "I64": 64,
    "F16": 16,
    "BF16": 16,
    "F32": 32,
    "F64": 64,
    "C64": 64,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}
LAYOUTS = {
    "F16": 2,
    "BF16": 2,
    "F32": 4,
    "F64": 8,
    "C64": 4,
    "I8": 1,
    "U8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "F8_E8M0": 1,
    "F6_E2M3": 1,
    "F6_E3M2": 1,
    "F4": 1,
}


def cuts(file: BinaryIO, size: int, path: str) -> Iterator[Cut]:
    """Header, tensors (large ones split), gaps and trailing bytes, in order and complete.

    Raises BadTensorFile with the reason when the header does not describe the bytes that follow it.
    """
    start, tensors = _read(file, size, path)
    yield from slices(0, start)
    position = start
    for begin, end, layout in tensors:
        yield from slices(position, begin - position)
        yield from slices(begin, end - begin, layout)
        position = end
    yield from slices(position, size - position)


def tensors(file: BinaryIO, size: int, path: str) -> list[Tensor]:
    """Every tensor that the header names, in its order. Raises BadTensorFile as `cuts` does, save for overlaps."""
    return _header(file, size, path)[1]


def _header(file: BinaryIO, size: int, path: str) -> tuple[int, list[Tensor]]:
    """(where the data begins, the tensors)."""
    if size < _LENGTH.size:
        raise _bad(path, f"it is {size} bytes long and has no room for a header")
    file.seek(0)
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    if length > MAX_HEADER:
        raise _bad(path, f"its header claims {length} bytes, more than the {MAX_HEADER} allowed")
    start = _LENGTH.size + length
    if start > size:
        raise _bad(path, f"it is truncated: the header claims {length} bytes and {size - _LENGTH.size} follow")
    found = []
    for name, tensor in _parse(file.read(length), path).items():
        if name != "__metadata__":
            begin, end = _tensor(name, tensor, size - start, path)
            found.append(Tensor(name, tensor["dtype"], tuple(tensor["shape"]), path, start + begin, end - begin))
        elif not isinstance(tensor, dict) or not all(isinstance(value, str) for value in tensor.values()):
            raise _bad(path, "its __metadata__ is not a table of texts")
    return start, found


def _read(file: BinaryIO, size: int, path: str) -> tuple[int, list[tuple[int, int, int]]]:
    """(where the data begins, [(begin, end, layout)] in file offsets, sorted, apart from each other)."""
    start, named = _header(file, size, path)
    ranges: dict[tuple[int, int], tuple[str, int]] = {}
    for tensor in named:
        if tensor.length:  # tied tensors share a range; a disagreement on the type only costs compression
            where = (tensor.offset, tensor.offset + tensor.length)
            ranges.setdefault(where, (tensor.name, LAYOUTS.get(tensor.dtype, 0)))
    found: list[tuple[int, int, int]] = []
    last, last_name = start, ""
    for (begin, end), (name, layout) in sorted(ranges.items()):
        if begin < last:
            raise _bad(path, f"tensors {last_name[:100]!r} and {name[:100]!r} overlap")
        found.append((begin, end, layout))
        last, last_name = end, name
    return start, found


def _parse(text: bytes, path: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name occurs twice")
        return table

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"its header is not JSON: {str(error)[:200]}") from error
    if not isinstance(header, dict):
        raise _bad(path, "its header is not a JSON object")
    return header


def _tensor(name: str, tensor: Any, room: int, path: str) -> tuple[int, int]:
    """(begin, end) of one tensor, relative to the data, checked against `room` bytes of data."""
    label = f"tensor {name[:100]!r}"
    if not isinstance(tensor, dict) or not {"dtype", "shape", "data_offsets"} <= tensor.keys():
        raise _bad(path, f"{label} lacks dtype, shape or data_offsets")
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not all(map(_is_count, shape)):
        raise _bad(path, f"{label} has a dtype or a shape that is none")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise _bad(path, f"{label} has data_offsets that are not two counts")
    begin, end = offsets
    if begin > end:
        raise _bad(path, f"{label} ends at {end}, before it begins at {begin}")
    if end > room:
        raise _bad(path, f"{label} ends at byte {end} of the data, which has {room}: truncated, or the header lies")
    if dtype in BITS:
        bits = _product(shape, 8 * room) * BITS[dtype]
        if bits != 8 * (end - begin):
            claim = f"{dtype}{shape[:8]}"
            raise _bad(path, f"{label} is {claim}, which does not fill the {end - begin} bytes it is given")
    return begin, end


def _product(shape: list[int], limit: int) -> int:
    """The number of elements; anything above `limit` stays there, so that a lying shape cannot cost time."""
    if 0 in shape:
        return 0
    count = 1
    for extent in shape:
        count *= extent
        if count > limit:
            return limit + 1
    return count


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _bad(path: str, reason: str) -> BadTensorFile:
    return BadTensorFile(f"{path}: {reason}", path=path, reason=reason)
