"""The linter's findings: every rule a well-formed protocol breaks, and what it may do but had better not. Pure.

The rules themselves stand in `reference_rules` and `wording_rules`; this gathers them. Knows no file and no command.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from emeritus.interview.protocols import reference_rules, wording_rules

if TYPE_CHECKING:
    from emeritus.interview.protocols.protocol import Protocol

Location = tuple[str | int, ...]
Broken = list[tuple[Location, str]]

HOUSE_LANGUAGES = ("en", "ja")  # in which the house has sentences of its own: `sessions/sentences.py`
ENOUGH_WORDINGS = 8  # with fewer, an interval over wordings covers too little, and t on their means is used instead


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the linter found: the line (from 1), the field's path, why; refused, or warned about only."""

    line: int
    field: str
    reason: str
    refused: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As the command line prints it."""
        return asdict(self)


def broken_rules(protocol: Protocol) -> Broken:
    """Every rule a well-formed protocol breaks, with where."""
    return [*reference_rules.broken(protocol), *wording_rules.broken(protocol)]


def warnings_of(protocol: Protocol) -> Broken:
    """What is allowed and weakens the results."""
    foreign = protocol.language[:2] not in HOUSE_LANGUAGES
    missing = [name for name in wording_rules.HOUSE_SENTENCES if foreign and getattr(protocol.telling, name) is None]
    return [(("telling",), f"{name} is missing: what it says would be told in English") for name in missing] + [
        (
            ("items", index, "texts"),
            f"{len(item.texts)} of {ENOUGH_WORDINGS} wordings: intervals then rest on t over wording means",
        )
        for index, item in enumerate(protocol.items)
        if item.becomes_preference and len(item.texts) < ENOUGH_WORDINGS
    ]
