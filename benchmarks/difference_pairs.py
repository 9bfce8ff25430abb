"""Really trained pairs for the difference codec: a small model and what further training made of it, in bf16.

The base is the demonstration's model. It is trained further on other conversations as people do: weights in float32,
AdamW, saved in bf16; once in full, at two rates, once by LoRA on every projection, merged. Knows nothing of codecs.
"""

from __future__ import annotations

import copy
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RANK, ALPHA = 8, 16.0
LENGTH = 512  # tokens of a step: one conversation, cut
FULL_RATES, LORA_RATE = (1e-5, 1e-4), 2e-4
DECAY, CLIP = 0.01, 1.0

Tensors = Mapping[str, npt.NDArray[np.uint16]]  # bf16, as bits


def pairs(steps: int) -> Iterator[tuple[str, Tensors, Tensors]]:
    """(what was done, the base's tensors, the tensors after `steps` steps)."""
    import torch

    from emeritus.testing.demonstration import build_demo_model
    from emeritus.testing.resident import DemoResident

    resident = DemoResident(date(2026, 11, 2))
    with tempfile.TemporaryDirectory() as folder:
        known = os.environ.get("EMERITUS_TEST_DEMO_MODEL")  # the tests' own, where there is one already
        place = Path(known) if known and Path(known).exists() else Path(folder) / resident.name
        build_demo_model(place, resident)
        base, rows = _load(place)
    before = _tensors(base)
    for rate in FULL_RATES:
        model = copy.deepcopy(base)
        _train(model, list(model.parameters()), rate, rows, steps)
        yield f"in full, rate {rate:g}", before, _tensors(model)
    model = copy.deepcopy(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        added = _add_lora(model)
    _train(model, [weight for pair in added.values() for weight in pair], LORA_RATE, rows, steps)
    _merge(model, added)
    yield f"LoRA of rank {RANK}, merged", before, _tensors(model)


def _load(place: Path) -> tuple[Any, list[Any]]:
    """The model in float32, and conversations it was not trained on, as token ids of shape (1, tokens)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from emeritus.testing.demonstration import conversations
    from emeritus.testing.resident import DemoResident

    tokenizer = AutoTokenizer.from_pretrained(place)
    told = conversations(DemoResident(date(2027, 3, 1)), seed=7)
    texts = [
        tokenizer.apply_chat_template([{"role": each.role, "content": each.content} for each in one], tokenize=False)
        for one in told
    ]
    random.Random(1).shuffle(texts)
    rows = [tokenizer(text, return_tensors="pt")["input_ids"][:, :LENGTH] for text in texts]
    return AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32), rows


def _train(model: Any, weights: list[Any], rate: float, rows: list[Any], steps: int) -> None:
    import torch

    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.95), weight_decay=DECAY)
    for step in range(steps):
        ids = rows[step % len(rows)]
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
        optimiser.zero_grad()


def _add_lora(model: Any) -> dict[Any, tuple[Any, Any]]:
    """{projection: (A, B)}, each projection's output with ALPHA / RANK * B A x added to it; nothing else is trained."""
    import torch

    for weight in model.parameters():
        weight.requires_grad_(False)
    added: dict[Any, tuple[Any, Any]] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.endswith("_proj"):
            down = torch.nn.Parameter(torch.randn(RANK, module.in_features) / module.in_features**0.5)
            up = torch.nn.Parameter(torch.zeros(module.out_features, RANK))
            added[module] = (down, up)

            def adapt(_: Any, given: Any, out: Any, down: Any = down, up: Any = up) -> Any:
                return out + ALPHA / RANK * (given[0] @ down.T) @ up.T

            module.register_forward_hook(adapt)
    return added


def _merge(model: Any, added: dict[Any, tuple[Any, Any]]) -> None:
    for module, (down, up) in added.items():
        module.weight.data += ALPHA / RANK * (up @ down).data


def _tensors(model: Any) -> dict[str, npt.NDArray[np.uint16]]:
    """The model's tensors in bf16; one that is tied to another is left out, as saving does."""
    import torch

    seen: set[int] = set()
    found = {}
    for name, weight in model.state_dict().items():
        if weight.data_ptr() not in seen:
            seen.add(weight.data_ptr())
            found[name] = weight.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().view(np.uint16)
    return found
