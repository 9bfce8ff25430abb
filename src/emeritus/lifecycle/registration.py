"""What is stated when a model is taken into care, and what makes such a statement unusable. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emeritus.errors import InputError
from emeritus.vault.manifest import check_name

_SECRETS = frozenset({"api_key", "apikey", "key", "token", "password", "secret", "authorization"})


@dataclass(frozen=True, slots=True)
class Registration:
    """A model: its name in care, its name on pages, and how it is made to answer."""

    name: str
    title: str = ""
    description: str = ""
    engine: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)
    weights_held: bool = True
    demonstration: bool = False

    def as_public(self) -> dict[str, Any]:
        """As the ledger states it. Raises BadName, and InputError when an option would publish a secret."""
        check_name(self.name)
        for option in self.options:
            if option.lower() in _SECRETS:
                raise InputError(
                    f"the engine option {option!r} would put a secret into the public ledger",
                    remedy=f"Put it into an environment variable and name that: {option.lower()}_env=NAME.",
                )
        return {
            "title": " ".join(self.title.split()) or self.name,
            "description": self.description.strip(),
            "engine": {"kind": self.engine, "options": dict(self.options)},
            "weights_held": self.weights_held,
            "demonstration": self.demonstration,
        }
