"""Tiny models made by plain transformers, and what a scripted model says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import TEMPLATE, FolderSource, byte_tokenizer

pytest.register_assert_rewrite("emeritus.testing.engine_contract")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """A random Llama in bf16 with a chat template, one safetensors file."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=261,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=259,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    byte_tokenizer(folder, TEMPLATE)
    return FolderSource(folder)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """A random GPT-2 in fp16: tied weights, two shards, no chat template, one extra .bin."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=261,
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_positions=256,
        eos_token_id=259,
        bos_token_id=259,
        initializer_range=0.2,
    )
    GPT2LMHeadModel(config).to(torch.float16).save_pretrained(folder, max_shard_size="150KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    (folder / "training_args.bin").write_bytes(b"not weights")
    byte_tokenizer(folder, None)
    return FolderSource(folder)


@pytest.fixture
def script() -> dict[str, object]:
    """A scripted model that says what the contract needs, over any wire."""
    text = json.loads(Path(__file__).with_name("script.json").read_text(encoding="utf-8"))
    assert isinstance(text, dict)
    return text
