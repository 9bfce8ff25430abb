"""A resident as a plain model of `transformers`: the lines in docs/loading.md run, and give the bits of the files."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from emeritus.blobs.local import LocalStore
from emeritus.errors import NotFound, VaultLocked
from emeritus.integrations.opening import weights
from emeritus.integrations.transformers import from_vault
from emeritus.vault.keys.cipher import Secret
from emeritus.vault.vault import Vault

TEXT = (Path(__file__).parents[2] / "docs" / "loading.md").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a vault that holds the demonstration's model as `wren`; the current folder."""
    Vault.create(LocalStore(tmp_path / "home" / "vault")).preserve(demo_model, "wren")
    (tmp_path / "home" / "emeritus.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_document_s_lines_run(home: Path, demo_model: Path) -> None:
    """Both examples, one after the other; the model's logits are those of `from_pretrained`, bit for bit."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    names: dict[str, Any] = {}
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 2
    for number, code in enumerate(examples):
        (home / f"example{number}.py").write_text(code)
        names = runpy.run_path(f"example{number}.py", names)
    model, tokenizer = names["model"], names["tokenizer"]
    plain: Any = AutoModelForCausalLM.from_pretrained(demo_model, dtype="auto")
    ids = tokenizer("What is kept?", return_tensors="pt")["input_ids"]
    assert torch.equal(
        ids, AutoTokenizer.from_pretrained(demo_model)("What is kept?", return_tensors="pt")["input_ids"]
    )
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, plain(ids).logits)
    assert not list(home.rglob("*.safetensors"))
    assert model.generation_config.eos_token_id == plain.generation_config.eos_token_id
    assert names["text"] == tokenizer.decode(plain.generate(**names["asked"], max_new_tokens=20)[0])


def test_another_type(home: Path) -> None:
    """A dtype is the library's to convert to."""
    model, _ = from_vault(home / "home" / "vault", "wren", dtype="float32")
    assert {each.dtype for each in model.parameters()} == {torch.float32}


def test_nobody_of_that_name(home: Path) -> None:
    """An unknown resident is said to be none."""
    with pytest.raises(NotFound):
        from_vault(home / "home", "lark")


def test_an_encrypted_vault_opens_by_the_home_s_settings(home: Path, demo_model: Path, tmp_path: Path) -> None:
    """With the key file that the home names every bit comes back; the bare vault, told nothing, stays locked."""
    key, vault = tmp_path / "key", tmp_path / "locked"
    key.write_bytes(bytes(range(64)))
    secret = Secret.key_file(key.read_bytes())
    Vault.create(LocalStore(vault), secret=secret).preserve(demo_model, "wren")
    said = f"vault_url = {json.dumps(str(vault))}\nvault_key_file = {json.dumps(str(key))}\n"
    (home / "home" / "emeritus.toml").write_text(said)
    resident = weights(home / "home", "wren").tensors()
    plain = Vault.at(LocalStore(home / "home" / "vault")).open("wren").checkpoint()
    found, expected = resident.read_all(), plain.read_all()
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }
    with pytest.raises(VaultLocked):
        weights(vault, "wren").tensors().read_all()
