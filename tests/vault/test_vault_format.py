"""The format: the document's example against the code, and documents that agree with each other."""

from __future__ import annotations

import hashlib
import re
import struct
from importlib.resources import files
from pathlib import Path

import pytest

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError, UnknownFormat
from emeritus.vault.codec.numbers import encode
from emeritus.vault.codec.table import ENCODINGS, decode
from emeritus.vault.digests import blake3_of, sha256_of
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs.pack import END, ENTRY, MAGIC, Encoded, PackBuilder, pack_key, pack_name, read_index
from emeritus.vault.sealed import seal, unseal
from emeritus.vault.vault import STANDALONE

TEXT = files("emeritus.vault.standalone").joinpath("FORMAT.txt").read_text(encoding="ascii")
EXAMPLE = bytes.fromhex("".join(re.findall(r"^    [0-9a-f]{4}  ([0-9a-f]+)$", TEXT, re.MULTILINE)))


def test_the_document_travels_with_the_vault() -> None:
    """docs/format.md is what every vault carries, to the byte; all of it is plain ASCII."""
    assert Path(__file__).parents[2].joinpath("docs", "format.md").read_text(encoding="utf-8") == TEXT
    for name in STANDALONE:
        files("emeritus.vault.standalone").joinpath(name).read_text(encoding="ascii")


def test_example_pack() -> None:
    """The documented bytes are what the writer makes of the documented segments, and decode to them."""
    numbers = struct.pack("<5H", 0x3F80, 0xBF80, 0x3FC0, 0xBFA0, 0x3FE0)  # bf16 1, -1, 1.5, -1.25, 1.75
    planes = encode(numbers, 2)
    assert planes == bytes([2, 0, 0x00, 0x80, 0x40, 0xA0, 0x60, 1, 127])
    assert decode(3, planes, 10) == numbers
    builder = PackBuilder()
    builder.add(Encoded(blake3_of(b"hello"), 5, 0, b"hello"))
    builder.add(Encoded(blake3_of(numbers), 10, 3, planes))
    name, data = builder.finish()
    assert bytes(data) == EXAMPLE
    assert f"Its name is {name}." in TEXT


def test_example_block() -> None:
    """The documented block of rANS is what the encoder makes of the documented bytes, and decodes to them."""
    section = TEXT.partition("### Numbers")[2].partition("###")[0]
    block = bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]{2,64})$", section, re.MULTILINE)))
    symbols = bytes(124 - ((n & -n).bit_length() - 1) for n in range(1, 1001))
    stored = bytes([1, 2]) + struct.pack("<I", len(block)) + block
    assert encode(symbols, 1) == stored
    assert decode(3, stored, 1000) == symbols


def test_example_manifest() -> None:
    """The documented manifest is what the writer makes, byte for byte."""
    (line,) = re.findall(r'^    (\{"manifest":.*\})$', TEXT, re.MULTILINE)
    name = hashlib.sha256(EXAMPLE).hexdigest()
    entry = FileEntry("a.txt", 5, sha256_of(b"hello").hex(), False, ((blake3_of(b"hello").hex(), 5),))
    manifest = Manifest("tiny", "report", 1, (entry,), (), (), (name,), 5)
    assert manifest.to_bytes().decode() == line
    assert Manifest.from_bytes(line.encode(), "k") == manifest


def test_every_encoding_is_documented() -> None:
    """The table of the document is the table of the code."""
    documented = dict(
        re.findall(
            r"^\| (\d) \| (\w+) \|", TEXT.partition("### Encodings")[2].partition("### Numbers")[0], re.MULTILINE
        )
    )
    assert documented == {str(number): encoding.name for number, encoding in ENCODINGS.items()}
    assert f"| I | {ENTRY.size} n |" in TEXT


def test_other_formats_are_refused_by_name(tmp_path: Path) -> None:
    """A pack, an encoding and a manifest of a later format are UnknownFormat, never misread."""
    store = LocalStore(tmp_path)
    store.put(pack_key("0" * 64), EXAMPLE[:-2] + b"\x01\x00")
    with pytest.raises(UnknownFormat, match="format 1"):
        read_index(store, pack_key("0" * 64))
    with pytest.raises(UnknownFormat, match="encoding 9"):
        decode(9, b"", 1)
    with pytest.raises(UnknownFormat):
        Manifest.from_bytes(seal("manifest", {"format": 1}), "k")


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "a//b", ".", "", "a/", "a\0b"])
def test_a_manifest_cannot_lead_out_of_the_folder(path: str) -> None:
    """A manifest that is sealed rightly but names a path outside is refused when it is read."""
    manifest = Manifest("n", "report", 1, (FileEntry(path, 0, "0" * 64, False, ()),), (), (), (), 0)
    with pytest.raises(IntegrityError):
        Manifest.from_bytes(manifest.to_bytes(), "k")
    folders = Manifest("n", "report", 1, (), (path,), (), (), 0)
    with pytest.raises(IntegrityError):
        Manifest.from_bytes(folders.to_bytes(), "k")


def test_sealed_json_knows_any_change() -> None:
    """Every single-bit change of a sealed document is found, and so is every truncation."""
    data = seal("manifest", {"a": "é", "b": [1, 2.5, None, True], "c": {"d": "x"}})
    assert unseal("manifest", data, "k") == {"a": "é", "b": [1, 2.5, None, True], "c": {"d": "x"}}
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(IntegrityError):
                unseal("manifest", bytes(changed), "k")
        with pytest.raises(IntegrityError):
            unseal("manifest", data[:position], "k")
    for more in (b" ", b"\n", b"{}"):
        with pytest.raises(IntegrityError):
            unseal("manifest", data + more, "k")


def test_pack_names() -> None:
    """Only a key with a sha256 in its own folder is a pack's."""
    name = "ab" * 32
    assert pack_name(pack_key(name)) == name
    for key in (f"packs/aa/{name}.pack", f"packs/ab/{name}", f"packs/ab/{name.upper()}.pack", "packs/ab/ab.pack"):
        assert pack_name(key) is None
    assert EXAMPLE.startswith(MAGIC)
    assert EXAMPLE.endswith(END)
