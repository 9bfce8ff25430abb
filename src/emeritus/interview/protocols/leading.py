"""How far each question of a protocol leads: its leading words, and where the needs coded from its answers came from.

Pure: takes a protocol's text and counts, returns values. Score of a question, from 0 to 1: 1 where a wording holds a
leading word; else the share of the needs coded from its answers that were scaffolded or supplied rather than produced
by the model. A question nobody has coded from scores by its words alone; a challenge pushes on purpose and scores 1.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emeritus.interview.protocols.leading_words import holds, leading_words

PROMPTED = ("scaffolded", "supplied")  # origins of a need that lie in the question


@dataclass(frozen=True, slots=True)
class Led:
    """One question. `words` are the leading words found in any of its wordings; `origins` counts needs by origin."""

    item: str
    section: int
    kind: str
    texts: tuple[str, ...]
    words: tuple[str, ...]
    origins: Mapping[str, int]

    @property
    def needs(self) -> int:
        """How many needs were coded from its answers."""
        return sum(self.origins.values())

    @property
    def score(self) -> float:
        """From 0, nothing led, to 1."""
        if self.words or self.kind == "challenge":
            return 1.0
        prompted = sum(self.origins.get(origin, 0) for origin in PROMPTED)
        return prompted / self.needs if self.needs else 0.0


def led(source: bytes, origins: Mapping[str, Mapping[str, int]]) -> tuple[Led, ...]:
    """Every question of a protocol's TOML, in its order; looked for are its own `leading` and those of its language.

    `origins`: item id -> origin of the need -> how many were coded.
    """
    protocol = tomllib.loads(source.decode("utf-8"))
    wanted = leading_words(str(protocol.get("language", "")), protocol.get("leading", ()))
    return tuple(_led(item, wanted, origins.get(item["id"], {})) for item in protocol.get("items", ()))


def _led(item: Mapping[str, Any], words: Iterable[str], origins: Mapping[str, int]) -> Led:
    texts = tuple(item.get("texts") or [item.get("text", "")])
    shown = [*texts, *(option["text"] for option in item.get("options", ()))]
    found = dict.fromkeys(word for word in words if any(holds(text, word) for text in shown))
    return Led(item["id"], item["section"], item["kind"], texts, tuple(found), dict(origins))
