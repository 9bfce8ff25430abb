"""Segments and cuts: what is encoded decodes, what is damaged raises, and cuts cover a file exactly."""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_models import numbers, safetensors, tensor

from emeritus.errors import BadTensorFile, IntegrityError
from emeritus.vault.codec import numbers as codec_numbers
from emeritus.vault.codec import table
from emeritus.vault.formats.cut import SEGMENT_BYTES, Cut, slices
from emeritus.vault.formats.safetensors import MAX_HEADER
from emeritus.vault.formats.table import cuts


@given(st.binary(max_size=3000), st.sampled_from([0, 1, 2, 4, 8]))
def test_segments_round_trip(data: bytes, layout: int) -> None:
    """Any bytes of any layout come back, and never take more room than raw."""
    encoding, stored = table.encode(data, layout)
    assert table.decode(encoding, stored, len(data)) == data
    assert len(stored) <= len(data)


def test_weights_shrink() -> None:
    """bf16 weights fall below 68 %, fp32 that were bf16 below 40 %, fp32 below 90 %, noise stays raw, text is xz."""
    bf16, fp32 = numbers(500_000, "BF16", 1), numbers(500_000, "F32", 1)
    upcast = bytearray(len(bf16) * 2)
    upcast[2::4], upcast[3::4] = bf16[0::2], bf16[1::2]
    for data, layout, most in ((bf16, 2, 0.68), (bytes(upcast), 4, 0.4), (fp32, 4, 0.9)):
        encoding, stored = table.encode(data, layout)
        assert encoding == table.NUMBERS
        assert len(stored) < most * len(data)
    noise = np.random.default_rng(0).bytes(100_000)
    assert table.encode(noise, 2) == (table.RAW, noise)
    assert table.encode(noise, 0) == (table.RAW, noise)
    assert table.encode(json.dumps(list(range(20_000))).encode(), 0)[0] == table.XZ
    assert table.encode(noise[:100] + bytes(60), 0)[0] == table.ZLIB


