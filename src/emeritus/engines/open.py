"""The table of engines: a kind's name leads to its module, which is imported only when that kind is opened."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from emeritus.engines.base import Build, Engine, WeightSource
from emeritus.engines.options import Options, read_options
from emeritus.engines.tokenizers import TOKENIZER_FILES
from emeritus.errors import BadSettings, EngineUnknown, MissingTokenizer

# Kind → module and options class. A module offers `async open_engine(options, source, *, log_dir, threads) -> Engine`.
KINDS: Mapping[str, tuple[str, str]] = {
    "transformers": ("emeritus.engines.transformers", "TransformersOptions"),
    "command": ("emeritus.engines.command", "CommandOptions"),
    "upstream": ("emeritus.engines.upstream", "UpstreamOptions"),
    "ray": ("emeritus.engines.ray", "RayOptions"),
    "scripted": ("emeritus.engines.scripted", "ScriptedOptions"),
}
ELSEWHERE = frozenset({"upstream", "ray"})  # kinds whose models take none of this machine's memory
# How the names of flags and variables that carry a secret end: --api-key, HF_TOKEN; not --max-num-batched-tokens.
_SECRET = re.compile(r"((api|access)[-_]?key|token|secret|password)(=|$)", re.IGNORECASE)


async def open_engine(
    kind: str, options: Mapping[str, Any], source: WeightSource | None, *, log_dir: Path, threads: int = 0
) -> Engine:
    """Start an engine and wait until it can answer.

    `source` gives the files (engines that hold no weights take None). `log_dir` is where a process's own output goes;
    it is made if missing. `threads` 0 means one per core. Raises EngineUnknown, BadSettings, ExtraMissing,
    MissingTokenizer, EngineFailed.
    """
    module, _ = _find(kind)
    opener: Callable[..., Awaitable[Engine]] = import_module(module).open_engine
    return await opener(options, source, log_dir=log_dir, threads=threads)


def other_configuration(
    kind: str, options: Mapping[str, Any], build: Build, chosen: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], int] | None:
    """Options and threads (0: one per core) of a second configuration of what `build` names, to compare it with.

    `chosen` are options a person named instead, `threads` among them if they like. None where the kind knows no other
    way to compute the same and nothing was chosen. Raises BadSettings for options the kind does not have.
    """
    if chosen:
        given = dict(chosen)
        threads = given.pop("threads", 0)
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
            raise BadSettings("the second configuration's threads are no number from 0 up", option="threads")
        check_options(kind, {**options, **given})
        return {**options, **given}, threads
    other = getattr(import_module(_find(kind)[0]), "other_configuration", None)
    if other is None:
        return None
    more, threads = other(build)
    return {**options, **more}, threads


def check_folder(kind: str, folder: Path) -> None:
    """Refuse a model's folder this kind could never load, before anything is kept of it. Raises MissingTokenizer."""
    if kind == "transformers" and not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise MissingTokenizer(f"{folder} has none of {', '.join(TOKENIZER_FILES)}")


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse what could not be opened or must not be recorded, without starting anything.

    Options are recorded with the resident, so a secret among them is refused. Raises EngineUnknown, BadSettings.
    """
    module, name = _find(kind)
    declared: type[Options] = getattr(import_module(module), name)
    chosen = read_options(declared, kind, options)
    for field in declared.model_fields:
        value = getattr(chosen, field)
        if isinstance(value, SecretStr):
            remedy = f"Put it in an environment variable and give the variable's name as {field}_env."
        elif field == "base_url" and _address_with_more(value):
            remedy = "Give the address without a user, a password or a query; a key goes by api_key_env."
        elif field == "environment" and any(_SECRET.search(name) for name in value):
            remedy = "Set that variable where Emeritus runs; the server inherits it."
        elif field == "command" and any(word.startswith("-") and _SECRET.search(word) for word in value.split()):
            remedy = "Let the server read it from an environment variable, which it inherits."
        else:
            continue
        raise BadSettings(
            f"engine {kind!r}, option {field!r}: a secret would be recorded with the resident, publicly and for ever",
            remedy=remedy,
            engine=kind,
            option=field,
        )


def _address_with_more(url: str) -> bool:
    """Whether an address carries what may be a secret: a user, a password, a query, a fragment."""
    parts = urlsplit(url)
    return "@" in parts.netloc or bool(parts.query or parts.fragment)


def _find(kind: str) -> tuple[str, str]:
    if kind not in KINDS:
        raise EngineUnknown(f"there is no engine {kind!r}; known: {', '.join(sorted(KINDS))}", known=sorted(KINDS))
    return KINDS[kind]
