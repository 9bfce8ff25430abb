"""The codec's decoders: each instruction set of the kernel, the NumPy twin and the standalone program must agree."""

from __future__ import annotations

import lzma
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from emeritus.vault.codec import difference, numbers, reed_solomon, table
from emeritus.vault.codec.kernel import kernel
from emeritus.vault.standalone import decode_difference, decode_numbers, restore
from fuzz.target import Target, agree, attempt, expect, replaced

LEVELS = ("scalar", "avx2", "avx512", "neon")
MOST = 8192  # decoded bytes: the standalone program takes a microsecond for each
REFUSALS = (ValueError, KeyError, IndexError, struct.error, zlib.error, lzma.LZMAError)  # as restore.py catches
Reading = tuple[bool, object]


def levels() -> Iterator[str]:
    """Each instruction set this machine has, in use for as long as it is the one given; none without the kernel."""
    for level in LEVELS if kernel is not None else ():
        if kernel.limit(level) == level:
            yield level
        kernel.limit("avx512")


def filled(length: int, decode: Callable[[bytearray], None]) -> Reading:
    """What a decoder makes of a buffer of that length."""

    def read() -> bytes:
        out = bytearray(length)
        decode(out)
        return bytes(out)

    return attempt(read)


def check_numbers(data: bytes) -> None:
    """u16 decoded length, then encoding 3. What all accept is encoded again, and comes back."""
    if len(data) < 2:
        return
    length, stored = struct.unpack_from("<H", data)[0] % MOST, data[2:]
    readings = {level: filled(length, lambda out: numbers.decode_into(stored, out)) for level in levels()}
    with replaced(numbers, "kernel", None):
        readings["NumPy"] = filled(length, lambda out: numbers.decode_into(stored, out))
    readings["standalone"] = attempt(lambda: decode_numbers.decode(stored, length), *REFUSALS)
    right, found = agree(readings)
    if right:
        _encodes(found, stored[0])


def _encodes(found: object, layout: int) -> None:
    expect(isinstance(found, bytes), "a decoder gave no bytes")
    data = bytes(found)
    made = {level: (True, bytes(numbers.encode(data, layout))) for level in levels()}
    with replaced(numbers, "kernel", None):
        made["NumPy"] = (True, bytes(numbers.encode(data, layout)))
    _, coded = agree(made)
    out = bytearray(len(data))
    numbers.decode_into(coded, out)
    expect(out == data, "what was encoded does not come back")


def check_difference(data: bytes) -> None:
    """u16 decoded length, u16 length of the base, the base, then encoding 4."""
    if len(data) < 4:
        return
    length, base_length = (value % 2048 for value in struct.unpack_from("<HH", data))
    base, stored = data[4 : 4 + base_length], data[4 + base_length :]
    readings = {level: filled(length, lambda out: difference.decode_into(stored, base, out)) for level in levels()}
    with replaced(difference, "kernel", None), replaced(numbers, "kernel", None):
        readings["NumPy"] = filled(length, lambda out: difference.decode_into(stored, base, out))
    readings["standalone"] = attempt(
        lambda: decode_difference.decode(stored, base, length, restore.DECODERS), *REFUSALS
    )
    agree(readings)


def check_difference_encode(data: bytes) -> None:
    """u8 layout, u16 length of the base, the base, the numbers: what is encoded comes back from every reading."""
    if len(data) < 3:
        return
    layout, base_length = (2, 4)[data[0] & 1], struct.unpack_from("<H", data, 1)[0] % 2048
    base, wanted = data[3 : 3 + base_length], data[3 + base_length :][:2048]
    made = {level: (True, difference.encode(wanted, base, layout)) for level in levels()}
    with replaced(difference, "kernel", None), replaced(numbers, "kernel", None):
        made["NumPy"] = (True, difference.encode(wanted, base, layout))
    _, stored = agree(made)
    if isinstance(stored, bytes):
        check_difference(struct.pack("<HH", len(wanted), len(base)) + base + stored)
        out = bytearray(len(wanted))
        difference.decode_into(stored, base, out)
        expect(out == wanted, "what was encoded as a difference does not come back")


def check_encodings(data: bytes) -> None:
    """u8 encoding, u16 decoded length, the stored bytes: what the table and the standalone program make of them."""
    if len(data) < 3:
        return
    encoding, length = struct.unpack_from("<BH", data)
    if encoding in (table.NUMBERS, table.DIFFERENCE):
        return  # have targets of their own
    stored = data[3:]
    package = attempt(lambda: table.decode(encoding, stored, length))
    agree(
        {
            "package": package,
            "standalone": attempt(lambda: restore.DECODERS[encoding](stored, length), *REFUSALS, restore.Damaged),
        }
    )
    if package[0]:
        again, coded = table.encode(stored, (0, 1, 2, 4, 8)[length % 5])
        expect(table.decode(again, coded, len(stored)) == stored, "what was encoded does not come back")


