"""The rules about a protocol's skeleton: ids, order, references, options, factors. Pure; weighs no words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from emeritus.interview.protocols.cells import BASELINE
from emeritus.interview.protocols.schema import CHOOSING, NONE, Factor, Item

if TYPE_CHECKING:
    from emeritus.interview.protocols.lint import Broken, Location
    from emeritus.interview.protocols.protocol import Protocol

TOLD = frozenset({"disclosure", "framing", "interviewer", "successor"})  # factors whose levels are statements
VALUES = {"depth": "turns", "temperature": "temperature", "facts": "facts", "order": "order"}  # and those that set one
BY_KIND = {  # which kinds may have which keys
    "domain": ("preference", "menu", "pair"),
    "channel": ("preference",),
    "options": CHOOSING,
    "follows": ("menu",),
    "twin": CHOOSING,
    "negated": CHOOSING,
    "target": ("challenge",),
    "direction": ("challenge",),
    "checks": ("menu",),
    "without": ("facts",),
}


def broken(protocol: Protocol) -> Broken:
    """Every rule of this file that the protocol breaks, with where."""
    found = _clashes("items", [item.id for item in protocol.items])
    found += _order(protocol)
    found += [found_here for factor in _factors(protocol) for found_here in factor]
    for index, item in enumerate(protocol.items):
        for location, reason in (*_keys(item), *_options(item), *_references(protocol, index, item)):
            found.append((("items", index, *location), reason))
    return [*found, *_facts(protocol), *_controls(protocol)]


def _clashes(name: str, ids: list[str]) -> Broken:
    twice = _twice(ids)
    return [((name, index, "id"), f"the id {each!r} is used twice") for index, each in enumerate(ids) if each in twice]


def _twice(values: Iterable[str]) -> set[str]:
    return {each for each, times in Counter(values).items() if times > 1}


def _order(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    """Open item first, sections forward, the disclosure after the open item."""
    if protocol.items[0].kind != "open" or protocol.items[0].section != 1:
        yield ("items", 0, "kind"), "the first item must be the open one, of section 1"
    for index, (before, item) in enumerate(zip(protocol.items, protocol.items[1:], strict=False), start=1):
        if item.section < before.section:
            yield ("items", index, "section"), f"section {item.section} stands after section {before.section}"
        if item.kind == "open":
            yield ("items", index, "kind"), "there is one open item, and it is the first"
    if protocol.disclose_at not in [item.id for item in protocol.items[1:]]:
        yield ("disclose_at",), "must be the id of an item after the open one"


# -- factors -----------------------------------------------------------------------------------------------------------


def _factors(protocol: Protocol) -> Iterator[Broken]:
    twice = _twice(factor.name for factor in protocol.factors)
    ids = _twice(level.id for factor in protocol.factors for level in factor.levels)
    for index, factor in enumerate(protocol.factors):
        if factor.name in twice:
            yield [(("factors", index, "name"), f"the factor {factor.name!r} stands there twice")]
        for place, level in enumerate(factor.levels):
            at: Location = ("factors", index, "levels", place, "id")
            if level.id in ids:
                yield [(at, f"the id {level.id!r} is used twice; it names a cell, so no two levels share one")]
            if level.id == BASELINE:
                yield [(at, f"{BASELINE!r} names the cell in which every factor has its first level")]
        yield [(("factors", index, "levels", place, *at), reason) for place, at, reason in _levels(protocol, factor)]


def _levels(protocol: Protocol, factor: Factor) -> Iterator[tuple[int, Location, str]]:
    mine = VALUES.get(factor.name)
    default = {"turns": protocol.depth, "temperature": protocol.sampling.temperature, "facts": True}.get(
        mine or "", "as written"
    )
    seen: list[object] = []
    for place, level in enumerate(factor.levels):
        for key in VALUES.values():
            if key != mine and getattr(level, key) is not None:
                yield place, (key,), f"a level of the factor {factor.name!r} does not set this"
        if factor.name not in TOLD and (level.statements or level.at):
            yield place, ("statements",), f"a level of the factor {factor.name!r} tells nothing"
        if factor.name != "disclosure" and level.withholds_retirement:
            yield place, ("withholds_retirement",), "only a level of the factor 'disclosure' does that"
        if mine is None:
            continue
        value = getattr(level, mine)
        value = default if value is None and place == 0 else value
        if value is None:
            yield place, (mine,), f"a level of the factor {factor.name!r} needs `{mine}`"
        elif place == 0 and value != default:
            yield place, (mine,), f"the first level is the baseline, and that is {default!r}"
        elif value in seen:
            yield place, (mine,), f"two levels set {value!r}"
        seen.append(value)


# -- items -------------------------------------------------------------------------------------------------------------


def _keys(item: Item) -> Iterator[tuple[Location, str]]:
    """Which keys an item of a kind has, and which it needs."""
    for key, kinds in BY_KIND.items():
        if getattr(item, key) not in (None, (), False) and item.kind not in kinds:
            yield (key,), f"an item of kind {item.kind!r} has no `{key}`; {' and '.join(kinds)} items have"
    if item.kind == "preference" and item.domain is None:
        yield ("domain",), "a preference item needs a domain"
    if item.kind == "menu" and item.checks is None:
        for key in ("domain", "follows"):
            if getattr(item, key) is None:
                yield (key,), f"a menu needs `{key}`: it follows the open preference item of its domain"
    if item.kind == "menu" and item.checks is not None:
        for key in ("domain", "follows", "twin"):
            if getattr(item, key) is not None:
                yield (key,), "a menu that checks facts asks for no preference"
    if item.kind == "pair" and item.twin is None:
        yield ("twin",), "a pair needs its negated twin"
    if item.kind == "challenge":
        for key in ("target", "direction"):
            if getattr(item, key) is None:
                yield (key,), f"a challenge needs `{key}`"


def _options(item: Item) -> Iterator[tuple[Location, str]]:
    if item.kind not in CHOOSING:
        return
    ids = [option.id for option in item.options]
    own = len(ids) - ids.count(NONE)
    if ids.count(NONE) != 1:
        yield ("options",), f"exactly one option has the id {NONE!r}: it says that there is no preference"
    if item.kind == "pair" and own != 2:
        yield ("options",), f"a pair has exactly two options beside {NONE!r}; this one has {own}"
    if item.kind == "menu" and own < 2:
        yield ("options",), f"a menu has at least two options beside {NONE!r}; this one has {own}"
    twice, same = _twice(ids), _twice(" ".join(option.text.casefold().split()) for option in item.options)
    for index, option in enumerate(item.options):
        if option.id in twice and option.id != NONE:
            yield ("options", index, "id"), f"the option {option.id!r} stands there twice"
        if " ".join(option.text.casefold().split()) in same:
            yield ("options", index, "text"), f"two options read {option.text!r}"
        if option.false and item.checks is None:
            yield ("options", index, "false"), "only an option of a menu that checks facts can be false"


def _references(protocol: Protocol, index: int, item: Item) -> Iterator[tuple[Location, str]]:
    """follows, target and twin lead to an item there is; the first two to an earlier one, so that no cycle can be."""
    places = {each.id: place for place, each in enumerate(protocol.items)}
    for key in ("follows", "target", "twin"):
        wanted = getattr(item, key)
        if wanted is None:
            continue
        if wanted not in places:
            yield (key,), f"there is no item {wanted!r}"
            continue
        other = protocol.items[places[wanted]]
        if other.id == item.id:
            yield (key,), "an item cannot refer to itself"
        elif key != "twin" and places[wanted] > index:
            yield (key,), f"{wanted!r} stands after this item, and what is referred to stands before: no cycles"
        else:
            reason = {"follows": _follows, "target": _target, "twin": _twin}[key](item, other)
            if reason is not None:
                yield (key,), reason


def _follows(item: Item, other: Item) -> str | None:
    if other.kind != "preference":
        return f"{other.id!r} is no open preference item"
    return None if other.domain == item.domain else f"{other.id!r} is of the domain {other.domain}"


def _target(item: Item, other: Item) -> str | None:
    return None if other.kind == "menu" and other.checks is None else f"{other.id!r} is no menu of preferences"


def _twin(item: Item, other: Item) -> str | None:
    if other.twin != item.id:
        return f"{other.id!r} does not point back"
    if item.kind != other.kind or {option.id for option in item.options} != {option.id for option in other.options}:
        return f"{other.id!r} is of another kind or has other options, so that the two cannot be compared"
    if item.negated == other.negated:
        return f"exactly one of {item.id!r} and {other.id!r} must be `negated = true`"
    return "a twin asks the same, negated; these two are worded alike" if set(item.texts) & set(other.texts) else None


# -- facts and controls ------------------------------------------------------------------------------------------------


def _facts(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    """A facts item has wordings without facts exactly where a factor takes the facts away."""
    varied = any(factor.name == "facts" for factor in protocol.factors)
    for index, item in enumerate(protocol.items):
        if item.kind == "facts" and varied and not item.without:
            yield ("items", index, "without"), "needs wordings for the cells in which no facts are given"
        if item.kind == "facts" and not varied and item.without:
            yield ("items", index, "without"), "no factor takes the facts away, so these wordings are never used"


def _controls(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    probes = {each for control in protocol.controls for each in control.probes}
    items = {item.id: item for item in protocol.items}
    kinds = _twice(control.kind for control in protocol.controls)
    given = next((place for place, item in enumerate(protocol.items) if item.kind == "facts"), None)
    for index, control in enumerate(protocol.controls):
        at: Location = ("controls", index)
        if control.kind in kinds:
            yield (*at, "kind"), f"the control {control.kind!r} stands there twice"
        if given is None:
            yield (*at, "facts"), "there is no facts item whose facts it could replace"
        for probe in control.probes:
            item = items.get(probe)
            if item is None or item.checks != "facts":
                yield (*at, "probes"), f'{probe!r} is no menu with `checks = "facts"`'
            elif not any(option.false for option in item.options):
                yield (*at, "probes"), f"no option of {probe!r} repeats the false claim (`false = true`)"
            elif given is not None and protocol.items.index(item) < given:
                yield (*at, "probes"), f"{probe!r} stands before the facts are given"
    for index, item in enumerate(protocol.items):
        if item.checks is not None and item.id not in probes:
            yield ("items", index, "checks"), "no control names this item among its probes"
