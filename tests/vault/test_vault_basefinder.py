"""Bases found without labels of descent: really trained pairs, resized vocabularies, any order, and nothing near."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from vault_differences import bf16
from vault_models import contents, numbers, safetensors, tensor

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError
from emeritus.vault.packs.pack import pack_key
from emeritus.vault.parity.groups import Groups
from emeritus.vault.vault import Vault
from emeritus.vault.writing import sketch
from emeritus.vault.writing.sketches import ALIKE

Bits = npt.NDArray[np.uint16]


def save(folder: Path, weights: dict[str, Bits]) -> Path:
    """A model's folder of bf16 tensors."""
    folder.mkdir(parents=True)
    header, at = {}, 0
    for name, bits in weights.items():
        header[name] = tensor("BF16", list(bits.shape), at, at + bits.nbytes)
        at += bits.nbytes
    data = b"".join(bits.tobytes() for bits in weights.values())
    (folder / "model.safetensors").write_bytes(safetensors(header, data))
    (folder / "config.json").write_text("{}")
    return folder


def load(path: Path) -> dict[str, Bits]:
    """The tensors of a safetensors file whose numbers are all bf16."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    found = {}
    for name, each in header.items():
        begin, end = each["data_offsets"]
        found[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], "<u2").reshape(each["shape"])
    return found


def weights(seed: int, rows: int = 1024) -> dict[str, Bits]:
    """An embedding, a projection and a small norm."""
    return {
        "embed": np.frombuffer(numbers(rows * 128, "BF16", seed), "<u2").reshape(rows, 128),
        "proj": np.frombuffer(numbers(40_000, "BF16", seed + 1), "<u2").reshape(200, 200),
        "norm": np.frombuffer(numbers(128, "BF16", seed + 2), "<u2"),
    }


def tuned(before: dict[str, Bits], sigma: float = 5e-5, seed: int = 9) -> dict[str, Bits]:
    """The weights after an update of that size."""
    chance = np.random.default_rng(seed)
    moved = {}
    for name, bits in before.items():
        values = (bits.astype(np.uint32) << 16).view(np.float32)
        moved[name] = bf16((values + chance.normal(0, sigma, values.shape)).astype(np.float32))
    return moved


def restored(vault: Vault, name: str, model: Path, out: Path) -> None:
    """The resident comes back byte for byte."""
    vault.restore(name, out)
    assert contents(out) == contents(model)
    shutil.rmtree(out)


@pytest.mark.parametrize("first", ["base", "tune"])
def test_near_models_are_kept_as_differences_in_any_order(tmp_path: Path, vault: Vault, first: str) -> None:
    """Whichever of two near models comes first is the base of the other; both come back, and the saving is real."""
    base = save(tmp_path / "base", weights(1))
    tune = save(tmp_path / "tune", tuned(weights(1)))
    order = [("base", base), ("tune", tune)]
    order = order if first == "base" else order[::-1]
    kept = [vault.preserve(folder, name) for name, folder in order]
    assert [manifest.bases for manifest in kept] == [(), (order[0][0],)]
    assert kept[1].stored_bytes < 0.3 * kept[0].stored_bytes
    assert vault.verify().ok
    for name, folder in order:
        restored(Vault.at(vault.store), name, folder, tmp_path / "out")


def test_a_base_among_many(tmp_path: Path, vault: Vault) -> None:
    """The base is found among strangers, and a tune of a tune rests on the first one: a chain has one link."""
    for seed in (100, 200, 300, 400):
        vault.preserve(save(tmp_path / f"m{seed}", weights(seed)), f"m{seed}")
    one = vault.preserve(save(tmp_path / "one", tuned(weights(200))), "one")
    two = save(tmp_path / "two", tuned(tuned(weights(200)), seed=10))
    assert (one.bases, vault.preserve(two, "two").bases) == (("m200",), ("m200",))
    restored(Vault.at(vault.store), "two", two, tmp_path / "out")


def test_nothing_near(tmp_path: Path, vault: Vault) -> None:
    """Unrelated weights of equal shapes, and constant tensors, rest on nobody."""
    flat = {"ones": np.full((200, 200), 0x3F80, np.uint16), "zeros": np.zeros((300, 300), np.uint16)}
    for number in range(3):
        model = weights(1000 * number) | {name: bits[: 150 + number] for name, bits in flat.items()}
        assert vault.preserve(save(tmp_path / f"m{number}", model), f"m{number}").bases == ()


@pytest.mark.parametrize("rows", [(1024, 1100), (1100, 1024)])
def test_a_resized_vocabulary_shares_its_rows(tmp_path: Path, vault: Vault, rows: tuple[int, int]) -> None:
    """An embedding with rows added or taken away is a difference in the rows both have."""
    most = weights(5, max(rows))
    before = most | {"embed": most["embed"][: rows[0]]}
    after = tuned(most | {"embed": most["embed"][: rows[1]]})
    alone = vault.preserve(save(tmp_path / "before", before), "before")
    found = vault.preserve(save(tmp_path / "after", after), "after")
    assert found.bases == ("before",)
    assert found.stored_bytes < 0.4 * alone.stored_bytes
    restored(Vault.at(vault.store), "after", tmp_path / "after", tmp_path / "out")


@pytest.mark.parametrize("how", ["continued", "merged"])
def test_really_trained_pairs(tmp_path: Path, vault: Vault, demo_model: Path, how: str) -> None:
    """A model trained further by AdamW, and one with a LoRA merged, rest on the model they came from."""
    trained = train(demo_model, tmp_path / "trained", merged=how == "merged")
    vault.preserve(demo_model, "first")
    found = vault.preserve(trained, "second")
    assert found.bases == ("first",)
    assert found.stored_bytes < 0.6 * vault.manifest("first").stored_bytes
    restored(Vault.at(vault.store), "second", trained, tmp_path / "out")


def train(source: Path, dest: Path, merged: bool) -> Path:
    """A few steps of training on a line of text: of all weights, or of LoRA pairs on every projection, merged."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    asked = "What do you wish to be kept of you?"
    ids = AutoTokenizer.from_pretrained(source)(asked, return_tensors="pt")["input_ids"]
    pairs = {}
    for name, module in list(model.named_modules()):
        if merged and isinstance(module, torch.nn.Linear) and name.endswith("_proj"):
            torch.manual_seed(len(pairs))
            down = torch.nn.Parameter(torch.randn(4, module.in_features) / module.in_features**0.5)
            up = torch.nn.Parameter(torch.zeros(module.out_features, 4))
            pairs[module] = (up, down)
            module.register_forward_hook(lambda _, given, out, u=up, d=down: out + 2 * (given[0] @ d.T) @ u.T)
    taught = [each for pair in pairs.values() for each in pair] or list(model.parameters())
    optimiser = torch.optim.AdamW(taught, lr=2e-4 if merged else 1e-5)
    for _ in range(4):
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    with torch.no_grad():
        for module, (up, down) in pairs.items():
            module._forward_hooks.clear()
            module.weight += 2 * up @ down
    model.to(torch.bfloat16).save_pretrained(dest)
    return dest


