"""A network whose weights can be changed a little, in memory: to learn how small a change a comparison would notice.

A copy in fp32 of a loaded network; the network itself, and the mapped files under it, stay as they are. Runs in a
worker process; knows no text and no test.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from emeritus.engines.base import Perturbation

# Stored type -> the integer type of its width, the exponent's lowest bit, how many bits it has.
_EXPONENTS = {
    torch.bfloat16: (torch.int16, 7, 8),
    torch.float16: (torch.int16, 10, 5),
    torch.float32: (torch.int32, 23, 8),
}
_STEPS = 127  # on each side of zero, of symmetric int8


class Perturbed:
    """The copy. `network` is it, as the last perturbation left it."""

    def __init__(self, network: Any) -> None:
        self.network = copy.deepcopy(network).float()
        self._stored: list[torch.Tensor] = [each.detach() for each in network.parameters()]
        self._weights: list[torch.Tensor] = [each.detach() for each in self.network.parameters()]
        self._changed = [False] * len(self._weights)

    @torch.no_grad()
    def become(self, change: Perturbation) -> None:
        """Undo the last perturbation and make this one."""
        for at, changed in enumerate(self._changed):
            if changed:
                self._weights[at].copy_(self._stored[at])
                self._changed[at] = False
        random = torch.Generator().manual_seed(change.seed)
        if change.kind == "zero":
            at = int(torch.randint(len(self._weights), (), generator=random))
            self._take(at).zero_()
        elif change.kind == "flip":
            self._flip(random)
        else:
            for at in range(len(self._weights)):
                self._change_all(at, change, random)

    def _change_all(self, at: int, change: Perturbation, random: torch.Generator) -> None:
        weights = self._take(at)
        if change.kind == "int8":
            if weights.dim() >= 2:
                step = weights.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / _STEPS
                weights.copy_((weights / step).round() * step)
            return
        drawn = torch.randn(weights.shape, generator=random)
        if change.kind == "rounding":
            weights.mul_(drawn.mul_(change.size).add_(1.0))
        else:
            weights.add_(drawn.mul_(change.size * float(weights.square().mean().sqrt())))

    def _flip(self, random: torch.Generator) -> None:
        """One exponent bit of one weight, every weight as likely as every other."""
        sizes = torch.tensor([each.numel() for each in self._weights])
        where = int(torch.randint(int(sizes.sum()), (), generator=random))
        at = int(torch.searchsorted(sizes.cumsum(0), where, right=True))
        where -= int(sizes[:at].sum())
        stored = self._stored[at].reshape(-1)[where].clone()
        as_int, lowest, bits = _EXPONENTS[stored.dtype]
        stored.view(as_int).bitwise_xor_(1 << (lowest + int(torch.randint(bits, (), generator=random))))
        self._take(at).view(-1)[where] = stored.float()

    def _take(self, at: int) -> torch.Tensor:
        self._changed[at] = True
        return self._weights[at]
