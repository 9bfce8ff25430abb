"""Loading: a resident's tensors by name, into memory, verified; together or one at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from vault_models import numbers, safetensors, tensor

from emeritus.blobs.local import LocalStore
from emeritus.errors import BadTensorFile, InputError, IntegrityError, NotFound
from emeritus.vault.formats.cut import Tensor
from emeritus.vault.packs.pack import pack_key, read_index
from emeritus.vault.vault import Vault


def keep(vault: Vault, folder: Path, files: dict[str, bytes], name: str = "wren") -> None:
    """Preserve these files."""
    folder.mkdir()
    for path, data in {"config.json": b"{}", **files}.items():
        (folder / path).write_bytes(data)
    vault.preserve(folder, name)


def test_every_tensor_as_the_file_has_it(vault: Vault, model: Path, store: LocalStore, small_packs: None) -> None:
    """Type, shape and bytes of each tensor are the file's: misordered, tied, empty, odd and of unknown type."""
    vault.preserve(model, "wren")
    opened = Vault.at(store).open("wren")
    first = (model / "model-00001-of-00002.safetensors").read_bytes()
    start = 8 + int.from_bytes(first[:8], "little")
    found = opened.read_all()
    assert found.keys() == opened.tensors.keys() == {"z.last", "a.first", "tied", "empty", "unknown", "odd", "h", "s"}
    for name, each in json.loads(first[8:start]).items():
        if name != "__metadata__":
            begin, end = each["data_offsets"]
            assert found[name].tobytes() == first[start + begin : start + end]
            assert opened.tensors[name].dtype == each["dtype"]
            assert opened.tensors[name].shape == tuple(each["shape"])
            assert np.array_equal(opened.read(name), found[name])
    assert (found["a.first"].dtype, found["a.first"].shape) == (np.uint16, (3000, 10))
    assert (found["h"].dtype, found["s"].dtype, found["empty"].shape) == (np.float16, np.float32, (0, 7))
    assert (found["unknown"].dtype, found["unknown"].shape) == (np.uint8, (5,))
    assert np.shares_memory(found["tied"], found["a.first"])
    assert list(opened.read_all(["s", "h"])) == ["h", "s"]
    assert bytes(opened.read_bytes("code/run.sh", 2)) == b"/bin/sh\n"
    assert bytes(opened.read_bytes("code/run.sh", 3, 3)) == b"bin"
    assert opened.read_bytes("empty.txt") == b""


def test_into_memory_of_the_caller(vault: Vault, tmp_path: Path) -> None:
    """A tensor of several segments fills the caller's array, of any type of its size; other memory is refused."""
    data = numbers(5 << 20, "BF16", 3)  # 10 MiB
    keep(
        vault, tmp_path / "m", {"model.safetensors": safetensors({"w": tensor("BF16", [5 << 20], 0, len(data))}, data)}
    )
    opened = vault.open("wren")
    out = np.zeros((5, 1 << 20), np.int16)
    assert opened.read("w", out) is out
    assert out.tobytes() == data
    for wrong in (np.zeros(3, np.uint8), np.zeros((1 << 20, 10), np.uint16)[:, ::2], np.frombuffer(data, np.uint8)):
        with pytest.raises(InputError, match="contiguous"):
            opened.read("w", wrong)
    with pytest.raises(InputError):
        opened.read_bytes("config.json", 1, 2)
    for missing in (lambda: opened.read("v"), lambda: opened.read_bytes("v"), lambda: opened.read_all(["v"])):
        with pytest.raises(NotFound):
            missing()


def test_a_tensor_that_begins_within_a_segment(vault: Vault, tmp_path: Path) -> None:
    """Where segments were cut otherwise than the tensors lie, the right bytes come all the same."""
    words = numbers(6 << 20, "BF16", 5)  # 12 MiB
    half = len(words) // 2 + 3
    header = {"a": tensor("U8", [half], 0, half), "b": tensor("U8", [len(words) - half], half, len(words))}
    whole = safetensors(header, words)
    keep(vault, tmp_path / "m", {"model.bin": whole})  # as bytes, cut by their content
    opened = vault.open("wren")
    manifest = vault.manifest("wren")
    first = manifest.files[1].segments[0][1]
    assert len(manifest.files[1].segments) > 2
    for offset, length in ((0, 10), (3, len(whole) - 5), (first - 1, 2), (first, 5), (len(whole) - 1, 1)):
        assert opened.read_bytes("model.bin", offset, length) == whole[offset : offset + length]


