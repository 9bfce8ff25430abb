"""Makes the golden archive of the format this version writes: `python tests/vault/golden_make.py`, from the root.

Every encoding by its own encoder, whatever would have been smaller, so that each is there however choices change. Once
a format is released, its archive is never made again: readers must read it for ever.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import random
import struct
import zlib
from pathlib import Path

from vault_models import safetensors, tensor

from emeritus.blobs.local import LocalStore
from emeritus.vault.codec import difference, numbers, table
from emeritus.vault.digests import blake3_of
from emeritus.vault.manifest import FORMAT, FileEntry, Manifest
from emeritus.vault.packs.pack import MANIFEST, Encoded, PackBuilder, pack_key
from emeritus.vault.sealed import canonical, seal

GOLDEN = Path(__file__).parent / "golden" / f"format-{FORMAT}"
COUNT = 700  # weights in a tensor: several rounds of every decoder, and some left over


def weights(seed: int, dtype: str, count: int = COUNT) -> bytes:
    """Weights of a model's scale, by the standard library alone."""
    chance = random.Random(seed)
    values = [chance.gauss(0, 0.02) for _ in range(count)]
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    if dtype == "I8":
        return bytes(round(value * 800) % 256 for value in values)
    return struct.pack(f"<{count}{ {'F16': 'e', 'F32': 'f', 'F64': 'd'}[dtype] }", *values)


def changed(data: bytes, seed: int, width: int) -> bytes:
    """The weights after training: most numbers a few steps away, some far."""
    chance = random.Random(seed)
    found = list(struct.unpack(f"<{len(data) // width}{'H' if width == 2 else 'I'}", data))
    for place in range(0, len(found), 3):
        found[place] ^= chance.randrange(1 << chance.randrange(8 * width))
    return struct.pack(f"<{len(found)}{'H' if width == 2 else 'I'}", *found)


class Maker:
    """A vault being put together."""

    def __init__(self, root: Path) -> None:
        self.store = LocalStore(root)
        self.builder = PackBuilder()
        self.expected: dict[str, dict[str, str]] = {}

    def keep(self, data: bytes, encoding: int, stored: bytes, base: bytes | None = None) -> tuple[str, int]:
        """A segment in the pack under construction, proven."""
        if table.decode(encoding, stored, len(data), base) != data:
            raise SystemExit("an encoder does not give back what it was given")
        name = blake3_of(data)
        self.builder.add(Encoded(name, len(data), encoding, stored, base=None if base is None else blake3_of(base)))
        return name.hex(), len(data)

    def plain(self, data: bytes, layout: int = 0) -> tuple[str, int]:
        """A segment raw, or as numbers."""
        if layout:
            return self.keep(data, table.NUMBERS, bytes(numbers.encode(data, layout)))
        return self.keep(data, table.RAW, data)

    def close(self) -> str:
        """Write the pack under construction; its name."""
        name, data = self.builder.finish()
        self.store.put(pack_key(name), bytes(data))
        self.builder = PackBuilder()
        return name

    def resident(
        self, name: str, files: dict[str, tuple[bytes, list[tuple[str, int]]]], packs: list[str], bases: tuple[str, ...]
    ) -> None:
        """The manifest, and its copy in a pack."""
        entries = tuple(
            FileEntry(path, len(data), hashlib.sha256(data).hexdigest(), path.endswith(".sh"), tuple(segments))
            for path, (data, segments) in sorted(files.items())
        )
        manifest = Manifest(name, "weights", 1, entries, ("empty/folder",), (), tuple(sorted(packs)), 0, bases)
        whole = manifest.to_bytes()
        self.builder.add(Encoded(blake3_of(whole), len(whole), table.RAW, whole, MANIFEST))
        self.close()
        self.store.put(manifest.key, whole)
        self.expected[name] = {entry.path: entry.sha256 for entry in entries}


def main() -> None:
    """Write the archive."""
    maker = Maker(GOLDEN)
    maker.store.put("vault.json", seal("emeritus_vault", {"format": FORMAT, "standalone": {}}))
    layouts = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8, "I8": 1}
    parts = {dtype: weights(seed, dtype) for seed, dtype in enumerate(layouts)}
    header, at = {}, 0
    for dtype, data in parts.items():
        header[dtype.lower()] = tensor(dtype, [COUNT], at, at + len(data))
        at += len(data)
    model = safetensors(header, b"".join(parts.values()))
    start = len(model) - at
    segments = [maker.plain(model[:start]), *(maker.plain(data, layouts[dtype]) for dtype, data in parts.items())]
    text = json.dumps({f"word {number}": number for number in range(200)}).encode()
    steep = bytes(2000 + round(900 * math.sin(number)) & 255 for number in range(300)) * 2
    files = {
        "config.json": (b"{}", [maker.plain(b"{}")]),
        "empty.txt": (b"", []),
        "model.safetensors": (model, segments),
        "run.sh": (b"#!/bin/sh\n", [maker.plain(b"#!/bin/sh\n")]),
        "steep.bin": (steep, [maker.keep(steep, table.ZLIB, zlib.compress(steep))]),
        "tokenizer.json": (text, [maker.keep(text, table.XZ, lzma.compress(text, filters=table.XZ_FILTERS))]),
    }
    first = maker.close()
    maker.resident("base", files, [first], ())
    tuned, kept = bytearray(model), list(segments)
    for number, (dtype, data) in enumerate(parts.items(), 1):
        if layouts[dtype] in difference.LAYOUTS:
            other = changed(data, number, layouts[dtype])
            begin = start + header[dtype.lower()]["data_offsets"][0]  # a list of two, see `tensor`
            tuned[begin : begin + len(other)] = other
            stored = difference.encode(other, data, layouts[dtype])
            if stored is None:
                raise SystemExit(f"{dtype} has no difference")
            kept[number] = maker.keep(other, table.DIFFERENCE, bytes(stored), data)
    second = maker.close()
    maker.resident("tuned", {"model.safetensors": (bytes(tuned), kept)}, [first, second], ("base",))
    (GOLDEN / "~lock").unlink(missing_ok=True)
    (GOLDEN / "expected.json").write_bytes(canonical(maker.expected))


if __name__ == "__main__":
    main()
