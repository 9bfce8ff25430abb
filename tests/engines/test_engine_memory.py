"""Weights straight from the vault into an engine's memory: the same bits as from files, and nothing left behind."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FolderSource

from emeritus.blobs.local import LocalStore
from emeritus.engines.base import Engine, Message, Sampling, SharedWeights
from emeritus.engines.open import open_engine
from emeritus.errors import EngineFailed, IntegrityError, StoreFull
from emeritus.preservation import memory
from emeritus.preservation.cache import Cache
from emeritus.preservation.sources import VaultSource
from emeritus.vault.reading import opened as vault_opened
from emeritus.vault.vault import Vault

ASK = [Message("user", "Why?")]
ASKED = Sampling(max_tokens=24, temperature=0.0, logprobs=2)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault in a folder."""
    return Vault.create(LocalStore(tmp_path / "vault"))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After each test this process holds no weights."""
    yield
    gc.collect()  # a refused load's memory hangs on the error that told of it
    assert held("self") == []


def held(pid: int | str) -> list[str]:
    """What a process maps or holds open of memory without a name."""
    maps = re.findall(r"memfd:emeritus-\w+", Path(f"/proc/{pid}/maps").read_text(encoding="ascii"))
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return maps + [each for each in links if "memfd:emeritus" in each]


@asynccontextmanager
async def awake(source: Any, tmp_path: Path, **options: Any) -> Any:
    """An embedded engine on one thread."""
    engine: Engine = await open_engine("transformers", options, source, log_dir=tmp_path / "logs", threads=1)
    try:
        yield engine
    finally:
        await engine.close()


@pytest.mark.parametrize("name", ["llama", "gpt2", "demo"])
async def test_the_same_bits_as_from_files(
    name: str, vault: Vault, tmp_path: Path, demo_model: Path, request: pytest.FixtureRequest
) -> None:
    """Answers, log-probabilities, scores and the build are those of the restored files; no weight file is written."""
    folder = demo_model if name == "demo" else request.getfixturevalue(name).path
    vault.preserve(folder, "wren")
    cache = tmp_path / "cache"
    found = []
    for loading in ("memory", "cache"):
        async with awake(VaultSource(vault, "wren", Cache(cache), loading), tmp_path) as engine:
            assert bool(held(engine.pid)) == (loading == "memory")
            assert held("self") == []  # the memory is the worker's alone
            found.append((await engine.answer(ASK, ASKED), await engine.score(["Kept whole."]), engine.build))
        if loading == "memory":
            assert list(cache.rglob("config.json"))
            assert not list(cache.rglob("*.safetensors"))
    assert found[0] == found[1]
    assert found[0][2].config["loading"] == "mapped"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
async def test_damage_in_the_cache_never_answers(
    damage: str, llama: FolderSource, vault: Vault, tmp_path: Path
) -> None:
    """Files are verified while they load; an engine on others is ended before anyone is given it, and made anew."""
    vault.preserve(llama.path, "wren")
    cache = Cache(tmp_path / "cache")
    async with awake(VaultSource(vault, "wren", cache), tmp_path) as engine:
        wanted = await engine.answer(ASK, ASKED)
        first = engine.pid
        weights = next(cache.folder.glob("wren@*/model.safetensors"))
        assert [each.in_use for each in cache.held().entries] == [True]
    assert [each.in_use for each in cache.held().entries] == [False]
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0x10
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    async with awake(VaultSource(vault, "wren", cache), tmp_path) as engine:
        assert engine.pid != first
        assert await engine.answer(ASK, ASKED) == wanted
    assert weights.read_bytes() == (llama.path / "model.safetensors").read_bytes()


async def test_another_type_is_computed_from_memory_too(llama: FolderSource, vault: Vault, tmp_path: Path) -> None:
    """What the quick way cannot give goes through the library's own, from the same memory."""
    vault.preserve(llama.path, "wren")
    asked = replace(ASKED, max_tokens=8)
    found = []
    for source in (VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory"), llama):
        async with awake(source, tmp_path, dtype="float32") as engine:
            assert engine.build.config["loading"] == "from_pretrained"
            found.append(await engine.answer(ASK, asked))
    assert found[0] == found[1]


async def test_absent_tensors_are_named(llama: FolderSource, vault: Vault, tmp_path: Path) -> None:
    """Random numbers never take the place of a tensor that the vault does not have."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lacking"
    shutil.copytree(llama.path, folder)
    state = load_file(folder / "model.safetensors")
    del state["model.norm.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    vault.preserve(folder, "wren")
    with pytest.raises(EngineFailed, match=r"lack 1 .* model\.norm\.weight"):
        async with awake(VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory"), tmp_path):
            pass


async def test_ends_of_answers_are_the_generation_configuration_s(llama: FolderSource, tmp_path: Path) -> None:
    """Ids that only generation_config.json names end an answer, whichever way the weights come."""
    from emeritus.engines.loading import load

    folder = tmp_path / "ends"
    shutil.copytree(llama.path, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [17, 259]}))
    assert load(folder, "auto").end_ids == load(folder, "float32").end_ids == {17, 259}


def test_damage_gives_nothing(llama: FolderSource, vault: Vault, tmp_path: Path) -> None:
    """A flipped bit in a pack is an error, and the memory is given back."""
    vault.preserve(llama.path, "wren")
    for key in list(vault.store.list("packs/")):
        data = bytearray(vault.store.get(key))
        data[len(data) // 2] ^= 1
        vault.store.put(key, data)
    with pytest.raises(IntegrityError):
        VaultSource(Vault.at(vault.store), "wren", Cache(tmp_path / "cache"), "memory").shared()


def test_every_type_at_any_place(vault: Vault, tmp_path: Path) -> None:
    """Each type of number, misaligned and tied ones too, is what the library reads from the file."""
    import torch
    from safetensors.torch import load_file, save_file

    from emeritus.engines.tensors import DTYPES, map_shared

    assert DTYPES.keys() == vault_opened.DTYPES.keys()
    bits = torch.arange(24, dtype=torch.uint8)
    wanted = {name: bits.clone().view(dtype) if name != "BOOL" else bits > 3 for name, dtype in DTYPES.items()}
    wanted |= {"empty": torch.empty(0, 7), "scalar": torch.tensor(1.5), "odd": torch.arange(3, dtype=torch.int8)}
    folder = tmp_path / "m"
    folder.mkdir()
    save_file(wanted, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "other.safetensors").write_bytes((folder / "model.safetensors").read_bytes())  # the library leaves it
    vault.preserve(folder, "wren")
    shared = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory").shared()
    assert shared is not None
    found = map_shared(os.dup(shared.descriptor), shared.tensors)
    expected = load_file(folder / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert found[name].reshape(-1).view(torch.uint8).tolist() == tensor.reshape(-1).view(torch.uint8).tolist()
        if tensor.numel():
            assert found[name].data_ptr() % tensor.element_size() == 0
    found["F32"] += 1  # stays with who wrote it
    again = map_shared(os.dup(shared.descriptor), shared.tensors)
    assert torch.equal(again["F32"].view(torch.uint8), expected["F32"].view(torch.uint8))
    shared.close()


@pytest.mark.parametrize(
    ("near", "cached", "free", "straight"),
    [(True, False, True, True), (True, True, True, False), (True, False, False, False), (False, False, True, False)],
)
def test_the_rule_of_auto(
    near: bool,
    cached: bool,
    free: bool,
    straight: bool,
    llama: FolderSource,
    vault: Vault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Into memory where the vault is near, memory is free and no files lie there already."""
    vault.preserve(llama.path, "wren")
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "auto", near=near)
    if cached:
        source.folder()
    if not free:
        monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    else:
        assert memory.free_bytes() > 1 << 20
    assert (source.shared() is not None) == straight


