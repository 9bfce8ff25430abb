"""vLLM's loader plugin: `--load-format emeritus` reads a resident's weights straight from a vault.

vLLM finds `register` by the entry point group `vllm.general_plugins` and calls it in each of its processes, sometimes
twice. Importing this imports neither vLLM nor torch.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from emeritus.integrations.opening import weights

LOAD_FORMAT = "emeritus"


def register() -> None:
    """Make the load format known to vLLM. Safe to repeat."""
    from vllm.model_executor.model_loader import register_model_loader

    from emeritus.integrations.vllm.loader import EmeritusLoader

    register_model_loader(LOAD_FORMAT)(EmeritusLoader)


def prepare(where: str | Path, name: str, folder: str | Path) -> list[str]:
    """Write what vLLM reads besides weights (configuration, tokenizer) to a new folder; the command that serves it.

    `where`: a home, or a vault's address. Raises NotFound, DestinationNotEmpty, IntegrityError.
    """
    kept = weights(where, name)
    kept.tensors()  # refuses weights in another format before anything is written
    kept.write_light(Path(folder))
    address = str(where) if "://" in str(where) else str(Path(where).expanduser().absolute())
    extra = json.dumps({"vault": address, "resident": name})
    return ["vllm", "serve", str(folder), "--load-format", LOAD_FORMAT, "--model-loader-extra-config", extra]


def main(arguments: list[str]) -> int:
    """`python -m emeritus.integrations.vllm WHERE NAME FOLDER`: prepare the folder, print the command."""
    if len(arguments) != 3:
        print("usage: python -m emeritus.integrations.vllm HOME-OR-VAULT RESIDENT FOLDER")
        return 2
    print(shlex.join(prepare(*arguments)))
    return 0
