"""Half-precision weights widened as they are used: the scores of a copy in fp32, without the copy."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from emeritus.engines import precision
from emeritus.engines.base import Perturbation
from emeritus.engines.perturbing import Perturbed

SMALL = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}
NAMED = {"gpt2": {"vocab_size": 300, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64}}
IDS = torch.arange(20)[None] * 7 % 300


def build(kind: str, dtype: torch.dtype = torch.bfloat16, **more: Any) -> Any:
    """A small random network of an architecture."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **NAMED.get(kind, SMALL), **more)
    network: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)
    for parameter in network.parameters():  # also those that begin as zeros and ones
        torch.nn.init.normal_(parameter, 0.5 if parameter.dim() == 1 else 0.0, 0.1)
    return network.eval()


def logits(network: Any) -> torch.Tensor:
    """At every position."""
    with torch.inference_mode():
        found: torch.Tensor = network(input_ids=IDS, use_cache=False).logits
    return found


@pytest.mark.parametrize("stretch", [640, 1 << 22])
@pytest.mark.parametrize("kind", sorted(precision.WIDENED))
def test_scores_are_those_of_a_copy(kind: str, stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every architecture that is widened gives what its copy in fp32 gives, and keeps its weights as they are."""
    monkeypatch.setattr(precision, "STRETCH", stretch)
    monkeypatch.setattr(precision, "_room", None)
    network = build(kind)
    wanted = logits(copy.deepcopy(network).float())
    before = {name: (value.data_ptr(), value.clone()) for name, value in network.named_parameters()}
    assert precision.widen(network, prompts=True)
    found = logits(precision.full_precision(network))
    assert found.dtype == torch.float32
    assert float((found - wanted).abs().max()) < 2e-5
    assert float((logits(network).float() - wanted).abs().max()) > 1e-4  # it computes as stored again
    for name, value in network.named_parameters():
        assert value.dtype == torch.bfloat16
        assert value.data_ptr() == before[name][0]
        assert torch.equal(value, before[name][1])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_prompts_are_as_near_to_the_truth(dtype: torch.dtype, tied: bool) -> None:
    """A prompt multiplied in fp32 lies no further from the truth than one multiplied as stored; a token is the same."""
    network = build("llama", dtype, tie_word_embeddings=tied)
    truth, stored = logits(copy.deepcopy(network).float()), logits(network)
    with torch.inference_mode():
        single = network(input_ids=IDS[:, :1], use_cache=False).logits
    assert precision.widen(network, prompts=True)
    found = logits(network)
    assert found.dtype == dtype
    assert float((found.float() - truth).abs().mean()) < 1.2 * float((stored.float() - truth).abs().mean())
    with torch.inference_mode():
        assert torch.equal(network(input_ids=IDS[:, :1], use_cache=False).logits, single)
    assert precision.widen(other := build("llama", dtype, tie_word_embeddings=tied), prompts=False)
    assert torch.equal(logits(other), stored)


def test_what_is_not_known_to_be_right_is_copied() -> None:
    """Another architecture's scores come from a copy, and a network in fp32 is its own."""
    other = build("opt", word_embed_proj_dim=64, ffn_dim=96)
    wanted = logits(copy.deepcopy(other).float())
    assert not precision.widen(other, prompts=True)
    assert torch.equal(logits(precision.full_precision(other)), wanted)
    full = build("llama", torch.float32)
    assert not precision.widen(full, prompts=True)
    assert precision.full_precision(full) is full


def test_a_failed_call_leaves_the_weights_as_they_were() -> None:
    """What is widened for a call is put back when the call fails."""
    network = build("llama")
    assert precision.widen(network, prompts=True)
    stored = logits(network)
    with pytest.raises(IndexError):
        precision.full_precision(network)(input_ids=torch.tensor([[10_000]]))
    assert torch.equal(logits(network), stored)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_perturbed_copy_is_its_own() -> None:
    """A copy made of a widened network has weights of its own, in fp32."""
    network = build("llama")
    assert precision.widen(network, prompts=True)
    perturbed = Perturbed(network)
    wanted = logits(precision.full_precision(network))
    perturbed.become(Perturbation("noise", 0.0))
    assert float((logits(perturbed.network) - wanted).abs().max()) < 2e-5
    perturbed.become(Perturbation("noise", 0.1))
    assert float((logits(perturbed.network) - wanted).abs().max()) > 1e-3
