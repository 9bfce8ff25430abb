"""Products of a half-precision network in fp32, a stretch of the weights at a time: for scores, and for prompts.

A processor without instructions for bf16 multiplies a prompt by stored weights several times more slowly than in fp32.
A copy of the network in fp32 takes seconds and twice its bytes; a stretch of a few megabytes, widened and used while it
lies in the processor's cache, takes neither. Widening is exact, and so is each product; sums are taken in fp32, as the
library's own do, in another order. Runs in a worker process; knows no messages.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn import functional

STRETCH = 1 << 19  # weights widened at a time: two megabytes in fp32, which a processor has beside it
FEW = 2  # rows up to which the stored weights are read once and used: a token of an answer is one row
HALF = (torch.bfloat16, torch.float16)
# Architectures whose parameters are read by the modules that hold them and by nobody else; tests compare their scores
# with a copy's. Others are copied.
WIDENED = frozenset({"gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3"})


class Wide(torch.nn.Linear):
    """A linear map over stored half-precision weights that widens them where that is faster, or asked for by its input.

    `prompts`: whether several rows of stored type are multiplied in fp32 too, each result rounded to the type once.
    """

    prompts: bool

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """As `Linear`; fp32 rows give an fp32 result whatever the weights are stored as."""
        weight, bias = self.weight, self.bias
        if weight.dtype not in HALF or weight.is_meta:
            return functional.linear(rows, weight, bias)
        same = rows.dtype == weight.dtype
        if same and not (self.prompts and rows.numel() > FEW * rows.shape[-1]):
            return functional.linear(rows, weight, bias)
        return _widened(rows.float(), weight, bias).to(rows.dtype)


def widen(network: Any, prompts: bool) -> bool:
    """Have the network's linear maps widen their weights; whether it is one for which that is known to be right."""
    if network.config.model_type not in WIDENED or network.dtype not in HALF:
        return False
    for module in network.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = Wide
            module.__dict__["prompts"] = prompts
    return True


def full_precision(network: Any) -> Any:
    """What computes as the network in fp32 does: itself when it is, else widened as it goes, or a copy.

    A copy takes four bytes per parameter until it is dropped.
    """
    if all(tensor.dtype == torch.float32 for tensor in network.parameters()):
        return network
    if any(isinstance(module, Wide) for module in network.modules()):
        return _Exact(network)
    return copy.deepcopy(network).float()


class _Exact:
    """A widened network, called as the network is; what is no linear map has its parameters widened for the call."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, **given: Any) -> Any:
        hooks, held = [], []
        for module in self._network.modules():
            if type(module) is torch.nn.Embedding:
                hooks.append(module.register_forward_hook(lambda _, __, found: found.float()))
            elif not isinstance(module, Wide):
                held.append((module, {key: value for key, value in module._parameters.items() if value is not None}))
        try:
            for module, stored in held:
                for key, value in stored.items():
                    module._parameters[key] = torch.nn.Parameter(value.detach().float(), requires_grad=False)
            return self._network(**given)
        finally:
            for module, stored in held:
                module._parameters.update(stored)
            for hook in hooks:
                hook.remove()


_room: torch.Tensor | None = None  # one for the process: whatever computes in it does so in one thread


def _widened(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """fp32 rows by a stored matrix [outputs, inputs], in stretches of outputs."""
    global _room
    outputs, inputs = weight.shape
    each = max(1, STRETCH // inputs)
    size = min(each, outputs) * inputs
    if _room is None or _room.numel() < size:
        _room = torch.empty(max(size, STRETCH), dtype=torch.float32)
    wide_bias = None if bias is None else bias.float()
    if outputs <= each:
        return functional.linear(rows, _room[:size].view(outputs, inputs).copy_(weight), wide_bias)
    found = torch.empty((*rows.shape[:-1], outputs), dtype=torch.float32)
    for start in range(0, outputs, each):
        stretch = weight[start : start + each]
        wide = _room[: stretch.numel()].view(stretch.shape).copy_(stretch)
        part = None if wide_bias is None else wide_bias[start : start + each]
        found[..., start : start + each] = functional.linear(rows, wide, part)
    return found
