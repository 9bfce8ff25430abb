"""Numbers as their differences from a base's numbers: how a fine-tune's tensor is kept beside the one it came from.

Encoded form: docs/format.md, encoding 4. Groups of 64 numbers that equal the base's take next to nothing; the others
are tokens and raw bits, in one table for each run of exponents of the base's numbers. Knows nothing of packs, of which
base is a good one, or of how a base's bytes are found.
"""

from __future__ import annotations

import math
import struct
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from emeritus.errors import IntegrityError
from emeritus.vault.codec import difference_tables as tables_of
from emeritus.vault.codec import difference_twin as twin
from emeritus.vault.codec import numbers as alone
from emeritus.vault.codec.difference_tables import KIND_DIFFERENCE, KIND_NUMBER, Tables
from emeritus.vault.codec.kernel import kernel

LAYOUTS = (2, 4)
GROUP = 64  # numbers that are unchanged together, or are not
FORM_2, FORM_4, FORM_HALVES = 2, 4, 3  # the last: numbers of four bytes whose lower two are zero, kept as of two
REST_RAW, REST_NUMBERS = 0, 3  # encodings that what is longer than the base may have
_RUN_COST = 24.0  # bits that a run of unchanged groups takes, with the run of changed ones after it
_HOPELESS = 256  # it takes one in so many numbers to be worth a second count
_PIECES, _PIECE = 16, 4096  # of a tensor, in numbers, that an estimate looks at
_own = threading.local()

Buffer = bytes | bytearray | memoryview
Numbers = npt.NDArray[Any]  # uint16 or uint32
Flags = npt.NDArray[np.bool_]


def encode(data: Buffer, base: Buffer, layout: int) -> bytes | None:
    """`data` as differences from `base`, of any length; None where that would take more bytes than `data` itself.

    `layout`: 2 or 4 bytes per number. What is longer than the base is coded for itself. Raises ValueError for another
    layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"differences are of numbers of 2 or 4 bytes, not of layout {layout}")
    data, base = memoryview(data).cast("B"), memoryview(base).cast("B")
    shared = min(len(data), len(base)) // layout
    form, numbers, bases = _numbers(data, base, layout, shared)
    changed = _changed(numbers, bases)
    stream = _encode(_pick(numbers, changed), _pick(bases, changed), len(data)) if changed.any() else b""
    if stream is None:
        return None
    stored = b"".join((bytes([form]), _pack_runs(changed), stream, _pack_rest(data[shared * layout :], layout)))
    return stored if len(stored) < len(data) else None


def decode_into(stored: Buffer, base: Buffer, out: Buffer) -> None:
    """Fill `out`, exactly as long as what was encoded. Raises IntegrityError for anything `encode` could not write."""
    view, target = memoryview(stored), memoryview(out).cast("B")
    form = view[0] if len(view) else 0
    if form not in (FORM_2, FORM_4, FORM_HALVES):
        raise IntegrityError(f"a difference is of form {form}, which there is not")
    layout, width = (2, 2) if form == FORM_2 else (4, 4 if form == FORM_4 else 2)
    shared = min(len(target), len(base)) // layout
    changed, at = _unpack_runs(view, 1, -(-shared // GROUP))
    bases = _array(base, layout, shared)
    if form == FORM_HALVES:
        bases = (bases >> 16).astype("<u2")
    filled = np.frombuffer(target, f"<u{layout}", shared) if shared else bases
    numbers = bases
    if changed.any():
        direct = bool(changed.all()) and form != FORM_HALVES
        numbers = filled if direct else np.empty(_count(changed, shared), f"<u{width}")
        at = _decode(view, at, _pick(bases, changed), numbers)
        numbers = numbers if changed.all() else _put(bases, changed, numbers)
    _unpack_rest(view[at:], target[shared * layout :])
    if form == FORM_HALVES and shared:
        np.left_shift(numbers, 16, out=filled, dtype=np.uint32)
    elif numbers is not filled:
        filled[:] = numbers


def estimate(data: Buffer, base: Buffer, layout: int) -> float:
    """Bits per number that `data` would take as differences from `base`, judged by a sample.

    Tables are not counted, so it is a little low for small tensors; what is longer than the base counts whole.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"differences are of numbers of 2 or 4 bytes, not of layout {layout}")
    data, base = memoryview(data).cast("B"), memoryview(base).cast("B")
    total, shared = len(data) // layout, min(len(data), len(base)) // layout
    if not shared:
        return 8.0 * layout
    numbers, bases = _array(data, layout, shared), _array(base, layout, shared)
    if shared > _PIECES * _PIECE:
        starts = np.linspace(0, shared - _PIECE, _PIECES).astype(np.int64)
        numbers = np.concatenate([numbers[start : start + _PIECE] for start in starts])
        bases = np.concatenate([bases[start : start + _PIECE] for start in starts])
    _, numbers, bases = _numbers(numbers.tobytes(), bases.tobytes(), layout, len(numbers))
    width = numbers.itemsize
    differences = _count_tokens(width, KIND_DIFFERENCE, bases, numbers, np.ones(256, np.bool_))
    raw_whole = 8 * width - 8
    bits = sum(min(tables_of.cost(row, width), (raw_whole + 8) * float(row.sum())) for row in differences if row.any())
    return (bits / len(numbers) * shared + 8.0 * layout * (total - shared)) / total


