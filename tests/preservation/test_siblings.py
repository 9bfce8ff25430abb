"""Siblings wake over a base that is awake: fewer bytes read, the same bits, nothing held once the base has gone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emeritus.blobs.local import LocalStore
from emeritus.preservation.cache import Cache
from emeritus.preservation.siblings import Bases
from emeritus.preservation.sources import Loading, VaultSource
from emeritus.vault.vault import Vault


class Counting(LocalStore):
    """A store that counts what is read."""

    read = 0

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        found = super().get(key, start, length)
        self.read += len(found)
        return found

    def read_into(self, key: str, start: int, out: memoryview) -> None:
        super().read_into(key, start, out)
        self.read += len(out)


def save(folder: Path, moved: float) -> Path:
    """A model's folder; `moved`: how far its weights lie from the base's."""
    chance = np.random.default_rng(1)
    tensors = {f"layer.{n}.weight": chance.normal(0, 0.02, (512, 1024)).astype(np.float32) for n in range(4)}
    for tensor in tensors.values():
        tensor += np.random.default_rng(2).normal(0, moved, tensor.shape).astype(np.float32) if moved else 0
    folder.mkdir()
    save_file(
        {name: torch.from_numpy(tensor).bfloat16() for name, tensor in tensors.items()}, folder / "model.safetensors"
    )
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault that holds `wren`, and `robin` as differences from it."""
    made = Vault.create(LocalStore(tmp_path / "vault"))
    made.preserve(save(tmp_path / "wren", 0.0), "wren")
    assert made.preserve(save(tmp_path / "robin", 2e-5), "robin").bases == ("wren",)
    return made


def opened(tmp_path: Path, bases: Bases) -> tuple[Vault, Counting]:
    """The vault, anew: nothing of it is at hand."""
    store = Counting(tmp_path / "vault")
    vault = Vault.at(store)
    vault.look_nearby(bases.find)
    return vault, store


def weights(source: VaultSource, loading: Loading) -> bytes:
    """The bytes of the tensors that an engine would be given."""
    if loading == "cache":
        return (source.folder() / "model.safetensors").read_bytes()
    shared = source.shared()
    assert shared is not None
    return b"".join(os.pread(shared.descriptor, each.length, each.offset) for each in shared.tensors)


@pytest.mark.parametrize("base", ["cache", "memory"])
@pytest.mark.parametrize("loading", ["cache", "memory"])
def test_over_a_base_that_is_awake(base: Loading, loading: Loading, vault: Vault, tmp_path: Path) -> None:
    """The same bits as without it, for the bytes of the differences alone; without it again once it sleeps."""
    read, found = [], []
    held = None
    bases = Bases()
    for turn in ("alone", "over", "again"):
        vault, store = opened(tmp_path, bases)
        if turn == "over":
            held = VaultSource(vault, "wren", Cache(tmp_path / "bases"), base, bases=bases)
            weights(held, base)
        if turn == "again":
            assert held is not None
            held.release()
        store.read = 0
        source = VaultSource(vault, "robin", Cache(tmp_path / turn), loading, bases=bases)
        found.append(weights(source, loading))
        read.append(store.read)
        source.release()
    assert found[0] == found[1] == found[2]
    stored = vault.manifest("robin").stored_bytes
    assert read[1] < stored + 200_000
    assert read[0] > read[1] + vault.manifest("wren").stored_bytes // 2
    assert read[2] == read[0]


def test_a_base_that_is_damaged_where_it_lies(vault: Vault, tmp_path: Path) -> None:
    """What is decoded against wrong bytes is noticed, and decoded against the vault's own."""
    bases = Bases()
    wren = VaultSource(vault, "wren", Cache(tmp_path / "cache"), bases=bases)
    path = wren.folder() / "model.safetensors"
    right = path.read_bytes()
    path.write_bytes(right[:1000] + bytes(len(right) - 1000))
    vault, _ = opened(tmp_path, bases)
    robin = VaultSource(vault, "robin", Cache(tmp_path / "other"), bases=bases)
    assert (robin.folder() / "model.safetensors").read_bytes() == (
        tmp_path / "robin" / "model.safetensors"
    ).read_bytes()


def test_nothing_is_held_once_the_base_has_gone(vault: Vault, tmp_path: Path) -> None:
    """Memory that a base lent is let go of with it."""

    def held() -> int:
        links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return sum("memfd:emeritus" in each for each in links)

    before = held()
    bases = Bases()
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory", bases=bases)
    shared = source.shared()
    assert shared is not None
    shared.close()  # the worker has it now
    assert held() == before + 1
    del source
    assert held() == before