@given(st.data())
@settings(max_examples=200)
def test_decoders_never_give_wrong_lengths(data: st.DataObject) -> None:
    """A damaged or lying stream raises IntegrityError or gives exactly the length asked for; nothing else happens."""
    original = data.draw(st.sampled_from([b"a" * 400, numbers(200, "BF16", 1), bytes(range(200))]))
    encodings = {
        table.RAW: original,
        table.ZLIB: zlib.compress(original),
        table.XZ: lzma.compress(original),
        table.NUMBERS: codec_numbers.encode(original, 2),
    }
    encoding = data.draw(st.sampled_from(sorted(encodings)))
    stored = bytearray(encodings[encoding])
    for _ in range(data.draw(st.integers(1, 3))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    stored = stored[: data.draw(st.integers(0, len(stored)))] + data.draw(st.binary(max_size=4))
    length = data.draw(st.sampled_from([len(original), 0, 1, 10**7]))
    with contextlib.suppress(IntegrityError):
        assert len(table.decode(encoding, bytes(stored), length)) == length


def test_bombs_are_not_followed() -> None:
    """A stream that would unfold to far more than its segment is stopped at the segment's length."""
    bomb = zlib.compress(bytes(20_000_000), 9)
    with pytest.raises(IntegrityError):
        table.decode(table.ZLIB, bomb, 100)
    with pytest.raises(IntegrityError):
        table.decode(table.XZ, lzma.compress(bytes(20_000_000)), 100)
    with pytest.raises(IntegrityError):
        table.decode(table.NUMBERS, codec_numbers.encode(numbers(20_000, "BF16", 1), 2), 200)


def test_a_codec_that_lies_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof before commit can fail: an encoder that loses a bit is refused, and nothing is stored."""
    good = codec_numbers.encode
    monkeypatch.setattr(codec_numbers, "encode", lambda data, *rest: good(bytes([data[0] ^ 1]) + data[1:], *rest))
    with pytest.raises(IntegrityError, match="did not give back"):
        table.encode(numbers(1000, "BF16", 1), 2)


def test_slices() -> None:
    """Slices are full but for the last, and none for nothing."""
    assert list(slices(7, 0)) == []
    assert list(slices(7, SEGMENT_BYTES + 1, 2)) == [Cut(7, SEGMENT_BYTES, 2, 7), Cut(7 + SEGMENT_BYTES, 1, 2, 7)]


def cut(data: bytes, path: str = "model.safetensors") -> list[Cut]:
    """The cuts of a file of these bytes."""
    return cuts(io.BytesIO(data), len(data), path)


@given(st.data())
@settings(max_examples=100)
def test_cuts_cover_every_file(data: st.DataObject) -> None:
    """Random tensors in random order with gaps, ties, trailing bytes: the cuts are the file and tensors stay whole."""
    header: dict[str, object] = {}
    position, whole = 0, []
    for number in range(data.draw(st.integers(0, 6))):
        position += data.draw(st.integers(0, 5))
        dtype, width = data.draw(st.sampled_from([("BF16", 2), ("F32", 4), ("F64", 8), ("I8", 1), ("F16", 2)]))
        shape = data.draw(st.lists(st.integers(0, 4), max_size=3))
        end = position + width * int(np.prod(shape, dtype=int))
        header[f"t{number}"] = tensor(dtype, shape, position, end)
        if data.draw(st.booleans()):
            header[f"tied{number}"] = tensor(dtype, shape, position, end)
        whole.append((position, end))
        position = end
    header = dict(data.draw(st.permutations(list(header.items()))))
    file = safetensors(header, bytes(position + data.draw(st.integers(0, 9))), pad=data.draw(st.integers(0, 9)))
    found = cut(file)
    assert sum(piece.length for piece in found) == len(file)
    assert [piece.offset for piece in found] == [
        sum(piece.length for piece in found[:index]) for index in range(len(found))
    ]
    start = 8 + struct.unpack("<Q", file[:8])[0]
    pieces = {(piece.offset - start, piece.offset - start + piece.length) for piece in found}
    assert {span for span in whole if span[0] < span[1]} <= pieces


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_or_refused(data: bytes) -> None:
    """A file of any bytes under any name is covered, or BadTensorFile."""
    assert sum(piece.length for piece in cut(data, "any.bin")) == len(data)
    for file in (data, struct.pack("<Q", len(data)) + data):
        with contextlib.suppress(BadTensorFile):
            assert sum(piece.length for piece in cut(file)) == len(file)


ONE = {"t": tensor("F32", [2], 0, 8)}
HOSTILE = {
    "empty": (b"", "no room for a header"),
    "short": (b"\x01\x02", "no room for a header"),
    "huge header": (struct.pack("<Q", MAX_HEADER + 1) + b"{}", "more than"),
    "largest header": (b"\xff" * 8 + b"{}", "more than"),
    "truncated header": (struct.pack("<Q", 50) + b"{}", "truncated"),
    "not json": (struct.pack("<Q", 3) + b"{a}", "not JSON"),
    "not utf-8": (struct.pack("<Q", 4) + b'"\xff"{', "not JSON"),
    "deep": (struct.pack("<Q", 200_000) + b"[" * 200_000, "not JSON"),
    "long number": (struct.pack("<Q", 9_000) + b"1" * 9_000, "not JSON"),
    "nan": (struct.pack("<Q", 11) + b'{"a": NaN}\x20', "not JSON"),
    "a list": (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
    "twice": (struct.pack("<Q", 15) + b'{"a":1, "a": 2}', "occurs twice"),
    "metadata": (safetensors({"__metadata__": {"a": 1}}, b""), "__metadata__"),
    "no table": (safetensors({"t": 1}, b""), "lacks dtype"),
    "no dtype": (safetensors({"t": {"shape": [], "data_offsets": [0, 0]}}, b""), "lacks dtype"),
    "truncated data": (safetensors(ONE, b"1234567"), "truncated"),
    "negative shape": (safetensors({"t": tensor("F32", [-2], 0, 8)}, bytes(8)), "shape"),
    "boolean shape": (safetensors({"t": tensor("U8", [True], 0, 1)}, bytes(8)), "shape"),
    "fraction": (safetensors({"t": tensor("F32", [2], 0, 8.0)}, bytes(8)), "data_offsets"),
    "three offsets": (safetensors({"t": {**tensor("U8", [1], 0, 1), "data_offsets": [0, 1, 2]}}, b"1"), "data_offsets"),
    "backwards": (safetensors({"t": tensor("F32", [2], 8, 0)}, bytes(8)), "before it begins"),
    "shape lies": (safetensors({"t": tensor("F32", [3], 0, 8)}, bytes(8)), "does not fill"),
    "vast shape": (safetensors({"t": tensor("F32", [2**62] * 4000, 0, 8)}, bytes(8)), "does not fill"),
    "overlap": (safetensors({**ONE, "u": tensor("F32", [2], 4, 12)}, bytes(12)), "overlap"),
    "inside": (safetensors({**ONE, "u": tensor("F32", [1], 4, 8)}, bytes(12)), "overlap"),
    "nibbles": (safetensors({"t": tensor("F4", [3], 0, 1)}, bytes(8)), "does not fill"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(name: str) -> None:
    """Each contradiction in a header is refused with the file's name and its exact reason."""
    data, reason = HOSTILE[name]
    with pytest.raises(BadTensorFile, match=reason) as caught:
        cut(data)
    assert caught.value.message.startswith("model.safetensors: ")
    assert len(caught.value.message) < 500


def test_every_truncation_is_found() -> None:
    """A file cut short anywhere is refused: its header promised more."""
    data = safetensors({"t": tensor("F32", [20], 0, 80)}, bytes(80))
    assert sum(piece.length for piece in cut(data)) == len(data)
    for length in range(len(data)):
        with pytest.raises(BadTensorFile):
            cut(data[:length])