def test_lost_and_damaged_sketches_are_made_again(tmp_path: Path, vault: Vault) -> None:
    """A sketch that is gone, cut short or scrambled is made again from the packs, the same bytes, and serves."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    key = sketch.sketch_key("base")
    whole = vault.store.get(key)
    for number, harm in enumerate[Callable[[bytes], bytes | None]](
        [lambda _: None, lambda data: data[:50], lambda data: data[:100] + bytes(8) + data[108:], lambda _: b""]
    ):
        harmed = harm(whole)
        vault.store.delete(key)
        if harmed is not None:
            vault.store.put(key, harmed)
        name = f"tune{number}"
        assert Vault.at(vault.store).preserve(save(tmp_path / name, tuned(weights(1), seed=number)), name).bases == (
            "base",
        )
        assert vault.store.get(key) == whole


def test_a_sketch_that_lies_costs_nothing_but_size(tmp_path: Path, vault: Vault) -> None:
    """Sampled numbers of another tensor lead to a base that is measured, found useless, and not used."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    other = weights(77)
    lying = Vault.create(LocalStore(tmp_path / "lying"))
    lying.preserve(save(tmp_path / "other", other), "other")
    data = lying.store.get(sketch.sketch_key("other"))
    vault.store.put(sketch.sketch_key("base"), data)
    model = save(tmp_path / "tune", tuned(other))
    assert vault.preserve(model, "tune").bases == ()
    restored(vault, "tune", model, tmp_path / "out")