# -- what is shared, and what of it changed --------------------------------------------------------------------------


def _numbers(data: Buffer, base: Buffer, layout: int, shared: int) -> tuple[int, Numbers, Numbers]:
    """(form, numbers, bases): of two bytes where the lower halves of all of `data` are zero."""
    numbers, bases = _array(data, layout, shared), _array(base, layout, shared)
    if layout == 4 and shared and not numbers[:GROUP].astype(np.uint16).any() and not numbers.astype(np.uint16).any():
        return FORM_HALVES, (numbers >> 16).astype("<u2"), (bases >> 16).astype("<u2")
    return layout, numbers, bases


def _array(data: Buffer, layout: int, shared: int) -> Numbers:
    """The first `shared` numbers of `layout` bytes."""
    return np.frombuffer(memoryview(data)[: shared * layout], f"<u{layout}") if shared else np.empty(0, f"<u{layout}")


def _changed(numbers: Numbers, bases: Numbers) -> Flags:
    """Which groups are coded. Unchanged runs too short to pay for being named are coded like the changed ones."""
    differ = numbers != bases
    whole = len(numbers) // GROUP * GROUP
    changed: Flags = differ[:whole].reshape(-1, GROUP).any(axis=1)
    if whole < len(numbers):
        changed = np.append(changed, differ[whole:].any())
    if changed.all() or not changed.any():
        return changed
    same = 1 - np.count_nonzero(differ) / _count(changed, len(numbers))  # among the groups that changed
    bits = -math.log2(max(same, 2.0**-16))  # that one unchanged number takes, about
    least = math.ceil(_RUN_COST / (GROUP * max(bits, 1e-4)))
    lengths, first = _runs(changed)
    values = np.arange(len(lengths)) % 2 == (0 if first else 1)
    named: Flags = np.repeat(values | (lengths < least), lengths)
    return named


def _runs(changed: Flags) -> tuple[npt.NDArray[np.int64], bool]:
    """(lengths of the runs, whether the first is of changed groups)."""
    edges = np.flatnonzero(changed[1:] != changed[:-1]) + 1
    return np.diff(np.concatenate(([0], edges, [len(changed)]))), bool(changed[0]) if len(changed) else False


def _count(changed: Flags, numbers: int) -> int:
    """How many numbers the changed groups hold; the last group may be short."""
    if not len(changed) or not changed.any():
        return 0
    return int(changed.sum()) * GROUP - (len(changed) * GROUP - numbers) * int(changed[-1])


def _pick(numbers: Numbers, changed: Flags) -> Numbers:
    """The numbers of the changed groups, one after another."""
    if changed.all():
        return numbers
    whole = len(numbers) // GROUP
    rest = numbers[whole * GROUP :] if changed[whole:].any() else numbers[:0]
    return np.concatenate((numbers[: whole * GROUP].reshape(-1, GROUP)[changed[:whole]].ravel(), rest))


def _put(bases: Numbers, changed: Flags, found: Numbers) -> Numbers:
    """The base's numbers, those of the changed groups replaced."""
    numbers = bases.copy()
    whole = len(bases) // GROUP
    middle = int(changed[:whole].sum()) * GROUP
    numbers[: whole * GROUP].reshape(-1, GROUP)[changed[:whole]] = found[:middle].reshape(-1, GROUP)
    if changed[whole:].any():
        numbers[whole * GROUP :] = found[middle:]
    return numbers


def _pack_runs(changed: Flags) -> bytes:
    """Runs of groups, unchanged and changed by turns, each length a LEB128 number."""
    lengths, first = _runs(changed)
    packed = bytearray([0] if first else [])
    for length in lengths.tolist():
        while length > 127:
            packed.append(length & 127 | 128)
            length >>= 7
        packed.append(length)
    return bytes(packed) if len(changed) else b""


