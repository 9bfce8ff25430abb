"""Where the numbers lie in a PyTorch checkpoint that is a zip file: its stored entries, and what its pickle calls them.

Format: what `torch.save` has written since 1.6: NAME/data.pkl, and NAME/data/KEY for each storage, uncompressed. The
pickle is never executed: its opcodes are read for the persistent ids of storages alone, and nothing it names is looked
up. What is no such file, or contradicts itself, is kept as plain bytes.
"""

from __future__ import annotations

import itertools
import lzma
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from emeritus.vault.formats.cut import Cut, slices
from emeritus.vault.formats.trial import layout_of

MAGIC = b"PK\x03\x04"
MAX_PICKLE = 64 << 20
_LOCAL = struct.Struct("<4s22xHH")  # signature, then lengths of name and extra
LAYOUTS = {
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "DoubleStorage": 8,
    "ComplexFloatStorage": 4,
    "ComplexDoubleStorage": 8,
    "CharStorage": 1,
    "ByteStorage": 1,
    "LongStorage": 0,
    "IntStorage": 0,
    "ShortStorage": 0,
    "BoolStorage": 0,
}
_UNKNOWN = -1
_REFUSALS = (  # all that zipfile and pickletools were seen to raise on hostile bytes; fuzzing adds to it
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    OverflowError,  # RecursionError is a RuntimeError
    Warning,  # of a bad escape in the pickle, where warnings are errors; later Pythons raise ValueError
)


def cuts(file: BinaryIO, size: int) -> list[Cut] | None:
    """Storages, and what lies between them, in order and complete; None where this is no such file."""
    file.seek(0)
    if file.read(4) != MAGIC:
        return None
    try:
        found = _storages(file, size)
    except _REFUSALS:
        return None  # kept as the bytes it is: only its size suffers
    return None if found is None else list(_between(found, size))


def _between(found: list[tuple[int, int, int]], size: int) -> Iterator[Cut]:
    position = 0
    for begin, length, layout in found:
        yield from slices(position, begin - position)
        yield from slices(begin, length, layout)
        position = begin + length
    yield from slices(position, size - position)


def _storages(file: BinaryIO, size: int) -> list[tuple[int, int, int]] | None:
    """(begin, length, layout) of each storage, sorted and apart; None where there are none or they overlap."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE:
            return None
        folder = pickles[0].filename.removesuffix("data.pkl") + "data/"
        names = storage_types(archive.read(pickles[0]))
    found = []
    for entry in entries:
        if not entry.filename.startswith(folder) or entry.compress_type != zipfile.ZIP_STORED or not entry.file_size:
            continue
        file.seek(entry.header_offset)
        signature, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
        begin, length = entry.header_offset + _LOCAL.size + name + extra, entry.file_size
        if signature != MAGIC or entry.compress_size != length or begin + length > size:
            return None
        layout = LAYOUTS.get(names.get(entry.filename.removeprefix(folder), ""), _UNKNOWN)
        if layout == _UNKNOWN:
            layout = layout_of(file, begin, length)
        found.append((begin, length, layout))
    found.sort()
    if any(begin + length > following for (begin, length, _), (following, _, _) in itertools.pairwise(found)):
        return None
    return found or None


def storage_types(data: bytes) -> dict[str, str]:
    """Storage key -> the name of its class, by a pickle's opcodes. Raises ValueError where they make no sense."""
    found: dict[str, str] = {}
    memo: dict[int, str | None] = {}
    since_mark: list[str | None] = []
    last: str | None = None  # what the opcode before put on the stack, where that is a text or a global
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        number = argument if isinstance(argument, int) else -1
        if name == "MARK":
            since_mark, last = [], None
        elif name in ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "GLOBAL"):
            last = str(argument)
            since_mark.append(last)
        elif name == "STACK_GLOBAL":  # module and name lie before it
            last = " ".join(str(part) for part in since_mark[-2:])
            since_mark[-2:] = [last]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            last = memo.get(number)
            since_mark.append(last)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[number] = last
        elif name == "MEMOIZE":
            memo[len(memo)] = last
        elif name == "BINPERSID":
            if len(since_mark) >= 3 and since_mark[0] == "storage" and since_mark[1] and since_mark[2] is not None:
                found[since_mark[2]] = since_mark[1].rpartition(" ")[2]
            last = None
        else:
            last = None
    return found
