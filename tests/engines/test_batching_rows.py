"""Rows that a network answers at once: each gets the logits of its text alone, whoever joins, leaves or breaks."""

from collections.abc import Generator
from typing import Any

import pytest

from emeritus.engines.base import Sampling
from emeritus.errors import EngineFailed


def drained(steps: Generator[None, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def network(kind: str) -> Any:
    """A small random network of that kind, in fp32, as the worker holds one."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, Qwen2MoeConfig

    from emeritus.engines.loading import Loaded

    torch.manual_seed(5)
    size = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
    moe = {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "num_experts": 4}
    configs: dict[str, Any] = {
        "llama": lambda: LlamaConfig(**size),
        "sliding": lambda: Gemma3TextConfig(**size, head_dim=8, sliding_window=16),
        "experts": lambda: Qwen2MoeConfig(**size, **moe),
    }
    made = AutoModelForCausalLM.from_config(configs[kind]()).eval()
    for weight in made.parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, 0.2)
    return Loaded(made, None, frozenset(), None, "made")


class Companions:
    """Rows that come and go, each compared at every step with its whole text read at once."""

    def __init__(self, model: Any) -> None:
        from emeritus.engines.batching import Rows

        self.model = model
        self.rows = Rows(model.network, 4)
        self.texts: list[list[int]] = []
        self.worst = 0.0
        self.compared = 0

    def join(self, length: int) -> None:
        from emeritus.engines.decoding import prefill

        text = [(7 * length + 5 * n) % 90 for n in range(length)]
        logits, memory = drained(prefill(self.model, text))
        self.compare(text, logits)
        self.rows.join(memory)
        self.texts.append(text)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            for text in self.texts:
                text.append((3 * len(text) + text[-1]) % 90)
            for text, logits in zip(self.texts, self.rows.advance([text[-1] for text in self.texts]), strict=True):
                self.compare(text, logits)

    def leave(self, row: int) -> None:
        self.rows.leave(row)
        last = self.texts.pop()
        if row < len(self.texts):
            self.texts[row] = last

    def compare(self, text: list[int], logits: Any) -> None:
        import torch

        with torch.inference_mode():
            whole = self.model.network(input_ids=torch.tensor([text]), use_cache=False).logits[0, -1]
        self.worst = max(self.worst, float((whole - logits).abs().max()))
        self.compared += 1


ACTS = (
    "join 5, advance 2, join 140, advance 20, join 23, advance 3, leave 0, advance 2, join 9, advance 90, leave 0, "
    "advance 1, leave 1, advance 2, leave 0, join 30, advance 2"
)


@pytest.mark.parametrize("kind", ["llama", "sliding", "experts"])
def test_rows_that_come_and_go(kind: str) -> None:
    """Every row's logits are those of its text alone: after joins, departures, growth, a window left behind."""
    from emeritus.engines.batching import can_batch

    model = network(kind)
    assert can_batch(model)
    among = Companions(model)
    for step in ACTS.split(", "):
        act, value = step.split()
        getattr(among, act)(int(value))
    assert among.compared > 200
    assert among.worst < 1e-4


def test_memory_is_given_back() -> None:
    """When the longest row leaves, its room goes with it; when the last one does, all of it."""
    among = Companions(network("llama"))
    among.join(500)
    among.join(10)
    before = among.rows._columns
    among.leave(0)
    assert among.rows._columns < before / 4
    among.advance(3)
    assert among.worst < 1e-4
    among.leave(0)
    assert among.rows._columns == 0


def test_a_row_that_breaks_the_pass_fails_alone() -> None:
    """An error that one row brings on is its own; the others' next tokens are what they would have been."""
    among = Companions(network("llama"))
    inner = among.model.network.forward

    def brittle(*args: Any, **kwargs: Any) -> Any:
        if 95 in kwargs["input_ids"]:
            raise RuntimeError("no memory for this")
        return inner(*args, **kwargs)

    for length in (12, 5, 20):
        among.join(length)
    among.advance(2)
    among.model.network.forward = brittle
    for text, token in zip(among.texts, (11, 95, 12), strict=True):
        text.append(token)
    first, second, third = among.rows.advance([11, 95, 12])
    assert isinstance(second, RuntimeError)
    among.compare(among.texts[0], first)
    among.compare(among.texts[2], third)
    among.leave(1)
    among.advance(3)
    assert among.worst < 1e-4


def test_a_row_that_is_no_number_spoils_no_other() -> None:
    """Logits that are no numbers end their own answer; whoever takes the row's place afterwards is not touched."""
    import torch

    among = Companions(network("llama"))
    for length in (40, 6):
        among.join(length)
    with torch.inference_mode():
        for layer in among.rows._layers:
            for held in layer.held:
                held[0] = torch.nan
    spoilt, whole = among.rows.advance([3, 4])
    among.texts[0].append(3)
    among.texts[1].append(4)
    assert bool(torch.isnan(spoilt).any())
    among.compare(among.texts[1], whole)
    among.leave(0)
    among.advance(2)
    among.join(20)
    among.advance(2)
    assert among.worst < 1e-4


def test_networks_that_cannot_take_turns_at_once() -> None:
    """A recurrent network, and one whose positions cannot be given, are not batched."""
    from transformers import AutoModelForCausalLM, BloomConfig, MambaConfig

    from emeritus.engines.batching import can_batch
    from emeritus.engines.decoding import chunks
    from emeritus.engines.loading import Loaded

    bloom = BloomConfig(vocab_size=97, hidden_size=32, n_layer=1, n_head=4)
    mamba = MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1)
    for config, parts in ((bloom, True), (mamba, False)):
        model = Loaded(AutoModelForCausalLM.from_config(config), None, frozenset(), None, "made")
        assert not can_batch(model)
        assert chunks(model) == parts


def test_an_answer_that_is_no_number_is_an_error() -> None:
    """What a broken network gives is an error for its own answer, told once."""
    import torch

    from emeritus.engines.batching import Together
    from emeritus.engines.speaking import Asked

    model = network("llama")
    inner = model.network.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        out = inner(*args, **kwargs)
        out.logits[(kwargs["input_ids"] == 50).any(dim=1)] = torch.nan
        return out

    model.network.forward = broken
    together = Together(model, 4)
    together.add(1, Asked([50]), Sampling(max_tokens=24, temperature=0.0))
    found = list(together.step())
    assert [call for call, _ in found] == [1]
    assert isinstance(found[0][1], EngineFailed)
    assert len(together) == 0
