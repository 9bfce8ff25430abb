"""The published grounds for a veto, as the shipped TOML file lists them. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def criteria() -> Mapping[str, str]:
    """Every ground by its key, in the order of the file."""
    text = files("emeritus.corner").joinpath("criteria.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text)["criteria"])
