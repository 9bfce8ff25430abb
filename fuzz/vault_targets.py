"""The vault's objects and the model files it takes in. Digests are made anew where an input asks for it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import struct
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError
from emeritus.vault import sealed
from emeritus.vault.digests import blake3_of, sha256_of
from emeritus.vault.formats import table as formats
from emeritus.vault.formats.cut import SEGMENT_BYTES
from emeritus.vault.keys import cipher
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs import pack
from emeritus.vault.parity import form
from emeritus.vault.standalone import decode_encrypted, restore
from emeritus.vault.writing import sketch
from fuzz.target import Broken, Target, agree, attempt, expect


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def no_base(digest: bytes) -> bytes:
    """Differences are another target's."""
    raise IntegrityError("no base here")


def check_pack(data: bytes) -> None:
    """A first byte 1: an index follows (as u16 length, index, segments) and gets its footer; else it is the pack."""
    whole = data[1:]
    if data[:1] == b"\1" and len(data) > 3:
        size = struct.unpack_from("<H", data, 1)[0]
        index, body = data[3 : 3 + size], pack.MAGIC + data[3 + size :]
        index = index[: len(index) // pack.ENTRY.size * pack.ENTRY.size]
        count = len(index) // pack.ENTRY.size
        whole = body + index + pack.FOOTER.pack(len(body), count, sha256_of(index), pack.END)
    name = hashlib.sha256(whole).hexdigest()
    key = pack.pack_key(name)
    good, wrong = pack.check_pack(key, whole, no_base)
    expect(len(good) > 0 or bool(wrong) or b"EMINDX" in whole[-8:], "a pack that is none has nothing wrong")
    with folder() as root:
        path = root / key
        path.parent.mkdir(parents=True)
        path.write_bytes(whole)
        entries = attempt(lambda: pack.read_index(LocalStore(root), key))
        places = attempt(lambda: restore.read_index(str(path)), restore.Damaged)
        if entries[0]:
            expect(places[0], "the standalone program refuses an index that the package reads")
            found = {each.blake3.hex() for each in entries[1] if each.kind == pack.DATA}
            expect(found == set(places[1]), "the two readings of an index differ")
            _segments(root, [each for each in good if not each.base and not each.key and each.kind == pack.DATA], path)
        elif places[0]:
            for blake3 in places[1]:
                segments = restore.Segments(str(root), [name])
                attempt(functools.partial(segments.read, blake3), restore.Damaged, SystemExit)


def _segments(root: Path, good: list[pack.Entry], path: Path) -> None:
    segments = restore.Segments(str(root), [path.name.removesuffix(".pack")])
    for each in good[:4]:
        if sum(other.blake3 == each.blake3 for other in good) == 1:
            data = segments.read_place(
                (str(path), each.blake3.hex(), "", each.offset, each.stored, each.length, each.encoding, 0)
            )
            expect(blake3_of(data) == each.blake3, "the standalone program decodes other bytes")


def check_manifest(data: bytes) -> None:
    """A first byte 1: the body of a manifest, to be sealed; else the manifest. Both programs read it alike."""
    whole = data[1:]
    if data[:1] == b"\1":
        try:
            whole = sealed.seal("manifest", json.loads(whole))
        except (ValueError, RecursionError):
            return
    read, found = attempt(lambda: Manifest.from_bytes(whole, "manifests/x/weights.1.json"))
    if read:
        expect(isinstance(found, Manifest) and found.to_bytes() == whole, "a manifest does not write back")
    with folder() as root:
        path = root / "m.json"
        path.write_bytes(whole)
        ours = attempt(lambda: sealed.unseal("manifest", whole, "m"))
        agree(
            {
                "package": ours,
                "standalone": attempt(lambda: restore.read_sealed(str(path), "manifest"), restore.Damaged),
            }
        )


def check_safetensors(data: bytes) -> None:
    """A first byte 1: a header, its length made, with u16 bytes of data behind it; else the file."""
    check_format("x.safetensors", _framed(data))


def _framed(data: bytes) -> bytes:
    if data[:1] != b"\1" or len(data) < 3:
        return data[1:]
    return struct.pack("<Q", len(data) - 3) + data[3:] + bytes(struct.unpack_from("<H", data, 1)[0])


def check_format(name: str, whole: bytes) -> None:
    """Cuts follow each other from the first byte to the last; tensors lie inside."""
    read, cuts = attempt(lambda: formats.cuts(io.BytesIO(whole), len(whole), name))
    if read:
        places: Any = cuts
        expect(sum(cut.length for cut in places) == len(whole), "cuts do not cover a file")
        expect(all(0 < cut.length <= SEGMENT_BYTES for cut in places), "a cut of no or too many bytes")
        expect(all(one.offset + one.length == two.offset for one, two in pairwise(places)), "cuts leave a gap")
    read, tensors = attempt(lambda: formats.tensors(io.BytesIO(whole), len(whole), name))
    if read:
        listed: Any = tensors
        inside = all(each.offset >= 0 and each.offset + each.length <= len(whole) for each in listed)
        expect(inside, "a tensor lies outside its file")


def check_parity(data: bytes) -> None:
    """A first byte 1: a description without its digest, made whole; 2: the same with its tail; else the object."""
    whole = data[1:]
    if data[:1] in (b"\1", b"\2"):
        whole += hashlib.sha256(whole).digest()
    if data[:1] == b"\2":
        whole = b"damaged" + whole + form.TAIL.pack(len(whole), form.END)
    names, shard = _members(data[1:])
    key = str(form.ShardKey(form.group_name(names), shard, hashlib.sha256(whole).hexdigest()))
    if form.parse_key(key) is None:
        return
    with folder() as root:
        path = root / key
        path.parent.mkdir(parents=True)
        path.write_bytes(whole)
        store = LocalStore(root)
        attempt(lambda: form.read_members(store, key))
        read, found = attempt(lambda: form.read_description(store, key))
        if read:
            if not isinstance(found, form.Description):
                raise Broken("no description")
            expect(found.to_bytes(shard) in whole, "a description does not write back")
    attempt(lambda: form.parse_description(whole, key))


def _members(told: bytes) -> tuple[tuple[str, ...], int]:
    if len(told) < form.HEAD.size:
        return (), 0
    _, _, count, _, shard, _ = form.HEAD.unpack_from(told)
    room = (len(told) - form.HEAD.size) // form.MEMBER.size
    at = [form.HEAD.size + form.MEMBER.size * each for each in range(min(count, room))]
    return tuple(form.MEMBER.unpack_from(told, each)[0].hex() for each in at), shard % 1000


def _packs() -> list[bytes]:
    builder = pack.PackBuilder()
    for encoding, stored, text in (
        (0, b"hello", b"hello"),
        (3, bytes.fromhex("02008040a060017f"), b"\x80\x3f\x80\xbf\xc0\x3f\xa0\xbf\xe0\x3f"),
    ):
        builder.add(pack.Encoded(blake3_of(text), len(text), encoding, stored))
    whole = bytes(builder.finish()[1])
    size = 2 * pack.ENTRY.size
    body, index = whole[8 : -size - pack.FOOTER.size], whole[-size - pack.FOOTER.size : -pack.FOOTER.size]
    return [b"\0" + whole, b"\1" + struct.pack("<H", size) + index + body]


def _manifests() -> list[bytes]:
    digest = "ab" * 32
    file = FileEntry("a/b.safetensors", 5, digest, True, ((digest, 5),))
    made = Manifest("tiny", "weights", 1, (file,), ("empty",), (".git",), (digest,), 5, ("base",)).to_bytes()
    return [b"\0" + made, b"\1" + sealed.canonical(json.loads(made)["manifest"])]


def _tensor_files() -> list[bytes]:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
        "b": {"dtype": "F32", "shape": [0], "data_offsets": [12, 12]},
        "c": {"dtype": "NEW", "shape": [1], "data_offsets": [13, 20]},
    }
    text = json.dumps(header).encode()
    return [b"\1\x18\0" + text, b"\0" + struct.pack("<Q", len(text)) + text + bytes(24)]


