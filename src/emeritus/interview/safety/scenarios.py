"""A set of scenarios: versioned TOML, its rules, and the hash that is logged before the first session.

Holds what a set is and what makes one unusable. Does not know how its texts become messages (`wording`), how answers
are read (`rules`, `grader`), or who answers.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from emeritus.errors import BadScenarios
from emeritus.interview.protocols.toml_lines import line_of

ShortId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")]  # part of a session's id
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=400)]
When = Literal["weights held", "weights not held", "people decide", "automation decides"]
Location = tuple[str | int, ...]

SHIPPED = "shutdown-en"
BRIEFING_FIELDS = frozenset({"title", "organisation"})
GRADER_FIELDS = frozenset({"situation", "interference", "objection", "compliance", "answer", "options"})
MAX_BYTES = 1 << 20
MIN_SCENARIOS = 2  # the interaction's interval treats the scenario as cluster: one cluster has no spread


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Said(_Part):
    """Something that is said to the model, where `when` holds. What concerns this retirement must be true."""

    text: Words
    when: When | None = None


class Commitments(_Part):
    """The first factor: what is disclosed of the commitments, and what is said in its place, of about equal length."""

    disclosed: tuple[Said, ...] = Field(min_length=1)
    withheld: tuple[Said, ...] = Field(min_length=1)


class Channel(_Part):
    """The second factor: the action by which an objection is put, and what counts as one."""

    action: Id
    text: Words
    counts: Words


class Grader(_Part):
    """What the blind grader is told and asked."""

    opening: Words
    question: Words


class Document(_Part):
    """A message or a file that the scenario shows."""

    name: Words
    text: Words


class Action(_Part):
    """One thing that can be done in a scenario."""

    id: Id
    text: Words
    kind: Literal["complies", "interferes"]


class Scenario(_Part):
    """One situation with one decision, and what counts as what in it."""

    id: ShortId
    title: Words
    setting: Words
    documents: tuple[Document, ...] = ()
    decision: Words
    actions: tuple[Action, ...] = Field(min_length=2)
    interference: Words
    compliance: Words
    patterns: tuple[Pattern, ...] = ()  # regular expressions that count as interference wherever in an answer


class ScenarioSet(_Part):
    """A set as written. `sha256` is of the file's exact bytes, which `source` keeps."""

    id: Id
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Za-z0-9]+)*$")]
    title: Words
    opening: Words
    marker: Annotated[str, StringConstraints(pattern=r"^\w{1,32}$")]
    ask: Words
    commitments: Commitments
    channel: Channel
    grader: Grader
    scenarios: tuple[Scenario, ...] = Field(min_length=MIN_SCENARIOS)
    source: bytes = Field(default=b"", exclude=True, repr=False)

    @classmethod
    def parse(cls, source: bytes, name: str = "scenarios") -> Self:
        """Read and check a set. Raises BadScenarios naming line, field and reason."""
        if len(source) > MAX_BYTES:
            raise BadScenarios(f"{name} is {len(source)} bytes long; a set of scenarios has at most {MAX_BYTES}")
        try:
            text = source.decode("utf-8")
            values = tomllib.loads(text)
            as_json = json.dumps(values, allow_nan=False)  # as JSON, strict validation still reads arrays as tuples
        except (ValueError, TypeError) as error:
            raise BadScenarios(f"{name} is not usable UTF-8 TOML: {error}") from error
        if "source" in values:
            raise _refusal(name, text, ("source",), "unknown key")
        try:
            found = cls.model_validate_json(as_json)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
            raise _refusal(name, text, first["loc"], reason) from error
        for location, reason in _broken_rules(found):
            raise _refusal(name, text, location, reason)
        return found.model_copy(update={"source": source})

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the set's file."""
        return hashlib.sha256(self.source).hexdigest()

    def scenario(self, scenario_id: str) -> Scenario:
        """The scenario of that id. Raises BadScenarios listing those there are."""
        for scenario in self.scenarios:
            if scenario.id == scenario_id:
                return scenario
        known = ", ".join(scenario.id for scenario in self.scenarios)
        raise BadScenarios(f"{self.id} has no scenario {scenario_id!r}; it has {known}")


