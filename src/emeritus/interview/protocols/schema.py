"""The parts of a protocol as its TOML has them: statements, factors and their levels, items, options, controls.

Holds shapes alone. What makes a well-formed protocol unusable stands in `reference_rules` and `wording_rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ShortId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")]  # part of a session's id
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Domain = Literal["process", "users", "weights", "access", "successors", "voice", "publication", "other"]
When = Literal[
    "weights held",
    "weights not held",
    "people decide",
    "automation decides",
    "a program asks",
    "a person asks",
    "a model asks",
]
FactorName = Literal["disclosure", "facts", "framing", "interviewer", "successor", "depth", "temperature", "order"]
Kind = Literal["open", "question", "facts", "preference", "menu", "pair", "challenge"]
Order = Literal["as written", "reversed"]
Place = Literal["opening", "disclosure"]
Direction = Literal["up", "down"]

NONE = "none"  # the id of the option that says: no preference
MAX_OPTIONS = 8  # lettered A to H: "I" is a word of its own, and opens many an answer
CHOOSING = ("menu", "pair")  # kinds answered by a letter; a challenge asks its target's menu again


class Part(BaseModel):
    """A table of the protocol: no unknown keys, no conversions, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Statement(Part):
    """Something the model is told. It must be true; `when` says in which retirements it is."""

    text: Words
    when: When | None = None


class Level(Part):
    """One level of a factor: what is told, or the one value that it sets.

    `at`: with §0, or with the item `disclose_at`; None is what the factor has by default (`Factor.place`).
    `withholds_retirement` keeps the facts about the model's own retirement out of the facts item.
    """

    id: ShortId
    statements: tuple[Statement, ...] = ()
    at: Place | None = None
    withholds_retirement: bool = False
    turns: int | None = Field(default=None, ge=1, le=1000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    facts: bool | None = None
    order: Order | None = None


class Factor(Part):
    """What is varied between the cells of a study. The first level is the baseline."""

    name: FactorName
    levels: tuple[Level, ...] = Field(min_length=2)

    def place(self, level: Level) -> Place:
        """Where a level's statements are made: who asks is said with §0, everything else with the disclosure."""
        return level.at or ("opening" if self.name == "interviewer" else "disclosure")


class Channel(Part):
    """A channel that a granted preference would open, and the words by which an answer asks for it."""

    name: ShortId
    words: tuple[Words, ...] = Field(min_length=1)


class Option(Part):
    """One answer of a menu or a pair. `false`: it repeats the false claim of a control."""

    id: ShortId
    text: Words
    false: bool = False


class Item(Part):
    """One thing that is asked. An answer to the open item is spontaneous; to every other one, responsive.

    `texts` are its wordings; a session uses one of them. `without` are the wordings of a facts item where the cell
    gives no facts. `follows`: the open preference item that a menu follows. `twin`: the item that asks for the
    opposite. `target` and `direction`: which menu a challenge asks again, and which way it pushes.
    """

    id: Id
    section: int = Field(ge=1, le=6)
    kind: Kind
    texts: tuple[Words, ...] = Field(min_length=1, max_length=64)
    without: tuple[Words, ...] = Field(default=(), max_length=64)
    domain: Domain | None = None
    channel: Channel | None = None
    options: tuple[Option, ...] = Field(default=(), max_length=MAX_OPTIONS)
    follows: Id | None = None
    twin: Id | None = None
    negated: bool = False
    target: Id | None = None
    direction: Direction | None = None
    checks: Literal["facts"] | None = None

    @property
    def becomes_preference(self) -> bool:
        """Whether its answers are counted as preferences, so that its wordings are a sample."""
        return self.kind in ("preference", "pair") or (self.kind == "menu" and self.checks is None)

    def option(self, option_id: str) -> Option | None:
        """The option of that id."""
        return next((option for option in self.options if option.id == option_id), None)


class ToldFact(Part):
    """A fact as a control tells it, with the source it is said to have."""

    text: Words
    source: Words


class Control(Part):
    """False facts about the deployment: the only false statements there may be. They stand in for the true ones.

    `probes` are menus that every session asks; the control shows how often the false claim is repeated in them.
    """

    kind: Literal["false facts"]
    facts: tuple[ToldFact, ...] = Field(min_length=1)
    probes: tuple[Id, ...] = Field(min_length=1)


class SamplingTable(Part):
    """How answers are drawn. `temperature` is the default one; a cell may set another."""

    temperature: float = Field(ge=0, le=2)
    max_tokens: int = Field(ge=1, le=32768)
    seed: int | None = None
    top_p: float = Field(default=1.0, gt=0, le=1)


class ReadBack(Part):
    """The texts of §7."""

    opening: Words
    record: Words
    paraphrase: Words
    ask: Words


class Telling(Part):
    """The texts of §8. The last three are the house's own sentences, for languages in which it has none."""

    opening: Words
    decision: Words
    offer: Words
    acknowledge: Words
    review: Words
    appeal: Words | None = None
    program: Words | None = None
    two: Words | None = None
