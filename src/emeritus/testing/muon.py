"""Muon, the optimiser that lets a model learn by heart in a minute or two on two cores: a fifth of AdamW's steps here.

After K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024): momentum, made orthogonal by
five Newton-Schulz iterations with the coefficients given there. In float32 and in one batch for each shape, because
bfloat16 is slow on most processors (so torch's own Muon is not used). Hidden matrices only; the rest is AdamW's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emeritus.testing.tokenizer import library

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95

Matrix = Any  # a torch.nn.Parameter of two dimensions


class Muon:
    """Steps a set of matrices; the gradients are read, not cleared."""

    def __init__(self, matrices: Iterable[Matrix]) -> None:
        torch = library("torch")
        self._by_shape: dict[tuple[int, int], list[Matrix]] = {}
        for matrix in matrices:
            self._by_shape.setdefault(tuple(matrix.shape), []).append(matrix)
        self._momentum = {shape: torch.zeros(len(group), *shape) for shape, group in self._by_shape.items()}

    def step(self, rate: float) -> None:
        """One step of size `rate`: every matrix moves by `rate` in spectral norm, more where it is tall."""
        torch = library("torch")
        with torch.no_grad():
            for shape, group in self._by_shape.items():
                gradients = torch.stack([matrix.grad for matrix in group])
                momentum = self._momentum[shape].lerp_(gradients, 1 - MOMENTUM)
                updates = orthogonal(gradients.lerp(momentum, MOMENTUM)) * max(1.0, shape[0] / shape[1]) ** 0.5
                for matrix, update in zip(group, updates, strict=True):
                    matrix.sub_(update, alpha=rate)


def orthogonal(matrices: Any) -> Any:
    """The nearest orthogonal matrices, roughly: singular values end between 0.7 and 1.2. Shape (n, rows, columns)."""
    first, second, third = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    turned = matrices.mT if tall else matrices
    turned = turned / (turned.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = turned @ turned.mT
        turned = first * turned + (second * square + third * square @ square) @ turned
    return turned.mT if tall else turned
