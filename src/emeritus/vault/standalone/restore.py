"""Restores a resident from an Emeritus vault (format 0) with Python's standard library alone. See README.txt.

It imports nothing of Emeritus and shares no code with it: it is the second reading of FORMAT.txt, and a copy of it
lies in every vault. Python 3.7 suffices.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import lzma
import os
import struct
import sys
import zlib
from collections.abc import Iterable
from typing import Any

ENTRY = struct.Struct("<32s32sQQQHHI")
FOOTER = struct.Struct("<QQ32s8s")
MOST = 256 << 20  # decoded bytes of a segment
Place = Any  # of a segment: (path, its BLAKE3, its base's or "", offset, stored length, decoded length, encoding, key)
USAGE = "usage: python3 restore.py [NAME FOLDER [ROLE [VERSION]]]"


class Damaged(Exception):
    """Stored bytes are not what was stored; the text names the file."""


def inflate(stored: bytes, length: int) -> bytes:
    """`length` bytes from one zlib stream."""
    stream = zlib.decompressobj()
    data = stream.decompress(stored, length + 1)
    if len(data) != length or not stream.eof or stream.unused_data:
        raise ValueError("a zlib stream has the wrong length")
    return data


def unxz(stored: bytes, length: int) -> bytes:
    """`length` bytes from one xz stream."""
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=128 << 20)
    data = stream.decompress(stored, length + 1)
    if len(data) != length or not stream.eof or stream.unused_data:
        raise ValueError("an xz stream has the wrong length")
    return data


def as_they_are(stored: bytes, length: int) -> bytes:
    """Raw bytes."""
    if len(stored) != length:
        raise ValueError("raw bytes of the wrong length")
    return stored


def beside(name: str) -> Any:
    """The program of that name in the folder of this one."""
    if name not in sys.modules:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{path} is not there")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def numbers(stored: bytes, length: int) -> bytes:
    """`length` bytes of numbers."""
    data: bytes = beside("decode_numbers").decode(stored, length)
    return data


DECODERS = {0: as_they_are, 1: inflate, 2: unxz, 3: numbers}


def read_sealed(path: str, kind: str) -> dict[str, Any]:
    """The body of a sealed JSON file, its sha256 checked."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        whole = json.loads(data.decode("utf-8"))
        body = whole[kind]
        if not isinstance(body, dict):
            raise ValueError("it holds no object")
        if canonical({kind: body, "sha256": hashlib.sha256(canonical(body)).hexdigest()}) != data:
            raise ValueError("its sha256 does not hold")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}") from error
    return dict(body)


def canonical(value: object) -> bytes:
    """JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def pack_path(vault: str, name: str) -> str:
    """Where the pack of that sha256 lies."""
    return os.path.join(vault, "packs", name[:2], name + ".pack")


def read_index(path: str) -> dict[str, Place]:
    """{BLAKE3 hex: place} of one pack's data segments."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < 8 + FOOTER.size:
            raise Damaged(f"{path} is truncated")
        file.seek(size - FOOTER.size)
        offset, count, digest, end = FOOTER.unpack(file.read(FOOTER.size))
        if end != b"EMINDX\0\0" or offset < 8 or offset + count * ENTRY.size + FOOTER.size != size:
            raise Damaged(f"{path} has a damaged footer, or is of another format")
        file.seek(offset)
        index = file.read(count * ENTRY.size)
    if hashlib.sha256(index).digest() != digest:
        raise Damaged(f"{path} has a damaged index")
    places = {}
    for blake3, base, begin, stored, length, encoding, kind, key in ENTRY.iter_unpack(index):
        if begin < 8 or begin + stored > offset or not 0 < length <= MOST or (any(base) and base == blake3):
            raise Damaged(f"{path} has an index that makes no sense")
        if kind == 0:
            named = blake3.hex(), base.hex() if any(base) else ""
            places[blake3.hex()] = (path, *named, begin, stored, length, encoding, key)
    return places