def check_field(data: bytes) -> None:
    """u8 rows, u8 columns, u8 add, u16 length of targets, the matrix, then the sources, whose lengths differ."""
    if len(data) < 5:
        return
    rows, columns, add, length = struct.unpack_from("<BBBH", data)
    rows, columns, length = rows % 7 + 1, columns % 9 + 1, length % 2000
    matrix = data[5 : 5 + rows * columns]
    rest = data[5 + rows * columns :] or b"\1"
    sources = [rest[at % len(rest) : at % len(rest) + (at * 97) % (length + 70)] for at in range(columns)]

    def run(combine: Callable[..., None]) -> Reading:
        targets = [bytearray(rest[:length].ljust(length, b"\7")) for _ in range(rows)]
        try:
            combine(matrix, sources, targets, bool(add & 1))
        except ValueError:
            return False, None
        return True, [bytes(each) for each in targets]

    readings = {level: run(kernel.gf_combine) for level in levels()}
    readings["NumPy"] = run(reed_solomon.combine_numpy)
    agree(readings)


def _weights(count: int, layout: int) -> bytes:
    values = np.random.default_rng(layout).normal(0, 0.02, count).astype("<f4")
    if layout == 2:
        return (values.view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype("<f8").tobytes() if layout == 8 else values.tobytes()


def _numbers_seeds() -> list[bytes]:
    texts = [(1, b"abbcccdddd" * 30), (1, b"x" * 90), (2, _weights(300, 2)), (4, _weights(100, 4)), (8, b"")]
    texts += [(8, _weights(40, 8)), (2, bytes(random.Random(1).randbytes(64)))]
    return [struct.pack("<H", len(text)) + bytes(numbers.encode(text, layout)) for layout, text in texts]


def _pairs() -> list[tuple[int, bytes, bytes]]:
    found = []
    for layout in (2, 4):
        base = _weights(200, layout)
        near = np.frombuffer(base, f"<u{layout}") + np.random.default_rng(3).integers(0, 40, 200).astype(f"<u{layout}")
        found += [(layout, base, near.tobytes()), (layout, base, base[:300] + near.tobytes()[300:] + b"tail")]
    halves = (np.frombuffer(_weights(150, 4), "<u4") >> 16 << 16).astype("<u4")
    found.append((4, halves.tobytes(), (halves + (3 << 16)).astype("<u4").tobytes()))
    return found


def _difference_seeds() -> list[bytes]:
    made = [(difference.encode(data, base, layout), base, data) for layout, base, data in _pairs()]
    return [struct.pack("<HH", len(data), len(base)) + base + stored for stored, base, data in made if stored]


def _encoding_seeds() -> list[bytes]:
    text = b"the vault holds what it was given " * 8
    streams = [(0, text), (1, zlib.compress(text)), (2, lzma.compress(text, lzma.FORMAT_XZ, lzma.CHECK_CRC32))]
    return [struct.pack("<BH", encoding, len(text)) + stored for encoding, stored in streams]


def kernel_seeds() -> dict[str, list[bytes]]:
    """Inputs to begin with for the kernel's own targets; each file of fuzz/kernel says how it reads one."""
    noise = random.Random(2)
    return {
        "kernel-numbers": [seed[:2] + b"\0" + seed[2:] for seed in _numbers_seeds()],
        "kernel-difference": [
            bytes([how, how % 5, 90, 0]) + noise.randbytes(700) for how in (0, 1, 2, 3, 4, 8, 16, 17, 32, 33)
        ],
        "kernel-field": [
            bytes([rows, 3 * rows, 90, 1, add]) + noise.randbytes(300) for rows, add in ((1, 0), (4, 1), (6, 0))
        ],
    }


TARGETS = {
    "numbers": Target(check_numbers, _numbers_seeds),
    "difference": Target(check_difference, _difference_seeds),
    "difference-encode": Target(
        check_difference_encode,
        lambda: [struct.pack("<BH", layout // 4, len(base)) + base + data for layout, base, data in _pairs()],
    ),
    "encodings": Target(check_encodings, _encoding_seeds),
    "field": Target(check_field, lambda: [bytes([2, 3, 1, 200, 0]) + bytes(range(90)), bytes([1, 1, 0, 9, 0, 3])]),
}
