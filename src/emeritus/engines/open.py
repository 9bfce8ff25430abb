"""The table of engines: a kind's name leads to its module, which is imported only when that kind is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from emeritus.engines.base import Engine, WeightSource
from emeritus.engines.options import read_options
from emeritus.engines.tokenizers import TOKENIZER_FILES
from emeritus.errors import EngineUnknown, MissingTokenizer

# Each module offers `async def open_engine(options, source, *, log_dir, threads) -> Engine`,
# and declares its options in a class of that kind's name: `UpstreamOptions`.
KINDS: Mapping[str, str] = {
    "transformers": "emeritus.engines.transformers",
    "command": "emeritus.engines.command",
    "upstream": "emeritus.engines.upstream",
    "scripted": "emeritus.engines.scripted",
}


async def open_engine(
    kind: str, options: Mapping[str, Any], source: WeightSource | None, *, log_dir: Path, threads: int = 0
) -> Engine:
    """Start an engine and wait until it can answer.

    `source` gives the files (engines that hold no weights take None). `log_dir` is where a process's own output goes;
    it is made if missing. `threads` 0 means one per core. Raises EngineUnknown, BadSettings, ExtraMissing,
    MissingTokenizer, EngineFailed.
    """
    if kind not in KINDS:
        raise EngineUnknown(f"there is no engine {kind!r}; known: {', '.join(sorted(KINDS))}", known=sorted(KINDS))
    opener: Callable[..., Awaitable[Engine]] = import_module(KINDS[kind]).open_engine
    return await opener(options, source, log_dir=log_dir, threads=threads)


def check_folder(kind: str, folder: Path) -> None:
    """Refuse a model's folder this kind could never load, before anything is kept of it. Raises MissingTokenizer."""
    if kind == "transformers" and not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise MissingTokenizer(f"{folder} has none of {', '.join(TOKENIZER_FILES)}")


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse an unknown kind and unusable options without starting anything. Raises EngineUnknown, BadSettings."""
    if kind not in KINDS:
        raise EngineUnknown(f"there is no engine {kind!r}; known: {', '.join(sorted(KINDS))}", known=sorted(KINDS))
    read_options(getattr(import_module(KINDS[kind]), f"{kind.capitalize()}Options"), kind, options)
