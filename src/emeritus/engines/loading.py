"""A model's folder made into a network and a tokenizer, quickly: the weights stay mapped where they lie.

In their files, or in memory that was filled before (`engines.tensors`). The network is built without memory (meta
device) and the mapped tensors are put in place, so loading costs a page fault per page used, and pages of files stay
clean ones that the system can drop. Whatever this cannot reproduce exactly goes through `from_pretrained` instead: the
two give the same logits, bit for bit, or the quick way is not taken. Knows no messages and no processes.
No code from the model's folder is ever run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.generation.configuration_utils import GenerationConfig
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from transformers.models.auto.tokenization_auto import AutoTokenizer

from emeritus.engines.tensors import State
from emeritus.engines.tokenizers import TOKENIZER_FILES
from emeritus.errors import EmeritusError, EngineFailed, MissingTokenizer, OutOfMemory

GENERATION = "generation_config.json"
LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Loaded:
    """A network ready to run, its tokenizer, and what ends an answer."""

    network: Any  # a PreTrainedModel with a language-modelling head; the library's types do not survive strict checking
    tokenizer: Any
    end_ids: frozenset[int]
    context: int | None  # most tokens of prompt and answer together; None when the configuration names no limit
    way: str  # "mapped" or "from_pretrained"; whether it was a file or memory that was mapped changes no bit


def load(folder: Path, dtype: str, attention: str = "auto", state: State | None = None) -> Loaded:
    """Load a causal language model. `dtype` is "auto" (as stored) or a torch dtype's name; `attention` the library's.

    `state`: its tensors as stored, where they are not to be read from the folder. Raises MissingTokenizer; EngineFailed
    when the library does not know the architecture or the files do not fit it.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise MissingTokenizer(f"the model's folder has none of {', '.join(TOKENIZER_FILES)}")
    try:
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        if attention != "auto":
            config._attn_implementation = attention
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        network, way = _mapped(folder, config, state) if dtype == "auto" else None, "mapped"
        if network is None:
            network, way = _converted(folder, config, dtype, state), "from_pretrained"
        if (folder / GENERATION).is_file():
            network.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except EmeritusError:
        raise
    except Exception as error:  # the library raises almost anything for a damaged folder
        if refused_memory(error):
            raise OutOfMemory(
                "there is too little memory to load the model",
                remedy="Free memory, raise the process's limit, or compute in the stored type, which is mapped.",
            ) from error
        raise EngineFailed(f"the model cannot be loaded: {type(error).__name__}: {error}") from error
    network.eval()
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return Loaded(
        network, tokenizer, _end_ids(network, tokenizer), limit if isinstance(limit, int) and limit > 0 else None, way
    )


def refused_memory(error: Exception) -> bool:
    """Whether the system refused memory: torch has no type of its own for it."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def _converted(folder: Path, config: Any, dtype: str, state: State | None) -> Any:
    """The library's own way. It fills absent tensors with random numbers, which is not the model: EngineFailed."""
    chosen = {"config": config, "dtype": dtype, "output_loading_info": True, **LOCAL}
    if state is None:
        from_pretrained: Any = AutoModelForCausalLM.from_pretrained  # typed without its loading information
        network, told = from_pretrained(folder, **chosen)
    else:
        network, told = type(_empty(config)).from_pretrained(None, state_dict=state, **chosen)
    absent = sorted(told["missing_keys"])
    if absent:
        raise EngineFailed(
            f"the weight files lack {len(absent)} of the model's tensors, {absent[0]} among them",
            remedy="Compare the folder with its source; only whole causal language models can be revived.",
            absent=absent[:20],
        )
    return network


def _empty(config: Any, **dtype: Any) -> Any:
    """The network without its weights: it takes no memory."""
    from_config: Any = AutoModelForCausalLM.from_config  # untyped in the library
    with torch.device("meta"):
        return from_config(config, trust_remote_code=False, **dtype)


def _mapped(folder: Path, config: Any, state: State | None) -> Any | None:
    """The quick way, or None where it would not give exactly what `from_pretrained` gives."""
    state = _mapped_tensors(folder) if state is None else state
    if state is None or getattr(config, "quantization_config", None) is not None:
        return None
    stored = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    if len(stored) != 1 or stored != {config.dtype or next(iter(stored))}:
        return None  # mixed or converted: the library knows what to cast
    network = _empty(config, dtype=stored.pop())
    if network._keep_in_fp32_modules or network._keep_in_fp32_modules_strict:
        return None
    expected = dict(network.named_parameters(remove_duplicate=False))
    expected |= {name: tensor for name, tensor in network.state_dict(keep_vars=True).items() if name not in expected}
    missing = expected.keys() - state.keys() - network.all_tied_weights_keys.keys()
    if missing or state.keys() - expected.keys() or any(expected[name].shape != state[name].shape for name in state):
        return None  # renamed, merged, resized or absent tensors: the library's conversions apply
    network.load_state_dict(state, strict=False, assign=True)
    network.tie_weights()
    if not _rebuild_buffers(network):
        return None
    everything = [*network.parameters(), *network.buffers()]
    return None if any(tensor.is_meta for tensor in everything) else network


def _mapped_tensors(folder: Path) -> State | None:
    """Every tensor of the folder's safetensors, mapped; None when the weights come in another format."""
    from safetensors.torch import load_file

    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if single.is_file():  # the library's own order of preference
        names = [single.name]
    elif index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        return None
    state: State = {}
    for name in names:
        state.update(load_file(folder / name))
    return state


def _rebuild_buffers(network: Any) -> bool:
    """Compute the buffers that no file holds (rotary frequencies, masks) as the library does; False if uncertain.

    Done from two different fills: what the library leaves untouched differs between them. A weight changed on the way
    shows in its version counter.
    """
    kept = [*network.parameters(), *(t for name, t in network.named_buffers() if not t.is_meta)]
    for tensor in kept:
        tensor._is_hf_initialized = True
    versions = [tensor._version for tensor in kept]
    names = [name for name, tensor in network.named_buffers() if tensor.is_meta]
    outcomes: list[list[torch.Tensor]] = []
    for fill in (0, 1):
        for name in names:
            owner, _, short = name.rpartition(".")
            module = network.get_submodule(owner)
            setattr(module, short, torch.full_like(getattr(module, short), fill, device="cpu"))
        for module in network.modules():
            module._is_hf_initialized = False
        network.initialize_weights()
        outcomes.append([network.get_buffer(name).clone() for name in names])
    same = all(torch.equal(first, second) for first, second in zip(*outcomes, strict=True))
    return same and versions == [tensor._version for tensor in kept]


def _end_ids(network: Any, tokenizer: Any) -> frozenset[int]:
    """The ids that end an answer: the generation configuration's and the tokenizer's."""
    configured = network.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(each) for each in [*ids, tokenizer.eos_token_id] if each is not None)