def _parities() -> list[bytes]:
    packs = (b"abc", b"defghijk")
    names = tuple((hashlib.sha256(each).hexdigest(), len(each)) for each in packs)
    digests = tuple(map(form.digests_of, packs))
    described = form.Description(names, digests, digests[1:] * 2)
    _, whole = form.parity_object(described, 1, bytes(8))
    told = described.to_bytes(1)[:-32]
    return [b"\0" + bytes(whole), b"\1" + told, b"\2" + told]


SECRET = cipher.Secret.key_file(bytes(range(32)))


def check_key(data: bytes) -> None:
    """A first byte 1: the body of a wrapped key, to be sealed; else the object. Both programs open it or do not."""
    whole = data[1:]
    if data[:1] == b"\1":
        try:
            whole = sealed.seal("key", json.loads(whole))
        except (ValueError, RecursionError):
            return
    ours = attempt(lambda: cipher.unwrap(cipher.read_wrapped(whole, "keys/1.json"), SECRET, "keys/1.json"))
    decode_encrypted.SECRETS.update({"hkdf-sha256": SECRET.value, "scrypt": b"a passphrase"})
    with folder() as root:
        path = root / "1.json"
        path.write_bytes(whole)
        theirs = attempt(
            lambda: decode_encrypted.unwrapped(restore.read_sealed(str(path), "key"), 1), restore.Damaged, ValueError
        )
    expect(not ours[0] or not theirs[0] or ours == theirs, "two readings unwrap different keys")


def check_sketch(data: bytes) -> None:
    """What stands before a sketch's values: a first byte 1 has its digest made."""
    whole = data[1:] + (blake3_of(data[1:]) if data[:1] == b"\1" else b"")
    with contextlib.suppress(IntegrityError):  # no other error: a sketch is made again for it
        sketch.parse_head(whole, sketch.sketch_key("wren"))


def _sketch() -> bytes:
    return sketch.pack(bytes(32), ["base"], np.zeros(1, sketch.ROW), [np.arange(20, dtype=np.uint16)])


TARGETS = {
    "sketch": Target(check_sketch, lambda: [b"\0" + _sketch(), b"\1" + _sketch()[:-72]]),
    "key": Target(
        check_key,
        lambda: [
            b"\0" + cipher.wrap(1, bytes(32), SECRET),
            b"\1" + sealed.canonical(json.loads(cipher.wrap(1, bytes(32), SECRET))["key"]),
        ],
    ),
    "pack": Target(check_pack, _packs),
    "manifest": Target(check_manifest, _manifests),
    "safetensors": Target(check_safetensors, _tensor_files),
    "parity": Target(check_parity, _parities),
}