def test_a_name_in_two_files(vault: Vault, tmp_path: Path) -> None:
    """The index of the shards decides which is meant; where none does, loading says so instead of guessing."""
    one = safetensors({"w": tensor("U8", [3], 0, 3)}, b"one")
    two = safetensors({"w": tensor("U8", [3], 0, 3)}, b"two")
    keep(vault, tmp_path / "m", {"consolidated.safetensors": one, "model.safetensors": two})
    with pytest.raises(InputError, match="both have a tensor 'w'"):
        vault.open("wren").read("w")
    for path, right in (("model.safetensors", b"two"), ("consolidated.safetensors", b"one")):
        index = json.dumps({"weight_map": {"w": path}}).encode()
        name = path.split(".")[0]
        files = {"consolidated.safetensors": one, "model.safetensors": two, "model.safetensors.index.json": index}
        keep(vault, tmp_path / name, files, name)
        assert vault.open(name).read("w").tobytes() == right
    files = {"model.safetensors": two, "model.safetensors.index.json": b"[]"}
    keep(vault, tmp_path / "none", files, "none")
    with pytest.raises(BadTensorFile, match="maps no tensors"):
        vault.open("none").read("w")


def test_damage_is_never_loaded(vault: Vault, model: Path, store: LocalStore, small_packs: None) -> None:
    """A flipped bit raises with the pack's name for its tensor alone; the others still load."""
    vault.preserve(model, "wren")
    opened = vault.open("wren")
    whole = opened.read_all()
    file = next(file for file in opened.manifest.files if file.path == opened.tensors["h"].path)
    digest = bytes.fromhex(file.segments[1][0])  # after the header's
    name, entry = next(
        (name, entry)
        for name in opened.manifest.packs
        for entry in read_index(store, pack_key(name))
        if entry.blake3 == digest
    )
    data = bytearray(store.get(pack_key(name)))
    data[entry.offset + entry.stored // 2] ^= 1
    store.put(pack_key(name), bytes(data))
    fresh = Vault.at(store).open("wren")
    with pytest.raises(IntegrityError, match=name):
        fresh.read("h")
    with pytest.raises(IntegrityError, match=name):
        fresh.read_all()
    assert np.array_equal(fresh.read("s"), whole["s"])


def test_the_tensors_that_model_libraries_load(vault: Vault, tmp_path: Path) -> None:
    """`model.safetensors` alone, or the files of its index; never the copies beside them."""
    one, other = numbers(100, "BF16", 1), numbers(100, "BF16", 2)
    files = {
        "model.safetensors": safetensors({"w": tensor("BF16", [100], 0, 200)}, one),
        "consolidated.safetensors": safetensors({"w": tensor("BF16", [100], 0, 200)}, other),
    }
    keep(vault, tmp_path / "m", files)
    with pytest.raises(InputError):
        _ = vault.open("wren").tensors
    assert vault.open("wren").checkpoint().read("w").tobytes() == one
    index = {"weight_map": {"w": "consolidated.safetensors"}}
    del files["model.safetensors"]
    keep(vault, tmp_path / "n", {**files, "model.safetensors.index.json": json.dumps(index).encode()}, "lark")
    assert vault.open("lark").checkpoint().read("w").tobytes() == other
    index["weight_map"]["v"] = "lost.safetensors"
    keep(vault, tmp_path / "o", {**files, "model.safetensors.index.json": json.dumps(index).encode()}, "gone")
    with pytest.raises(NotFound, match=r"lost\.safetensors"):
        vault.open("gone").checkpoint()
    keep(vault, tmp_path / "p", {"pytorch_model.bin": one}, "old")
    with pytest.raises(NotFound, match=r"neither model\.safetensors"):
        vault.open("old").checkpoint()


def test_each_tensor_where_it_is_wanted(vault: Vault, model: Path) -> None:
    """`room` is asked once for what is tied, and every byte comes to lie there."""
    vault.preserve(model, "wren")
    opened, asked = vault.open("wren"), []
    block = np.zeros(sum(each.length for each in opened.tensors.values()), np.uint8)

    def room(wanted: Tensor) -> np.ndarray:
        begin = sum(each.length for each in asked)
        asked.append(wanted)
        return block[begin : begin + wanted.length]

    found = dict(opened.each(room=room))
    assert [each.name for each in asked].count("tied") + [each.name for each in asked].count("a.first") == 1
    assert len(asked) == len(found) - 1
    whole = opened.read_all()
    assert all(found[name].tobytes() == whole[name].tobytes() for name in whole)
    assert all(np.shares_memory(found[name], block) for name in whole if whole[name].nbytes)
