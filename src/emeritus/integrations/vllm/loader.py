"""The loader itself, against vLLM's public interface: a `BaseModelLoader` with `download_model` and `load_weights`.

Imported only where vLLM is. vLLM builds the model and splits tensors between its devices; this gives it every tensor,
decoded and verified, as the checkpoint names them. With several devices each process decodes all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm.model_executor.model_loader import BaseModelLoader

from emeritus.engines.tensors import as_tensor
from emeritus.errors import BadSettings, EngineFailed
from emeritus.integrations.opening import Weights, weights

KEYS = ("vault", "resident")


class EmeritusLoader(BaseModelLoader):
    """`--load-format emeritus --model-loader-extra-config '{"vault": HOME_OR_ADDRESS, "resident": NAME}'`."""

    def __init__(self, load_config: Any) -> None:
        super().__init__(load_config)
        extra = load_config.model_loader_extra_config
        if not isinstance(extra, dict) or sorted(extra) != sorted(KEYS) or not all(map(_is_text, extra.values())):
            raise BadSettings(
                "the load format 'emeritus' needs to be told which resident of which vault",
                remedy='Give --model-loader-extra-config \'{"vault": HOME_OR_ADDRESS, "resident": NAME}\' and no more.',
            )
        self._vault, self._resident = extra["vault"], extra["resident"]

    def download_model(self, model_config: Any) -> None:
        """Nothing is copied: only whether the resident can be loaded is found out. Raises NotFound, IntegrityError."""
        _ = self._opened().tensors().tensors

    def load_weights(self, model: Any, model_config: Any) -> None:
        """Give the model every tensor. Raises IntegrityError, and EngineFailed when the model was not given all."""
        loaded = model.load_weights(self._each())
        if loaded is None or model_config.quantization is not None:
            return  # the model does not say what it took, or makes scales of its own
        wanted = {name for name, _ in model.named_parameters() if not name.endswith("_scale")}
        absent = sorted(wanted - set(loaded))
        if absent:
            raise EngineFailed(
                f"the weights lack {len(absent)} of the model's tensors, {absent[0]} among them", absent=absent[:20]
            )

    def _opened(self) -> Weights:
        return weights(self._vault, self._resident)

    def _each(self) -> Iterator[tuple[str, Any]]:
        """(name, tensor) as the files have them; a tensor's memory is its own, so vLLM may drop or keep it."""
        resident = self._opened().tensors()
        for name, array in resident.each():
            kept = resident.tensors[name]
            yield name, as_tensor(array.reshape(-1).view("u1"), kept.dtype, kept.shape, 0, kept.length)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
