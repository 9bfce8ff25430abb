"""A resident as a plain `transformers` model, for scripts and notebooks: from the vault, no weight file written.

Needs the extra `local`. Knows no engine's process; who calls it runs the model.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emeritus.errors import ExtraMissing
from emeritus.integrations.opening import weights


def from_vault(where: str | Path, name: str, *, dtype: str = "auto", attention: str = "auto") -> tuple[Any, Any]:
    """(model, tokenizer) of a causal language model, as `from_pretrained` gives them, and every tensor verified.

    `where`: a home, or a vault's address. `dtype`: "auto" (as stored) or a torch dtype's name. `attention`: as the
    library calls it. Raises ExtraMissing, NotFound, IntegrityError, MissingTokenizer, EngineFailed.
    """
    try:
        from emeritus.engines.loading import load
        from emeritus.engines.tensors import as_tensor
    except ImportError as error:
        raise ExtraMissing(f"a model needs the extra 'local': {error}", extra="local") from error
    kept = weights(where, name)
    resident = kept.tensors()
    known = resident.tensors
    state = {
        each: as_tensor(array.reshape(-1).view("u1"), known[each].dtype, known[each].shape, 0, known[each].length)
        for each, array in resident.each()
    }
    with TemporaryDirectory(prefix="emeritus-") as folder:
        kept.write_light(Path(folder))
        found = load(Path(folder), dtype, attention, state)
    return found.network, found.tokenizer
