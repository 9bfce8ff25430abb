"""A small stand-in for vLLM's loader interface, since vLLM itself takes several gigabytes.

Written from its documentation (docs.vllm.ai: `vllm.model_executor.model_loader`, "Plugin System"): a register of load
formats, an abstract `BaseModelLoader` whose `load_model` makes the model and has `load_weights` fill it, and models
whose own `load_weights` takes (name, tensor) pairs and returns the names it set. What vLLM does beside that (devices,
quantisation, its own models) is not here, and no test with this stand-in proves anything about it.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch


@dataclass
class LoadConfig:
    """What a loader is made with."""

    load_format: str = "auto"
    model_loader_extra_config: Any = field(default_factory=dict)


@dataclass
class ModelConfig:
    """What it is asked to load."""

    model: str
    quantization: str | None = None


class BaseModelLoader(ABC):
    """The interface."""

    def __init__(self, load_config: LoadConfig) -> None:
        self.load_config = load_config

    @abstractmethod
    def download_model(self, model_config: ModelConfig) -> None:
        """Make it loadable."""

    @abstractmethod
    def load_weights(self, model: torch.nn.Module, model_config: ModelConfig) -> None:
        """Fill a model that is there."""

    def load_model(self, made: Callable[[], torch.nn.Module], model_config: ModelConfig) -> torch.nn.Module:
        """The model, filled."""
        model = made()
        self.load_weights(model, model_config)
        return model.eval()


LOADERS: dict[str, type[BaseModelLoader]] = {}


def register_model_loader(load_format: str) -> Callable[[type[BaseModelLoader]], type[BaseModelLoader]]:
    """A decorator that makes a format known; a later one replaces an earlier one."""

    def register(loader: type[BaseModelLoader]) -> type[BaseModelLoader]:
        if not issubclass(loader, BaseModelLoader):
            raise ValueError("a model loader must be a subclass of BaseModelLoader")
        LOADERS[load_format] = loader
        return loader

    return register


def get_model_loader(load_config: LoadConfig) -> BaseModelLoader:
    """The loader of a configuration."""
    return LOADERS[load_config.load_format](load_config)


class Fused(torch.nn.Module):
    """A model with layers of its own: one matrix where the checkpoint has two, as vLLM's models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.both = torch.nn.Parameter(torch.full((6, 4), torch.nan, dtype=torch.bfloat16))
        self.norm = torch.nn.Parameter(torch.full((4,), torch.nan))

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Put each tensor where it belongs; the names of the parameters that were set."""
        loaded = set()
        for name, tensor in weights:
            if name == "norm":
                self.norm.data.copy_(tensor)
                loaded.add("norm")
            else:
                self.both.data[slice(0, 3) if name == "up" else slice(3, 6)].copy_(tensor)
                loaded.add("both")
        return loaded


def install() -> dict[str, ModuleType]:
    """The modules by their names, for `sys.modules`."""
    names = ("vllm", "vllm.model_executor", "vllm.model_executor.model_loader")
    modules = {name: ModuleType(name) for name in names}
    here = sys.modules[__name__]
    for name in ("BaseModelLoader", "register_model_loader", "get_model_loader"):
        setattr(modules[names[-1]], name, getattr(here, name))
    return modules
