"""vLLM's loader plugin against a stand-in of the public interface (see vllm_stand_in.py): every bit, or an error."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
import vllm_stand_in as stand_in
from safetensors.torch import save_file

from emeritus.blobs.local import LocalStore
from emeritus.errors import BadSettings, DestinationNotEmpty, EngineFailed, IntegrityError, NotFound
from emeritus.integrations import vllm as plugin
from emeritus.vault.vault import Vault

STATE = {
    "up": torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16),
    "down": torch.randn(3, 4, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16),
    "norm": torch.randn(4, generator=torch.Generator().manual_seed(3)),
}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in in vLLM's place, and the plugin as vLLM finds it: by its entry point, called twice."""
    for name, module in stand_in.install().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(stand_in, "LOADERS", {})
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    register = EntryPoint("emeritus", groups["vllm.general_plugins"]["emeritus"], "vllm.general_plugins").load()
    register()
    register()
    yield
    sys.modules.pop("emeritus.integrations.vllm.loader", None)


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., str]:
    """Preserve a small checkpoint; the vault's address."""

    def keep(state: dict[str, torch.Tensor] = STATE) -> str:
        folder = tmp_path / "model"
        (folder / "code").mkdir(parents=True)
        save_file(state, folder / "model.safetensors")
        (folder / "config.json").write_text('{"model_type": "own"}')
        (folder / "code" / "own.py").write_text("pass\n")
        Vault.create(LocalStore(tmp_path / "vault")).preserve(folder, "wren")
        return str(tmp_path / "vault")

    return keep


def loader(extra: Any) -> stand_in.BaseModelLoader:
    """As vLLM makes it."""
    return stand_in.get_model_loader(stand_in.LoadConfig("emeritus", extra))


def test_the_model_gets_every_bit(vllm: None, kept: Callable[..., str]) -> None:
    """A model that fuses layers is filled with what the checkpoint has, and can be filled again."""
    found, config = loader({"vault": kept(), "resident": "wren"}), stand_in.ModelConfig("folder")
    found.download_model(config)
    model = found.load_model(stand_in.Fused, config)
    assert torch.equal(model.both, torch.cat([STATE["up"], STATE["down"]]))
    assert torch.equal(model.norm, STATE["norm"])
    model.norm.data.zero_()
    found.load_weights(model, config)
    assert torch.equal(model.norm, STATE["norm"])


def test_a_home_is_as_good_as_a_vault(vllm: None, kept: Callable[..., str], tmp_path: Path) -> None:
    """A home's settings say where its vault is."""
    address = kept()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "emeritus.toml").write_text(f"vault_url = {json.dumps(address)}\n")
    config = stand_in.ModelConfig("folder")
    model = loader({"vault": str(tmp_path / "home"), "resident": "wren"}).load_model(stand_in.Fused, config)
    assert torch.equal(model.norm, STATE["norm"])


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"vault": "x"},
        {"vault": "x", "resident": 3},
        {"vault": "x", "resident": ""},
        {"vault": "x", "resident": "wren", "more": "1"},
        None,
    ],
)
def test_a_loader_that_is_not_told_what(vllm: None, extra: Any) -> None:
    """Too little or too much said is one clear error, when vLLM makes the loader."""
    with pytest.raises(BadSettings, match="which resident"):
        loader(extra)


def test_what_is_not_there_is_found_out_first(vllm: None, kept: Callable[..., str], tmp_path: Path) -> None:
    """No such resident, no such vault: said before a model is made."""
    for extra in ({"vault": kept(), "resident": "lark"}, {"vault": str(tmp_path / "none"), "resident": "wren"}):
        with pytest.raises(NotFound):
            loader(extra).download_model(stand_in.ModelConfig("folder"))


def test_a_model_that_was_not_given_all(vllm: None, kept: Callable[..., str]) -> None:
    """A parameter that no tensor set is named; where scales are made later, vLLM knows better."""
    found = loader({"vault": kept({"up": STATE["up"], "down": STATE["down"]}), "resident": "wren"})
    with pytest.raises(EngineFailed, match=r"lack 1 .*, norm among them"):
        found.load_model(stand_in.Fused, stand_in.ModelConfig("folder"))
    found.load_model(stand_in.Fused, stand_in.ModelConfig("folder", quantization="fp8"))


def test_damage_reaches_no_model(vllm: None, kept: Callable[..., str], tmp_path: Path) -> None:
    """A flipped bit is an error, whatever the model had taken before."""
    address = kept()
    for pack in (tmp_path / "vault" / "packs").rglob("*.pack"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
    with pytest.raises(IntegrityError):
        loader({"vault": address, "resident": "wren"}).load_model(stand_in.Fused, stand_in.ModelConfig("folder"))


def test_a_folder_for_vllm(kept: Callable[..., str], tmp_path: Path) -> None:
    """Everything but weights is written, and the command names folder, format and resident; nothing is overwritten."""
    folder = tmp_path / "for vllm"
    program = [sys.executable, "-m", "emeritus.integrations.vllm", kept(), "wren", str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    words = shlex.split(done.stdout)
    assert words[:5] == ["vllm", "serve", str(folder), "--load-format", "emeritus"]
    assert json.loads(words[6]) == {"vault": str(tmp_path / "vault"), "resident": "wren"}
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.json", "code/own.py"}
    with pytest.raises(DestinationNotEmpty):
        plugin.prepare(tmp_path / "vault", "wren", folder)
    again = subprocess.run(program, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "EM205" in again.stderr


def test_importing_the_plugin_imports_no_runtime() -> None:
    """vLLM imports it in each of its processes before anything else."""
    program = "import sys, emeritus.integrations.vllm; print(sorted({'torch', 'vllm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