def test_files_where_the_disk_has_no_room(
    llama: FolderSource, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distant vault is fetched into files, unless these would fill the disk."""
    vault.preserve(llama.path, "wren")
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "auto", near=False)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=usage.total // 20))
    assert isinstance(source.shared(), SharedWeights)


@pytest.mark.parametrize("kind", ["bin", "quantised", "unknown type"])
def test_other_weights_go_by_files(kind: str, llama: FolderSource, vault: Vault, tmp_path: Path) -> None:
    """What only the library's own reading understands is left to it."""
    folder = tmp_path / "other"
    shutil.copytree(llama.path, folder)
    weights = folder / "model.safetensors"
    if kind == "bin":
        weights.rename(folder / "pytorch_model.bin")
    elif kind == "unknown type":
        weights.write_bytes(weights.read_bytes().replace(b'"BF16"', b'"BF61"', 1))
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "fp8"}}))
    vault.preserve(folder, "wren")
    assert VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory").shared() is None


@pytest.mark.parametrize("when", ["at once", "on the way"])
def test_memory_that_cannot_be_had(
    when: str, llama: FolderSource, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory is an error, and what was filled by then is given back."""
    vault.preserve(llama.path, "wren")
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory")
    source.light_folder()
    written: list[int] = []

    def write(descriptor: int, data: memoryview, at: int) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(at)
        return pwrite(descriptor, data[:1], at)  # a short one: the rest is asked for again

    pwrite, limits = os.pwrite, resource.getrlimit(resource.RLIMIT_FSIZE)
    if when == "at once":
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # counts for such memory, too
    else:
        monkeypatch.setattr(os, "pwrite", write)
    try:
        with pytest.raises(StoreFull, match="bytes of weights"):
            source.shared()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bool(written) == (when == "on the way")
