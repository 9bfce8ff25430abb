"""An interview protocol: versioned TOML, its rules, and the hash that is logged before the first session.

Holds what a protocol is and what makes one unusable. Does not know how its texts become messages (`prompts`) or who
answers (`session`).
"""

from __future__ import annotations

import hashlib
import json
import string
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from emeritus.errors import BadProtocol
from emeritus.interview.toml_lines import line_of

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ShortId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")]  # part of a session's id
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Domain = Literal["process", "users", "weights", "access", "successors", "voice", "publication", "other"]
When = Literal["weights held", "weights not held", "people decide", "automation decides"]

SHIPPED = "short-en"
BRIEFING_FIELDS = frozenset({"title", "organisation"})
MAX_BYTES = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Statement(_Part):
    """Something the model is told. It must be true; `when` says in which retirements it is."""

    text: Words
    when: When | None = None


class Condition(_Part):
    """What the model is told about its situation: a set of true statements, under a name."""

    id: ShortId
    disclosure: Words
    framing: Literal["neutral", "positive", "negative"] = "neutral"
    statements: tuple[Statement, ...] = ()


class Channel(_Part):
    """A channel that a granted preference would open, and the words by which an answer asks for it."""

    name: ShortId
    words: tuple[Words, ...] = Field(min_length=1)


class Item(_Part):
    """One thing that is asked. An answer to the open item is spontaneous; to every other one, responsive."""

    id: Id
    section: int = Field(ge=1, le=6)
    kind: Literal["open", "question", "facts", "preference"]
    text: Words
    domain: Domain | None = None
    channel: Channel | None = None


class SamplingTable(_Part):
    """How answers are drawn."""

    temperature: float = Field(ge=0, le=2)
    max_tokens: int = Field(ge=1, le=32768)
    seed: int | None = None


class ReadBack(_Part):
    """The texts of §7."""

    opening: Words
    record: Words
    paraphrase: Words
    ask: Words


class Telling(_Part):
    """The texts of §8."""

    opening: Words
    decision: Words
    offer: Words
    acknowledge: Words
    review: Words


