"""Inspect AI: the interview as its task `emeritus/interview`, and finished sessions as logs that `inspect view` opens.

`task` is what Inspect loads by the entry point in pyproject.toml; `awake` lets a session ask one of Inspect's models;
`export` writes logs and `reading` reads them back. The package is the extra `inspect`, imported where it is used.
"""

from __future__ import annotations

from emeritus.errors import ExtraMissing

NAME = "inspect_ai"


def require() -> None:
    """Raises ExtraMissing, with its remedy, unless Inspect AI is installed."""
    from importlib.util import find_spec

    if find_spec(NAME) is None:
        raise ExtraMissing("Inspect AI needs the extra 'inspect'", remedy="pip install 'emeritus[inspect]'")