def _unpack_runs(view: memoryview, at: int, groups: int) -> tuple[Flags, int]:
    """(which groups are coded, where the runs end)."""
    lengths: list[int] = []
    left = groups
    while left:
        length = shift = 0
        while True:
            if at == len(view) or shift > 28:
                raise IntegrityError("a difference's runs are damaged")
            byte, at = view[at], at + 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if length > left or (length == 0 and lengths):
            raise IntegrityError("a difference's runs are damaged")
        lengths.append(length)
        left -= length
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths), at


def _pack_rest(rest: memoryview, layout: int) -> bytes:
    """What is longer than the base, as numbers by themselves where that is shorter."""
    if not len(rest):
        return b""
    coded = alone.encode(rest, layout) if len(rest) % layout == 0 else rest
    return b"".join((bytes([REST_NUMBERS]), coded) if len(coded) < len(rest) else (bytes([REST_RAW]), rest))


def _unpack_rest(stored: memoryview, out: memoryview) -> None:
    if not len(out) and not len(stored):
        return
    if not len(out) or not len(stored) or stored[0] not in (REST_RAW, REST_NUMBERS):
        raise IntegrityError("what follows a difference is damaged")
    if stored[0] == REST_NUMBERS:
        alone.decode_into(stored[1:], out)
    elif len(stored) - 1 == len(out):
        out[:] = stored[1:]
    else:
        raise IntegrityError("a difference is followed by a wrong number of bytes")


# -- tables and streams ----------------------------------------------------------------------------------------------


def _encode(numbers: Numbers, bases: Numbers, room: int) -> bytes | None:
    """u32 length of states and words, tables, states and words."""
    width = numbers.itemsize
    differences = _count_tokens(width, KIND_DIFFERENCE, bases, numbers, np.ones(256, np.bool_))
    hopeless = tables_of.hopeless(differences, width)
    whole = np.zeros((256, 256), np.int64)
    if _HOPELESS * differences[hopeless].sum() > len(numbers):
        whole = _count_tokens(width, KIND_NUMBER, bases, numbers, hopeless)
    tables = tables_of.choose(width, differences, whole)
    stream = _encode_stream(width, tables, bases, numbers, room)
    return None if stream is None else b"".join((struct.pack("<I", len(stream)), tables_of.pack(tables), stream))


def _decode(view: memoryview, at: int, bases: Numbers, found: Numbers) -> int:
    """Fill `found`; the place after the stream."""
    width = found.itemsize
    if len(view) - at < 4:
        raise IntegrityError("a difference ends early")
    size = int.from_bytes(view[at : at + 4], "little")
    tables, read = tables_of.unpack(view[at + 4 :], width)
    start = at + 4 + read
    stream = view[start : start + size]
    if len(stream) != size or not _decode_stream(width, tables, bases, stream, found):
        raise IntegrityError("a difference's stream is damaged")
    return start + size


def _count_tokens(width: int, kind: int, bases: Numbers, numbers: Numbers, wanted: Flags) -> npt.NDArray[np.int64]:
    if kernel is None:
        return twin.count(width, kind, bases.astype(np.int64), numbers.astype(np.int64), wanted)
    counts = np.zeros((256, 256), np.uint32)
    kernel.difference_count(width, kind, bases, numbers, wanted, counts)
    return counts.astype(np.int64)


def _encode_stream(width: int, tables: Tables, bases: Numbers, numbers: Numbers, room: int) -> bytes | None:
    if kernel is None:
        return twin.encode(width, tables, bases.astype(np.int64), numbers.astype(np.int64))
    out = _room(room + 1024)
    frequencies = np.ascontiguousarray(tables.frequencies, "<u2")
    size = kernel.difference_encode(width, tables.map, tables.kinds, frequencies, bases, numbers, out)
    return bytes(out[len(out) - size :]) if size >= 0 else None


def _room(length: int) -> memoryview:
    """Memory of this thread to encode into, kept: fresh pages cost as much as encoding does."""
    room: bytearray = getattr(_own, "room", bytearray())
    if len(room) < length:
        room = _own.room = bytearray(length)
    return memoryview(room)[:length]


def _decode_stream(width: int, tables: Tables, bases: Numbers, stream: memoryview, found: Numbers) -> bool:
    if kernel is None:
        decoded = twin.decode(width, tables, bases.astype(np.int64), stream)
        if decoded is not None:
            found[:] = decoded
        return decoded is not None
    frequencies = np.ascontiguousarray(tables.frequencies, "<u2")
    return bool(kernel.difference_decode(width, tables.map, tables.kinds, frequencies, bases, stream, found))