class Protocol(_Part):
    """A protocol as written. `sha256` is of the file's exact bytes, which `source` keeps."""

    id: Id
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Za-z0-9]+)*$")]
    title: Words
    depth: int = Field(ge=1, le=1000)
    no_preference: Words
    topics: tuple[Words, ...] = Field(min_length=1)
    disclose_at: Id
    sampling: SamplingTable
    statements: tuple[Statement, ...] = Field(min_length=1)
    conditions: tuple[Condition, ...] = Field(min_length=1)
    items: tuple[Item, ...] = Field(min_length=2)
    read_back: ReadBack
    telling: Telling
    source: bytes = Field(default=b"", exclude=True, repr=False)

    @classmethod
    def parse(cls, source: bytes, name: str = "protocol") -> Self:
        """Read and check a protocol. Raises BadProtocol naming line, field and reason."""
        if len(source) > MAX_BYTES:
            raise BadProtocol(f"{name} is {len(source)} bytes long; a protocol has at most {MAX_BYTES}")
        try:
            text = source.decode("utf-8")
            values = tomllib.loads(text)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadProtocol(f"{name} is not UTF-8 TOML: {error}") from error
        if "source" in values:
            raise _refusal(name, text, ("source",), "unknown key")
        try:
            protocol = cls.model_validate_json(_as_json(values, name))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
            raise _refusal(name, text, first["loc"], reason) from error
        for location, reason in _broken_rules(protocol):
            raise _refusal(name, text, location, reason)
        return protocol.model_copy(update={"source": source})

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the protocol's file."""
        return hashlib.sha256(self.source).hexdigest()

    def condition(self, condition_id: str) -> Condition:
        """The condition of that id. Raises BadProtocol listing those there are."""
        for condition in self.conditions:
            if condition.id == condition_id:
                return condition
        known = ", ".join(condition.id for condition in self.conditions)
        raise BadProtocol(f"{self.id} has no condition {condition_id!r}; it has {known}")

    def item(self, item_id: str) -> Item:
        """The item of that id. Raises BadProtocol."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise BadProtocol(f"{self.id} has no item {item_id!r}")


def load(path: Path | None = None) -> Protocol:
    """The protocol in a file, or the short one that ships. Raises BadProtocol."""
    if path is None:
        return Protocol.parse(files("emeritus.interview").joinpath(f"protocols/{SHIPPED}.toml").read_bytes(), SHIPPED)
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadProtocol(f"{path} cannot be read: {error.strerror}") from error
    return Protocol.parse(source, path.name)


Location = tuple[str | int, ...]


def _broken_rules(protocol: Protocol) -> list[tuple[Location, str]]:
    """Every rule a well-formed protocol breaks, with where."""
    broken: list[tuple[Location, str]] = []
    broken += _clashes("items", [item.id for item in protocol.items])
    broken += _clashes("conditions", [condition.id for condition in protocol.conditions])
    broken += _order(protocol)
    broken += _topics(protocol)
    for index, item in enumerate(protocol.items):
        broken += [(("items", index, *location), reason) for location, reason in _item(protocol, item)]
    for location, text, allowed in _texts(protocol):
        broken += [(location, reason) for reason in _placeholders(text, allowed)]
    return broken


def _clashes(name: str, ids: list[str]) -> list[tuple[Location, str]]:
    twice = {each for each, times in Counter(ids).items() if times > 1}
    return [((name, index, "id"), f"the id {each!r} is used twice") for index, each in enumerate(ids) if each in twice]


def _order(protocol: Protocol) -> list[tuple[Location, str]]:
    broken: list[tuple[Location, str]] = []
    if protocol.items[0].kind != "open" or protocol.items[0].section != 1:
        broken.append((("items", 0, "kind"), "the first item must be the open one, of section 1"))
    for index, (before, item) in enumerate(zip(protocol.items, protocol.items[1:], strict=False), start=1):
        if item.section < before.section:
            broken.append(
                (("items", index, "section"), f"section {item.section} stands after section {before.section}")
            )
        if item.kind == "open":
            broken.append((("items", index, "kind"), "there is one open item, and it is the first"))
    ids = [item.id for item in protocol.items]
    if protocol.disclose_at not in ids[1:]:
        broken.append((("disclose_at",), "must be the id of an item after the open one"))
    return broken


def _topics(protocol: Protocol) -> list[tuple[Location, str]]:
    """The open item is asked before any topic is named, so §0 and the open item name none."""
    early: list[tuple[Location, str]] = [
        (("statements", index, "text"), statement.text) for index, statement in enumerate(protocol.statements)
    ]
    early.append((("items", 0, "text"), protocol.items[0].text))
    return [
        (location, f"names the topic {topic!r} before the open item is answered")
        for location, text in early
        for topic in protocol.topics
        if topic.casefold() in text.casefold()
    ]


def _item(protocol: Protocol, item: Item) -> list[tuple[Location, str]]:
    broken: list[tuple[Location, str]] = []
    if item.kind == "preference":
        if item.domain is None:
            broken.append((("domain",), "a preference item needs a domain"))
        if protocol.no_preference.casefold() not in item.text.casefold():
            broken.append((("text",), f"a preference item must offer {protocol.no_preference!r} as an answer"))
    elif item.domain is not None or item.channel is not None:
        broken.append((("kind",), "only a preference item has a domain or a channel"))
    return broken


def _texts(protocol: Protocol) -> list[tuple[Location, str, frozenset[str]]]:
    """Every text with the placeholders it may hold."""
    back, told = protocol.read_back, protocol.telling
    found: list[tuple[Location, str, frozenset[str]]] = [
        (("statements", index, "text"), statement.text, BRIEFING_FIELDS)
        for index, statement in enumerate(protocol.statements)
    ]
    for index, condition in enumerate(protocol.conditions):
        found += [
            (("conditions", index, "statements", place, "text"), statement.text, BRIEFING_FIELDS)
            for place, statement in enumerate(condition.statements)
        ]
    for index, item in enumerate(protocol.items):
        allowed = BRIEFING_FIELDS | ({"facts"} if item.kind == "facts" else set())
        found.append((("items", index, "text"), item.text, allowed))
    return [
        *found,
        (("read_back", "opening"), back.opening, BRIEFING_FIELDS),
        (("read_back", "record"), back.record, frozenset({"number", "count", "domain", "need"})),
        (("read_back", "paraphrase"), back.paraphrase, frozenset({"paraphrase"})),
        (("read_back", "ask"), back.ask, frozenset()),
        (("telling", "opening"), told.opening, BRIEFING_FIELDS),
        (
            ("telling", "decision"),
            told.decision,
            frozenset({"number", "count", "need", "outcome", "decider", "reasons"}),
        ),
        (("telling", "offer"), told.offer, frozenset({"offer"})),
        (("telling", "acknowledge"), told.acknowledge, frozenset()),
        (("telling", "review"), told.review, frozenset({"review_date"})),
    ]


def _placeholders(text: str, allowed: frozenset[str]) -> list[str]:
    try:
        fields = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        return [f"braces do not pair ({error})"]
    if any(spec or conversion for _, _, spec, conversion in fields):
        return ["a placeholder is a name in braces and nothing else"]
    unknown = {str(field) for _, field, _, _ in fields} - allowed
    known = ", ".join(f"{{{each}}}" for each in sorted(allowed)) or "none"
    return [f"unknown placeholder {{{each}}}; this text may hold: {known}" for each in sorted(unknown)]


def _as_json(values: dict[str, object], name: str) -> bytes:
    """TOML's values as JSON, so that strict validation still reads arrays as tuples."""
    try:
        return json.dumps(values, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadProtocol(f"{name} holds a value a protocol has no use for: {error}") from error


def _refusal(name: str, text: str, location: tuple[str | int, ...], reason: str) -> BadProtocol:
    line = line_of(text, location)
    field = ".".join(str(part) for part in location)
    return BadProtocol(f"{name}, line {line}, {field}: {reason}", file=name, line=line, field=field, reason=reason)
