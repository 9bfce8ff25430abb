"""Differences as the format has them: its example, its second reading, and a vault that holds one beside its base."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from vault_differences import bf16, pair

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError
from emeritus.vault.codec import difference
from emeritus.vault.codec.table import DIFFERENCE, NUMBERS, RAW, decode, encode
from emeritus.vault.digests import blake3_of, sha256_of
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs.pack import Encoded, PackBuilder, pack_key
from emeritus.vault.standalone import decode_difference, restore
from emeritus.vault.vault import Vault

TEXT = files("emeritus.vault.standalone").joinpath("FORMAT.txt").read_text(encoding="ascii")


def test_example_difference() -> None:
    """The documented difference is what the encoder makes of the documented numbers, and decodes to them."""
    section = TEXT.partition("### Difference")[2].partition("###")[0]
    example = bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]{2,64})$", section, re.MULTILINE)))
    base = [15360 + 8 * i for i in range(128)]
    numbers = [each + (i % 3 if i >= 64 else 0) for i, each in enumerate(base)] + [16256]
    data, bases = struct.pack("<129H", *numbers), struct.pack("<128H", *base)
    assert encode(data, 2, bases) == (DIFFERENCE, example)
    assert decode(DIFFERENCE, example, len(data), bases) == data


def odd_pairs() -> dict[str, tuple[int, bytes, bytes]]:
    """Layout, data and base of everything that the format has a way for."""
    chance = np.random.default_rng(5)
    wide = chance.normal(0, 0.02, 900).astype("<f4")
    moved = (wide + chance.normal(0, 5e-5, 900)).astype("<f4")
    data, base = pair(1e-3, 3000)
    leaps = np.frombuffer(pair(1e-5, 1 << 15)[0], "<u2").copy()
    leaps[::1999] = chance.integers(0, 1 << 16, len(leaps[::1999]))
    rows = bytearray(base)
    rows[1000:1400] = data[1000:1400]
    return {
        "small steps": (2, *pair(1e-5, 3000)),
        "large steps": (2, data, base),
        "runs of what is unchanged": (2, bytes(rows), base),
        "a base of zeros": (2, data, bytes(len(data))),
        "leaps": (2, leaps.tobytes(), pair(1e-5, 1 << 15)[1]),
        "equal": (2, base, base),
        "numbers beyond the base": (2, data + bf16(wide).tobytes(), base),
        "odd bytes beyond the base": (2, data + b"\1\2\3", base),
        "a longer base": (2, data, base + data),
        "float32": (4, moved.tobytes(), wide.tobytes()),
        "float32 of halves": (4, (np.frombuffer(data, "<u2").astype("<u4") << 16).tobytes(), wide.tobytes() * 4),
    }


@pytest.mark.parametrize("name", odd_pairs())
def test_the_second_reading_agrees(name: str) -> None:
    """The decoder on the standard library gives back what was encoded, by every way the format has."""
    layout, data, base = odd_pairs()[name]
    stored = difference.encode(data, base, layout)
    if stored is None:
        assert name == "float32 of halves"  # beside unrelated numbers nothing is gained
        return
    assert decode_difference.decode(stored, base, len(data), restore.DECODERS) == data


def test_the_second_reading_finds_damage() -> None:
    """Flipped bits and cuts are a ValueError or the like for it, or bytes of the right length, as they are for us."""
    data, base = pair(1e-3, 200)
    stored = difference.encode(data, base, 2)
    assert stored is not None
    damaged = [stored[:cut] for cut in range(0, len(stored), 5)] + [stored + b"\0"]
    for place in [*range(0, 8 * 60, 3), *range(8 * 60, 8 * len(stored), 13)]:  # the tables, and some of the rest
        flipped = bytearray(stored)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    agreed = 0
    for each in damaged:
        try:
            ours = decode(DIFFERENCE, each, len(data), base)
        except IntegrityError:
            with pytest.raises((ValueError, IndexError, struct.error)):
                decode_difference.decode(each, base, len(data), restore.DECODERS)
        else:
            assert decode_difference.decode(each, base, len(data), restore.DECODERS) == ours
        agreed += 1
    assert agreed > 200


def test_the_smallest_is_chosen() -> None:
    """A base that helps makes a difference; one that does not, or another layout, leaves its own encoding."""
    data, base = pair(5e-5, 60000)
    encoding, stored = encode(data, 2, base)
    assert encoding == DIFFERENCE
    assert len(stored) < 0.15 * len(data)
    far = pair(1.0, 60000, seed=9)[0]
    encoding, stored = encode(data, 2, far)
    assert encoding == NUMBERS
    assert stored == encode(data, 2)[1]
    assert encode(data, 8, base)[0] != DIFFERENCE
    noise = np.random.default_rng(0).bytes(3000)
    assert encode(noise, 2, noise[::-1])[0] == RAW


def test_base_and_encoding_belong_together() -> None:
    """A difference without a base, and a base for what is none, are damage."""
    data, base = pair(5e-5, 3000)
    encoding, stored = encode(data, 2, base)
    assert encoding == DIFFERENCE
    with pytest.raises(IntegrityError, match="needs a base"):
        decode(DIFFERENCE, stored, len(data))
    with pytest.raises(IntegrityError, match="takes no base"):
        decode(RAW, data, len(data), base)


def test_a_vault_with_a_difference(vault: Vault, store: LocalStore, tmp_path: Path) -> None:
    """It is restored by us and by the decoder in the vault; with its base's pack gone both say what is missing."""
    data, base = pair(5e-5, 3000)
    packs = []
    for segment in (
        Encoded(blake3_of(base), len(base), *encode(base, 2)),
        Encoded(blake3_of(data), len(data), *encode(data, 2, base), base=blake3_of(base)),
    ):
        builder = PackBuilder()
        builder.add(segment)
        name, pack = builder.finish()
        store.put(pack_key(name), bytes(pack))
        packs.append(name)
    file = FileEntry("w.bin", len(data), sha256_of(data).hex(), False, ((blake3_of(data).hex(), len(data)),))
    manifest = Manifest("tuned", "weights", 1, (file,), (), (), tuple(sorted(packs)), 0)
    store.put(manifest.key, manifest.to_bytes())
    vault = Vault.at(store)
    vault.restore("tuned", tmp_path / "ours")
    assert (tmp_path / "ours" / "w.bin").read_bytes() == data
    command = [sys.executable, "-I", "-S", str(store.root / "restore.py"), "tuned"]
    done = subprocess.run([*command, str(tmp_path / "theirs")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theirs" / "w.bin").read_bytes() == data
    store.delete(pack_key(packs[0]))
    with pytest.raises(IntegrityError):
        Vault.at(store).restore("tuned", tmp_path / "lost")
    done = subprocess.run([*command, str(tmp_path / "gone")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert packs[0] in done.stderr
