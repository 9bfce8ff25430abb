"""Formats: files made by the real writers come back byte for byte; hostile headers are refused or kept as bytes."""

from __future__ import annotations

import hashlib
import io
import pickle
import random
import struct
import zipfile
from pathlib import Path

import gguf as real_gguf
import numpy as np
import pytest
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from safetensors.torch import save_file
from vault_models import contents, numbers

from emeritus.errors import BadTensorFile
from emeritus.vault.codec import kernel as kernels
from emeritus.vault.formats import checkpoint, chunks, gguf
from emeritus.vault.formats.cut import Cut
from emeritus.vault.formats.table import cuts
from emeritus.vault.vault import Vault


def cut(data: bytes, path: str) -> list[Cut]:
    """The cuts of a file of these bytes, which are checked to be all of it in order."""
    found = cuts(io.BytesIO(data), len(data), path)
    at = 0
    for each in found:
        assert (each.offset, each.length > 0) == (at, True)
        at += each.length
    assert at == len(data)
    return found


def kept(vault: Vault, folder: Path, tmp_path: Path) -> float:
    """Preserve and restore a folder, compare byte for byte; stored bytes over bytes."""
    (folder / "config.json").write_text("{}")
    manifest = vault.preserve(folder, folder.name)
    vault.restore(folder.name, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(folder)
    assert vault.verify().ok
    return manifest.stored_bytes / manifest.total_bytes


def weights(seed: int = 0, *shape: int) -> torch.Tensor:
    """Normally distributed, of scale 0.02, float32."""
    return torch.randn(shape or (300, 256), generator=torch.Generator().manual_seed(seed)) * 0.02


def quantised(path: Path) -> Path:
    """A GGUF file with numbers of every width, quantised blocks and a vocabulary, by the reference writer."""
    writer = real_gguf.GGUFWriter(str(path), "llama")
    writer.add_token_list([f"word{n}" for n in range(500)])
    writer.add_array("nested", [[1, 2], [3, 4]])
    values = weights().numpy()
    writer.add_tensor("a.f32", values)
    writer.add_tensor("b.f16", values.astype(np.float16))
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    writer.add_tensor("c.bf16", bits.view(np.uint8), raw_dtype=GGMLQuantizationType.BF16)
    writer.add_tensor("d.f64", values.astype(np.float64))
    writer.add_tensor("e.i8", (values * 1000).astype(np.int8))
    for kind in (GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0):
        writer.add_tensor(f"q.{kind.name}", real_gguf.quantize(values, kind), raw_dtype=kind)
    blocks = np.frombuffer(random.Random(0).randbytes(300 * 144), np.uint8).reshape(300, 144)
    writer.add_tensor("q.q4_k", blocks, raw_dtype=GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_gguf(tmp_path: Path, vault: Vault) -> None:
    """A GGUF file comes back byte for byte, each tensor cut where the reference reader finds it, and opens by name."""
    (tmp_path / "m").mkdir()
    path = quantised(tmp_path / "m" / "model.gguf")
    reader = real_gguf.GGUFReader(path)
    told = {tensor.name: (int(tensor.data_offset), int(tensor.n_bytes)) for tensor in reader.tensors}
    found = {(each.offset, each.length): each.layout for each in cut(path.read_bytes(), path.name)}
    layouts = {name: found[place] for name, place in told.items()}
    assert layouts == {
        "a.f32": 4,
        "b.f16": 2,
        "c.bf16": 2,
        "d.f64": 8,
        "e.i8": 1,
        "q.Q8_0": 1,
        "q.Q4_0": 1,
        "q.q4_k": 1,
    }
    del reader
    assert kept(vault, tmp_path / "m", tmp_path) < 0.9
    opened = vault.open("m")
    assert np.array_equal(opened.read("a.f32"), weights().numpy())
    assert opened.read("q.Q8_0").nbytes == told["q.Q8_0"][1]


def test_gguf_types_are_those_of_the_reference() -> None:
    """Block sizes agree with the reference implementation's for every type known here, and none of its is missing."""
    theirs = {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    assert {kind: theirs[kind] for kind in gguf.TYPES} == gguf.TYPES


def test_a_base_in_gguf(tmp_path: Path, vault: Vault) -> None:
    """Tensors are found near across files of GGUF and safetensors."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    save_file({"w": weights().half()}, tmp_path / "one" / "model.safetensors")
    kept(vault, tmp_path / "one", tmp_path)
    writer = real_gguf.GGUFWriter(str(tmp_path / "two" / "model.gguf"), "llama")
    writer.add_tensor("w", (weights() + 1e-5).half().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "out").rename(tmp_path / "first")
    kept(vault, tmp_path / "two", tmp_path)
    assert vault.manifest("two").bases == ("one",)


def gguf_header(tensors: list[tuple[str, list[int], int, int]], data: int, pairs: bytes = b"", count: int = 0) -> bytes:
    """A GGUF file, version 3, written by hand: name, dimensions, type, offset of each tensor, and bytes of data."""
    body = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), count) + pairs
    for name, shape, kind, offset in tensors:
        body += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
        body += struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)
    return body + bytes(-len(body) % 32) + bytes(data)


HOSTILE_GGUF = {
    "past the end": gguf_header([("a", [100], 0, 0)], 399),
    "overlap": gguf_header([("a", [100], 0, 0), ("b", [100], 0, 32)], 800),
    "twice": gguf_header([("a", [8], 0, 0), ("a", [8], 0, 32)], 64),
    "huge shape": gguf_header([("a", [2**63, 2**63], 0, 0)], 64),
    "huge offset": gguf_header([("a", [8], 0, 2**64 - 8)], 64),
    "half a block": gguf_header([("a", [33], 8, 0)], 64),
    "dimensions": gguf_header([("a", [1] * 17, 0, 0)], 64),
    "tensors": struct.pack("<4sIQQ", b"GGUF", 3, 2**40, 0) + bytes(64),
    "pairs": struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**60) + bytes(64),
    "long text": gguf_header([], 64, struct.pack("<Q", 2**62), 1),
    "long array": gguf_header([], 64, struct.pack("<QcIIQ", 1, b"k", 9, 8, 2**61), 1),
    "nested": gguf_header([], 640, struct.pack("<Qc", 1, b"k") + struct.pack("<IIQ", 9, 9, 1) * 20, 1),
    "type": gguf_header([], 64, struct.pack("<QcI", 1, b"k", 77), 1),
    "alignment": gguf_header([], 64, struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", 4, 0), 1),
}


@pytest.mark.parametrize("what", HOSTILE_GGUF)
def test_hostile_gguf_headers(what: str) -> None:
    """A header that contradicts the file is refused with a reason, at once."""
    with pytest.raises(BadTensorFile):
        cut(HOSTILE_GGUF[what], "m.gguf")


def test_gguf_cut_anywhere(tmp_path: Path) -> None:
    """A GGUF file that ends anywhere within its header or tensors is refused, and never read beyond."""
    data = quantised(tmp_path / "m.gguf").read_bytes()
    for length in [*range(24, 4000, 97), *range(4000, len(data) - 32, 50_001)]:
        with pytest.raises(BadTensorFile):
            cut(data[:length], "m.gguf")


def test_gguf_odd_but_whole() -> None:
    """Empty tensors, unknown types, gaps, trailing bytes, other versions: all kept."""
    odd = gguf_header([("b", [8], 0, 64), ("a", [0], 0, 0), ("new", [5], 99, 128)], 200)
    start = len(odd) - 200
    assert [each for each in cut(odd, "m.gguf") if each.layout] == [Cut(start + 64, 32, 4, start + 64)]
    cut(gguf_header([], 100) + b"tail", "m.gguf")
    for other in (b"", b"GGUF", b"GGUF" + struct.pack("<IQQ", 1, 5, 5) + bytes(9), b"not one at all" * 9):
        assert all(each.layout == 0 for each in cut(other, "m.gguf"))


@pytest.mark.parametrize("ending", [".bin", ".pt"])
def test_torch_checkpoints(tmp_path: Path, vault: Vault, ending: str) -> None:
    """What torch.save writes comes back byte for byte, and its storages are known for what they are."""
    folder = tmp_path / "m"
    folder.mkdir()
    state = {
        "bf16": weights(1).bfloat16(),
        "f32": weights(2),
        "f16": weights(3).half(),
        "f64": weights(4, 90, 90).double(),
        "i8": (weights(5) * 1000).to(torch.int8),
        "ids": torch.arange(9000),
        "none": torch.empty(0),
        "step": 7,
    }
    state["tied"] = state["bf16"]
    state["view"] = state["f32"][3:5]
    path = folder / f"pytorch_model{ending}"
    torch.save(state, path)
    data = path.read_bytes()
    sizes = {(each.length, each.layout) for each in cut(data, path.name) if each.length > 9000}
    assert sizes >= {(153_600, 2), (307_200, 4), (64_800, 8), (76_800, 1), (72_000, 0)}
    assert kept(vault, folder, tmp_path) < 0.85


def test_legacy_checkpoints_and_pickles(tmp_path: Path, vault: Vault) -> None:
    """A pickle from before the zip files, and any pickle, come back as bytes; none is executed."""
    folder = tmp_path / "m"
    folder.mkdir()
    torch.save({"w": weights()}, folder / "old.pt", _use_new_zipfile_serialization=False)

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return open, (str(tmp_path / "executed"), "w")  # what a pickle may call

    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Evil()))
        archive.writestr("m/data/0", numbers(20_000, "BF16", 1))
    found = cut((folder / "pytorch_model.bin").read_bytes(), "pytorch_model.bin")
    assert [each.layout for each in found if each.length == 40_000] == [2]  # tried, for nothing says what it is
    kept(vault, folder, tmp_path)
    assert not (tmp_path / "executed").exists()


def test_hostile_checkpoints(tmp_path: Path) -> None:
    """Zip files that are cut, scrambled or lie are kept as plain bytes; nothing raises, nothing is lost."""
    torch.save({"w": weights(0, 64, 64)}, tmp_path / "m.pt")
    data = (tmp_path / "m.pt").read_bytes()
    chance = random.Random(0)
    for length in range(4, len(data), 997):
        cut(data[:length], "m.pt")
    for _ in range(300):
        harmed = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            harmed[chance.choice([chance.randrange(400), -1 - chance.randrange(900)])] = chance.randrange(256)
        cut(bytes(harmed), "m.pt")
    assert checkpoint.cuts(io.BytesIO(b"PK\x05\x06" + bytes(18)), 22) is None


def test_safetensors_by_its_writer(tmp_path: Path, vault: Vault) -> None:
    """Shards by the reference writer: zero-size, every width, fp8, and metadata."""
    folder = tmp_path / "m"
    folder.mkdir()
    state = {
        "a": weights(1).bfloat16(),
        "b": weights(2),
        "c": weights(3).half(),
        "none": torch.empty(0, 3),
        "fp8": weights(4).to(torch.float8_e4m3fn),
        "flag": torch.ones(9, dtype=torch.bool),
        "one": torch.tensor(1.5),
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert kept(vault, folder, tmp_path) < 0.85


def test_shifted_content_is_stored_once(tmp_path: Path, vault: Vault) -> None:
    """Bytes put before a file's move its chunks and change few of them: the rest is stored once."""
    data = random.Random(1).randbytes(12 << 20)
    for name, before in (("one", b""), ("two", b"something new at the front")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "weights.pt").write_bytes(before + data)
        (folder / "config.json").write_text("{}")
    one, two = vault.preserve(tmp_path / "one", "one"), vault.preserve(tmp_path / "two", "two")
    held = {digest for file in one.files for digest, _ in file.segments}
    new = sum(size for file in two.files for digest, size in file.segments if digest not in held)
    assert new < 5 << 20
    vault.restore("two", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "two")


def test_chunks_by_kernel_and_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the same ends, of the lengths they should have, also where nothing ends a chunk."""
    data = random.Random(2).randbytes(9 << 20) + bytes(9 << 20) + b"end"
    found = [each.length for each in cut(data, "file")]
    assert all(chunks.LEAST < length <= chunks.MOST for length in found[:-1])
    assert chunks.MOST in found
    if kernels.kernel is not None:
        chance = random.Random(3)
        for bits in (1, 5, 12):
            part = data[:700_000]
            start = chance.randrange(32, 5000)
            assert chunks.find(part, start, 600_000, bits) == chunks.find_numpy(part, start, 600_000, bits)
        with pytest.raises(ValueError, match="gear_find"):
            kernels.kernel.gear_find(b"short", chunks.GEAR, 32, 64, 5)
    monkeypatch.setattr(chunks, "kernel", None)
    assert [each.length for each in cut(data, "file")] == found


def test_chunks_stay_where_they_were() -> None:
    """The places in a fixed text are these: another table or rule would store everything a second time."""
    data = b"".join(hashlib.sha256(number.to_bytes(4, "little")).digest() for number in range(1 << 17))
    assert [each.length for each in cut(data, "file")] == PLACES


PLACES = [1603487, 378631, 556736, 1655450]