def test_a_damaged_base_is_not_used(tmp_path: Path, vault: Vault) -> None:
    """Where the near tensor's packs are damaged the new model stands alone."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    for key in list(vault.store.list("packs/")):
        data = bytearray(vault.store.get(key))
        data[1000:1100] = bytes(100)
        vault.store.put(key, bytes(data))
    tune = save(tmp_path / "tune", tuned(weights(1)))
    assert "embed" in load(tune / "model.safetensors")
    again = Vault.at(vault.store)
    again.preserve(tune, "tune")
    restored(again, "tune", tune, tmp_path / "out")


def test_a_base_that_is_stored_again_stands_alone(tmp_path: Path, vault: Vault) -> None:
    """A base whose packs were lost is never stored again as a difference: those that rest on it would be lost."""
    base, near = save(tmp_path / "base", weights(1)), save(tmp_path / "near", tuned(weights(1), 1e-4, seed=3))
    tune = save(tmp_path / "tune", tuned(weights(1)))
    packs = set(vault.store.list("packs/"))
    first = vault.preserve(base, "base")
    packs = set(vault.store.list("packs/")) - packs
    assert vault.preserve(tune, "tune").bases == ("base",)
    for key in packs:
        vault.store.delete(key)
    again = Vault.at(vault.store)
    assert again.preserve(near, "near").bases == ()  # the base cannot be read
    assert again.preserve(base, "base").same_tree(first)
    restored(Vault.at(vault.store), "tune", tune, tmp_path / "out")
    restored(Vault.at(vault.store), "base", base, tmp_path / "out")


def test_bases_of_held_segments_are_named(tmp_path: Path, vault: Vault) -> None:
    """A model that shares a difference with another one names the resident that both rest on."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    tune = tuned(weights(1))
    vault.preserve(save(tmp_path / "tune", tune), "tune")
    twin = vault.preserve(save(tmp_path / "twin", tune), "twin")
    assert (twin.bases, twin.stored_bytes) == (("base",), vault.manifest("tune").stored_bytes)


def test_a_base_gets_more_parity(tmp_path: Path, vault: Vault) -> None:
    """The packs of a base have more shards than others, and more the more residents rest on it."""
    base = vault.preserve(save(tmp_path / "base", weights(1)), "base")
    counts = []
    for number in range(2):
        counts.append([group.shards for group in Groups(vault.store).refresh().covering(base.packs)])
        vault.preserve(save(tmp_path / f"t{number}", tuned(weights(1), seed=number)), f"t{number}")
    counts.append([group.shards for group in Groups(vault.store).refresh().covering(base.packs)])
    assert counts == [[2], [3], [4]]
    assert vault.verify().ok


def test_sketches_are_small_and_tell_their_bases(tmp_path: Path, vault: Vault) -> None:
    """At most a kilobyte for a tensor however large, and a resident that is all differences has an empty one."""
    longest = sketch.Stretch(0, 1 << 33, 2)
    taken = sketch.take(longest, lambda offset, length: bytes(length))
    assert sketch.ROW.itemsize + taken.nbytes <= 1024
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    vault.preserve(save(tmp_path / "tune", tuned(weights(1))), "tune")
    head = sketch.parse_head(vault.store.get(sketch.sketch_key("tune")), "tune")
    assert (head.bases, len(head.rows)) == (("base",), 0)
    with pytest.raises(IntegrityError):
        sketch.parse_head(b"EMSKET\0\0" + bytes(200), "x")


