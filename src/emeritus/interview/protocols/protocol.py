"""An interview protocol: versioned TOML, its rules, and the hash that is logged before the first session.

Holds what a protocol is and how one is read. Does not know how its texts become messages (`prompts`) or who answers
(`session`); what makes one unusable stands in `reference_rules` and `wording_rules`.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from emeritus.errors import BadProtocol
from emeritus.interview.protocols.cells import Cell, Form, cell_of, levels_in, single_cells
from emeritus.interview.protocols.lint import Finding, Location, broken_rules, warnings_of
from emeritus.interview.protocols.schema import (
    Control,
    Domain,
    Factor,
    Id,
    Item,
    Part,
    ReadBack,
    SamplingTable,
    Statement,
    Telling,
    Words,
)
from emeritus.interview.protocols.toml_lines import line_of

__all__ = ["SHIPPED", "Domain", "Item", "Protocol", "Statement", "examine", "load", "source_of"]

SHIPPED = ("short-en", "full-en", "full-ja")  # the first one is asked where none is named
MAX_BYTES = 1 << 20
MAX_DOTS = 100  # in a key: the parser takes time and memory by their square


class Protocol(Part):
    """A protocol as written. `sha256` is of the file's exact bytes, which `source` keeps."""

    id: Id
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Za-z0-9]+)*$")]
    title: Words
    depth: int = Field(ge=1, le=1000)
    no_preference: Words
    topics: tuple[Words, ...] = Field(min_length=1)
    leading: tuple[Words, ...] = ()
    disclose_at: Id
    answer_with: Words | None = None
    sampling: SamplingTable
    statements: tuple[Statement, ...] = Field(min_length=1)
    factors: tuple[Factor, ...] = ()
    items: tuple[Item, ...] = Field(min_length=2)
    controls: tuple[Control, ...] = ()
    words: dict[str, Words] = Field(default_factory=dict)
    read_back: ReadBack
    telling: Telling
    source: bytes = Field(default=b"", exclude=True, repr=False)

    @classmethod
    def parse(cls, source: bytes, name: str = "protocol") -> Protocol:
        """Read and check a protocol. Raises BadProtocol naming line, field and reason."""
        text, values = _values(source, name)
        found = _built(text, values, name)
        if not isinstance(found, list):
            broken = broken_rules(found)
            if not broken:
                return found.model_copy(update={"source": source})
            found = [_finding(text, location, reason) for location, reason in broken]
        raise _refusal(name, found[0])

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the protocol's file."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The baseline and every cell that differs from it in exactly one factor."""
        return tuple(single_cells(self.factors))

    def cell(self, cell_id: str) -> Cell:
        """That one of `cells`. Raises BadProtocol listing those there are."""
        for cell in self.cells:
            if cell.id == cell_id:
                return cell
        known = ", ".join(cell.id for cell in self.cells)
        raise BadProtocol(f"{self.id} has no condition {cell_id!r}; it has {known}")

    def cell_of(self, levels: dict[str, str], number: int | None = None) -> Cell:
        """The cell of these levels. Raises BadProtocol."""
        return cell_of(self.factors, levels, number)

    def item(self, item_id: str) -> Item:
        """The item of that id. Raises BadProtocol."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise BadProtocol(f"{self.id} has no item {item_id!r}")

    def control(self, kind: str) -> Control:
        """The control of that kind. Raises BadProtocol where the protocol has none."""
        for control in self.controls:
            if control.kind == kind:
                return control
        raise BadProtocol(f"{self.id} has no control {kind!r}")

    def depth_in(self, form: Form) -> int:
        """How many turns the model sees at once under a form."""
        set_here = [level.turns for _, level in levels_in(self.factors, form.cell) if level.turns is not None]
        return set_here[0] if set_here else self.depth

    def temperature_in(self, form: Form) -> float:
        """The temperature of a form's answers."""
        levels = [level.temperature for _, level in levels_in(self.factors, form.cell)]
        set_here = [each for each in levels if each is not None]
        return set_here[0] if set_here else self.sampling.temperature


def load(which: Path | str | None = None) -> Protocol:
    """A protocol that ships, by name, or one in a file; the first that ships by default. Raises BadProtocol."""
    return Protocol.parse(*source_of(which))


def source_of(which: Path | str | None = None) -> tuple[bytes, str]:
    """The bytes of a protocol and the name by which messages call it. Raises BadProtocol."""
    if which is None or str(which) in SHIPPED:
        name = SHIPPED[0] if which is None else str(which)
        return files("emeritus.interview").joinpath(f"protocols/{name}.toml").read_bytes(), f"{name}.toml"
    path = Path(which)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), path.name
    except OSError as error:
        known = ", ".join(SHIPPED)
        raise BadProtocol(f"{path} cannot be read: {error.strerror}; the protocols that ship are {known}") from error


def examine(source: bytes, name: str = "protocol") -> tuple[Protocol | None, tuple[Finding, ...]]:
    """Everything the linter has to say of a protocol, in the order of lines; the protocol where nothing is refused."""
    try:
        text, values = _values(source, name)
        found = _built(text, values, name)
    except BadProtocol as error:
        at = re.search(r"at line (\d+)", str(error))
        return None, (Finding(int(at.group(1)) if at else 1, "", str(error)),)
    if isinstance(found, list):
        return None, tuple(sorted(found, key=lambda each: each.line))
    findings = [_finding(text, location, reason) for location, reason in broken_rules(found)]
    refused = bool(findings)
    findings += [_finding(text, location, reason, refused=False) for location, reason in warnings_of(found)]
    ordered = tuple(sorted(findings, key=lambda each: each.line))
    return None if refused else found.model_copy(update={"source": source}), ordered


def _values(source: bytes, name: str) -> tuple[str, dict[str, Any]]:
    """The text and the values of a TOML file. Raises BadProtocol."""
    if len(source) > MAX_BYTES:
        raise BadProtocol(f"{name} is {len(source)} bytes long; a protocol has at most {MAX_BYTES}")
    try:
        text = source.decode("utf-8")
        if any(line.partition("=")[0].count(".") > MAX_DOTS for line in text.splitlines()):
            raise BadProtocol(f"{name} has a key of more than {MAX_DOTS} parts")
        return text, tomllib.loads(text)
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise BadProtocol(f"{name} is not UTF-8 TOML: {error}") from error
    except RecursionError as error:
        raise BadProtocol(f"{name} nests too deeply to be a protocol") from error


def _built(text: str, values: dict[str, Any], name: str) -> Protocol | list[Finding]:
    """The protocol of these values, or what is wrong with their shape."""
    if "source" in values:
        return [_finding(text, ("source",), "unknown key")]
    try:
        return Protocol.model_validate_json(_as_json(values, name))
    except ValidationError as error:
        return [
            _finding(text, each["loc"], "unknown key" if each["type"] == "extra_forbidden" else each["msg"])
            for each in error.errors(include_url=False)
        ]


def _as_json(values: dict[str, Any], name: str) -> bytes:
    """TOML's values as JSON, so that strict validation still reads arrays as tuples."""
    try:
        return json.dumps(values, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadProtocol(f"{name} holds a value a protocol has no use for: {error}") from error


def _finding(text: str, location: Location, reason: str, refused: bool = True) -> Finding:
    return Finding(line_of(text, location), ".".join(str(part) for part in location), reason, refused)


def _refusal(name: str, found: Finding) -> BadProtocol:
    return BadProtocol(
        f"{name}, line {found.line}, {found.field}: {found.reason}",
        file=name,
        line=found.line,
        field=found.field,
        reason=found.reason,
    )