def sound(path: str) -> bool:
    """Whether a pack's sha256 is its name."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return os.path.basename(path) == digest.hexdigest() + ".pack"


class Segments:
    """Every place of every segment: first from the packs a manifest names, then from all there are.

    What is read comes from packs whose sha256 is their name; that is checked once, before the first segment.
    """

    def __init__(self, vault: str, names: list[str]) -> None:
        self.vault = vault
        self.places: dict[str, list[Place]] = {}
        self.broken: list[str] = []
        self.seen: set[str] = set()
        self.sound: dict[str, bool] = {}
        self.all = False
        self.load(pack_path(vault, name) for name in names)

    def load(self, paths: Iterable[str]) -> None:
        """Read packs' indexes; one that cannot be read is remembered."""
        for path in paths:
            if path not in self.seen:
                self.seen.add(path)
                try:
                    for blake3, place in read_index(path).items():
                        self.places.setdefault(blake3, []).append(place)
                except (Damaged, OSError) as error:
                    self.broken.append(str(error))

    def read(self, blake3: str, alone: bool = False) -> bytes:
        """A segment's bytes from whichever place is sound; `alone`: from where it is no difference."""
        failures: list[str] = []
        tried: set[Place] = set()
        for _ in range(2):
            for place in self.places.get(blake3, []):
                if place not in tried and not (alone and place[2]):
                    tried.add(place)
                    try:
                        return self.read_place(place)
                    except (Damaged, OSError) as error:
                        failures.append(str(error))
            if not self.all:
                self.all = True
                folders = os.walk(os.path.join(self.vault, "packs"))
                self.load(os.path.join(folder, name) for folder, _, names in folders for name in sorted(names))
        raise Damaged("; ".join(failures + self.broken) or f"no pack holds segment {blake3}")

    def read_place(self, place: Place) -> bytes:
        """A segment's bytes from one place."""
        path, blake3, base, offset, stored, length, encoding, key = place
        if path not in self.sound:
            self.sound[path] = sound(path)
        if not self.sound[path]:
            raise Damaged(f"{path}: its sha256 is not its name")
        with open(path, "rb") as file:
            file.seek(offset)
            found = file.read(stored)
        try:
            if key:
                found = beside("decode_encrypted").decode(self.vault, key, blake3, found, read_sealed)
            if base and encoding == 4:
                return bytes(beside("decode_difference").decode(found, self.read(base, alone=True), length, DECODERS))
            if base:
                raise ValueError("an encoding that has no base")
            return DECODERS[encoding](found, length)
        except (ValueError, KeyError, IndexError, struct.error, zlib.error, lzma.LZMAError) as error:
            raise Damaged(f"{path}, at offset {offset}: {error!r}") from error


def list_residents(vault: str) -> None:
    """Print what there is."""
    top = os.path.join(vault, "manifests")
    for name in sorted(os.listdir(top)) if os.path.isdir(top) else []:
        for file in sorted(os.listdir(os.path.join(top, name))):
            body = read_sealed(os.path.join(top, name, file), "manifest")
            count, size = len(body["files"]), body["bytes"]
            print(f"{body['name']} {body['role']} {body['version']}: {count} files, {size} bytes")


def newest(folder: str, role: str) -> int:
    """The highest version of a role."""
    names = [name.split(".") for name in os.listdir(folder)] if os.path.isdir(folder) else []
    versions = [int(parts[1]) for parts in names if len(parts) == 3 and parts[0] == role]
    if not versions:
        raise SystemExit(f"the vault holds no {role} there: {folder}")
    return max(versions)


def safe(folder: str, path: str) -> str:
    """The path below the folder; a manifest may not name any other."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise Damaged(f"a manifest names the path {path!r}")
    return os.path.join(folder, *path.split("/"))


def restore(vault: str, name: str, folder: str, role: str, version: str | None = None) -> None:
    """Write all files of a resident to `folder`, which must not exist or be empty."""
    if os.path.exists(folder) and os.listdir(folder):
        raise SystemExit(f"{folder} is not empty")
    shelf = os.path.join(vault, "manifests", name)
    number = newest(shelf, role) if version is None else int(version)
    manifest = read_sealed(os.path.join(shelf, f"{role}.{number}.json"), "manifest")
    if manifest["format"] != 0:
        raise SystemExit("format {!r} is not known to this program".format(manifest["format"]))
    segments = Segments(vault, manifest["packs"])
    os.makedirs(folder, exist_ok=True)
    for path in manifest["folders"]:
        os.makedirs(safe(folder, path), exist_ok=True)
    for entry in manifest["files"]:
        path = safe(folder, entry["path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        digest = hashlib.sha256()
        with open(path + ".part", "xb") as file:
            for blake3, _ in entry["segments"]:
                data = segments.read(blake3)
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != entry["sha256"]:
            raise Damaged("{}: the sha256 of the whole file differs".format(entry["path"]))
        if entry["executable"]:
            mode = os.stat(path + ".part").st_mode
            os.chmod(path + ".part", mode | (mode & 0o444) >> 2)  # for whom it is readable
        os.rename(path + ".part", path)
        print("{}  {}".format(entry["sha256"], entry["path"]))


def main(arguments: list[str]) -> None:
    """The command."""
    vault = os.path.dirname(os.path.abspath(__file__))
    if read_sealed(os.path.join(vault, "vault.json"), "emeritus_vault")["format"] != 0:
        raise SystemExit("this vault's format is not known to this program")
    if not arguments:
        list_residents(vault)
    elif 2 <= len(arguments) <= 4 and not arguments[0].startswith("-"):
        role = arguments[2] if len(arguments) > 2 else "weights"
        restore(vault, arguments[0], arguments[1], role, arguments[3] if len(arguments) > 3 else None)
    else:
        raise SystemExit(USAGE)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Damaged as error:
        raise SystemExit(f"DAMAGED: {error}") from error