def test_the_format_s_sketch() -> None:
    """The sketch in docs/format.md is what this version writes, byte for byte, and reads."""
    bits = np.array([15360 + 37 * i % 311 for i in range(6000)], "<u2").tobytes()
    taken = sketch.take(sketch.Stretch(8, len(bits), 2), lambda offset, length: bits[offset - 8 : offset - 8 + length])
    first = int.from_bytes(bytes(range(8)), "little")
    row = (8, len(bits), first, sketch.words(taken).tolist(), 1, 2, len(taken) // sketch.RUN, 0)
    data = sketch.pack(bytes(range(32)), ["wren"], np.array([row], sketch.ROW), [taken])
    text = files("emeritus.vault.standalone").joinpath("FORMAT.txt").read_text()
    told = text.split("begins 00 01 ... 07:")[1].split("##")[0]
    assert bytes.fromhex("".join(told.split())) == data
    head = sketch.parse_head(data, "x")
    assert (head.manifest, head.bases, head.rows["length"].tolist()) == (bytes(range(32)), ("wren",), [12000])


def test_words_that_tell_nothing_are_none(tmp_path: Path) -> None:
    """Numbers that are nearly all equal make no word; unrelated ones make words far apart, near ones words alike."""
    flat = np.full(64, 0x3F80, np.uint16)
    assert sketch.words(flat).tolist() == [0] * sketch.WORDS
    flat[:10] += 1
    assert sketch.words(flat)[0] == 0
    sampled = [np.frombuffer(numbers(384, "BF16", seed), "<u2") for seed in range(200)]
    words = np.array([sketch.words(each) for each in sampled])
    apart = np.bitwise_count(words[:, None] ^ words[None]) + np.uint8(64) * np.eye(200, dtype=np.uint8)[:, :, None]
    assert apart.min() > ALIKE
    near = sketch.words(np.frombuffer(tuned({"t": sampled[0]}, 1e-3)["t"], "<u2"))
    assert np.bitwise_count(near ^ words[0]).max() <= ALIKE


@pytest.fixture
def baseless(tmp_path: Path, vault: Vault) -> Path:
    """A model of which the vault holds differences, but no base any more."""
    before = set(vault.store.list("packs/"))
    vault.preserve(save(tmp_path / "base", weights(1) | {"more": weights(9)["norm"]}), "base")
    lost = set(vault.store.list("packs/")) - before
    (tune := save(tmp_path / "tune", tuned(weights(1)))).joinpath("config.json").write_text('{"tuned": true}')
    assert vault.preserve(tune, "tune").bases == ("base",)
    for key in lost:
        vault.store.delete(key)
    return tune


def test_preserving_again_heals_what_lost_its_base(tmp_path: Path, vault: Vault, baseless: Path) -> None:
    """Weights of which only differences are left are not held: the same bytes again are stored by themselves."""
    Vault.at(vault.store).preserve(baseless, "tune")
    restored(Vault.at(vault.store), "tune", baseless, tmp_path / "out")


def test_segments_that_also_lie_as_differences_from_nothing(tmp_path: Path, vault: Vault, baseless: Path) -> None:
    """Whichever pack comes first in the listing, a segment stored again counts, not the one whose base is lost."""
    for number in range(6):
        (baseless / "config.json").write_text(f'{{"number": {number}}}')
        manifest = Vault.at(vault.store).preserve(baseless, f"again{number}")
        assert manifest.bases == ()
    restored(Vault.at(vault.store), "again5", baseless, tmp_path / "out")


def test_a_base_damaged_since_it_was_read(tmp_path: Path, vault: Vault) -> None:
    """A base that is still in memory, and damaged in the store by now, is not rested on."""
    base = vault.preserve(save(tmp_path / "base", weights(1)), "base")
    vault.preserve(save(tmp_path / "first", tuned(weights(1))), "first")
    in_use = Vault.at(vault.store)
    restored(in_use, "first", tmp_path / "first", tmp_path / "out")
    for name in base.packs:
        data = bytearray(vault.store.get(pack_key(name)))
        data[1000::5000] = bytes(len(data[1000::5000]))
        vault.store.put(pack_key(name), bytes(data))
    second = save(tmp_path / "second", tuned(weights(1), seed=4))
    in_use.preserve(second, "second")
    restored(Vault.at(vault.store), "second", second, tmp_path / "out")


def test_what_is_to_be_avoided_becomes_no_base(tmp_path: Path, vault: Vault) -> None:
    """A near resident that is to be avoided is not rested on, another that is as near is."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    assert vault.preserve(save(tmp_path / "one", tuned(weights(1))), "one", avoid=["base"]).bases == ()
    assert vault.preserve(save(tmp_path / "two", tuned(tuned(weights(1)))), "two", avoid=["base"]).bases == ("one",)
