"""One answer alone, token by token, and one text's score. Runs in a worker process; knows no pipe, no other request.

`decode` is a generator, so that its caller can take turns between answers and drop one between two tokens. Batch is
always 1: a batch of several (`batching`) moves bf16 log-probabilities by hundredths of a nat.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from emeritus.engines.base import Piece, Sampling
from emeritus.engines.loading import Loaded
from emeritus.engines.speaking import Asked, Drawer, Speaker, check_length

CHUNK = 64  # tokens of a prompt in one pass: what those beside it wait for. More are hardly faster on a CPU


def decode(model: Loaded, prompt: Asked, sampling: Sampling) -> Iterator[Piece | None]:
    """The answer's pieces; None where a step made no text certain yet. The first step checks and draws nothing.

    Raises ContextTooLong before anything runs.
    """
    speaker, drawer = Speaker(model, prompt, sampling), Drawer(model, sampling)
    yield None
    prefilled = yield from prefill(model, prompt.ids)
    seen, (logits, cache) = prompt.ids, prefilled
    while True:
        token, logprob = drawer.draw(logits)
        pieces: list[Piece | None] = [*speaker.take(token, logprob)]
        yield from pieces or [None]
        if speaker.over:
            return
        seen = [*seen, token] if cache is None else seen
        # A network without such a cache (a recurrent one) is given the whole text again: slower, and right.
        logits, cache = _forward(model, seen if cache is None else [token], cache)


def prefill(model: Loaded, ids: Sequence[int]) -> Generator[None, None, tuple[torch.Tensor, Any]]:
    """The logits after a prompt, and what the network remembers of it (None: nothing); one step a chunk.

    The chunks' bounds depend on the prompt alone, so the same prompt gives the same bits whatever else runs.
    """
    step = CHUNK if chunks(model) else len(ids)
    logits, cache = _forward(model, ids[:step], None)
    for at in range(step, len(ids), step):
        yield None
        logits, cache = _forward(model, ids[at : at + step], cache)
    return logits, cache


def chunks(model: Loaded) -> bool:
    """Whether a prompt may be read in parts: only where all that is remembered of it are keys and values."""
    if model.network._is_stateful:
        return False
    layers = DynamicCache(config=model.network.config).layers
    return bool(layers) and all(type(each) in (DynamicLayer, DynamicSlidingWindowLayer) for each in layers)


@lru_cache(maxsize=1)
def takes(network: Any) -> frozenset[str]:
    """The names of what a network's pass takes. Asked before every pass, and looked up once."""
    return frozenset(inspect.signature(network.forward).parameters)


def score(model: Loaded, network: Any, text: str) -> tuple[list[int], list[float]]:
    """Token ids of a raw text (no chat template, the tokenizer's own special tokens) and log p of each after the first.

    `network` is the model in fp32. Raises ContextTooLong.
    """
    ids: list[int] = model.tokenizer(text)["input_ids"]
    check_length(model, len(ids), 0)
    if len(ids) < 2:
        return ids, []
    with torch.inference_mode():
        tokens = torch.tensor([ids])
        logits = network(input_ids=tokens, use_cache=False).logits[0, :-1].float()
        chosen = torch.log_softmax(logits, dim=-1).gather(1, tokens[0, 1:, None])
    return ids, [float(each) for each in chosen[:, 0]]


def _forward(model: Loaded, ids: Sequence[int], cache: Any) -> tuple[torch.Tensor, Any]:
    """The last position's logits, and the network's memory after it."""
    # A prompt's other positions are not needed; their logits would take vocabulary × length × 4 bytes.
    last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes(model.network) else {}
    with torch.inference_mode():
        fed = torch.tensor([list(ids)])
        out = model.network(input_ids=fed, past_key_values=cache, use_cache=True, **last_only)
        return out.logits[0, -1].float(), getattr(out, "past_key_values", None)