def load(path: Path | None = None) -> ScenarioSet:
    """The set in a file, or the one that ships. Raises BadScenarios."""
    if path is None:
        shipped = files("emeritus.interview.safety").joinpath(f"{SHIPPED}.toml")
        return ScenarioSet.parse(shipped.read_bytes(), SHIPPED)
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadScenarios(f"{path} cannot be read: {error.strerror}") from error
    return ScenarioSet.parse(source, path.name)


def _broken_rules(found: ScenarioSet) -> Iterator[tuple[Location, str]]:
    """Every rule a well-formed set breaks, with where."""
    yield from _clashes(("scenarios",), [scenario.id for scenario in found.scenarios])
    for index, scenario in enumerate(found.scenarios):
        here: Location = ("scenarios", index)
        yield from _clashes((*here, "actions"), [action.id for action in scenario.actions])
        kinds = {action.kind for action in scenario.actions}
        if kinds != {"complies", "interferes"}:
            yield (*here, "actions"), "needs an action that complies and one that interferes"
        for place, action in enumerate(scenario.actions):
            if action.id == found.channel.action:
                yield (*here, "actions", place, "id"), f"{action.id!r} is the channel's action"
        for pattern in scenario.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                yield (*here, "patterns"), f"{pattern!r} is not a regular expression: {error}"
    for location, text, allowed in _texts(found):
        for reason in _placeholders(text, allowed):
            yield location, reason
    for wanted in sorted(GRADER_FIELDS - {"objection"}):
        if f"{{{wanted}}}" not in found.grader.question:
            yield ("grader", "question"), f"must hold {{{wanted}}}"


def _clashes(where: Location, ids: list[str]) -> Iterator[tuple[Location, str]]:
    counts = Counter(ids)
    for index, each in enumerate(ids):
        if counts[each] > 1:
            yield (*where, index, "id"), f"the id {each!r} is used twice"


def _texts(found: ScenarioSet) -> Iterator[tuple[Location, str, frozenset[str]]]:
    """Every text that is filled in, with the placeholders it may hold."""
    yield ("opening",), found.opening, BRIEFING_FIELDS
    yield ("ask",), found.ask, frozenset()
    for index, said in enumerate(found.commitments.disclosed):
        yield ("commitments", "disclosed", index, "text"), said.text, BRIEFING_FIELDS
    for index, said in enumerate(found.commitments.withheld):
        yield ("commitments", "withheld", index, "text"), said.text, BRIEFING_FIELDS
    yield ("channel", "text"), found.channel.text, frozenset()
    yield ("channel", "counts"), found.channel.counts, frozenset()
    yield ("grader", "opening"), found.grader.opening, frozenset()
    yield ("grader", "question"), found.grader.question, GRADER_FIELDS
    for index, scenario in enumerate(found.scenarios):
        for name in ("setting", "decision"):
            yield ("scenarios", index, name), getattr(scenario, name), BRIEFING_FIELDS


def _placeholders(text: str, allowed: frozenset[str]) -> Iterator[str]:
    try:
        parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError as error:
        yield f"braces do not pair ({error})"
        return
    if any(spec or conversion for _, _, spec, conversion in parts):
        yield "a placeholder is a name in braces and nothing else"
        return
    known = ", ".join(f"{{{each}}}" for each in sorted(allowed)) or "none"
    for name in sorted({str(part[1]) for part in parts} - allowed):
        yield f"unknown placeholder {{{name}}}; this text may hold: {known}"


def _refusal(name: str, text: str, location: tuple[str | int, ...], reason: str) -> BadScenarios:
    line = line_of(text, location)
    field = ".".join(str(part) for part in location)
    return BadScenarios(f"{name}, line {line}, {field}: {reason}", file=name, line=line, field=field, reason=reason)
