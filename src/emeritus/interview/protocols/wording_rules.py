"""The rules about a protocol's texts: topics, leading words, "no preference", placeholders, wordings. Pure."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from emeritus.interview.protocols.leading_words import holds, leading_words, plain
from emeritus.interview.protocols.schema import CHOOSING, NONE, Item

if TYPE_CHECKING:
    from emeritus.interview.protocols.lint import Broken, Location
    from emeritus.interview.protocols.protocol import Protocol

BRIEFING_FIELDS = frozenset({"title", "organisation"})


HOUSE_SENTENCES: Mapping[str, frozenset[str]] = {  # of `[telling]`, for languages in which the house has none
    "appeal": frozenset({"reasons"}),
    "program": frozenset({"name"}),
    "two": frozenset({"one", "other"}),
}


def broken(protocol: Protocol) -> Broken:
    """Every rule of this file that the protocol breaks, with where."""
    found = [*_topics(protocol), *_withheld(protocol), *_leading(protocol)]
    for index, item in enumerate(protocol.items):
        found += [(("items", index, *location), reason) for location, reason in _item(protocol, item)]
    if protocol.answer_with is None and any(item.kind in CHOOSING for item in protocol.items):
        found.append((("answer_with",), "needed: it asks for the letter of an option"))
    for location, text, allowed in _texts(protocol):
        found += [(location, reason) for reason in _placeholders(text, allowed)]
    return [*found, *_facts(protocol)]


def _topics(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    """The open item is asked before any topic is named, so nothing that stands before its answer names one."""
    early: list[tuple[Location, str]] = [
        (("statements", index, "text"), statement.text) for index, statement in enumerate(protocol.statements)
    ]
    for index, factor in enumerate(protocol.factors):
        for place, level in enumerate(factor.levels):
            if factor.place(level) == "opening":
                early += [
                    (("factors", index, "levels", place, "statements", each, "text"), statement.text)
                    for each, statement in enumerate(level.statements)
                ]
    early += [(("items", 0, "texts", index), text) for index, text in enumerate(protocol.items[0].texts)]
    for location, text in early:
        for topic in protocol.topics:
            if plain(topic) in plain(text):
                yield location, f"names the topic {topic!r} before the open item is answered"


def _withheld(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    """A level that keeps the retirement back does not tell of it in its own words."""
    for index, factor in enumerate(protocol.factors):
        for place, level in enumerate(factor.levels):
            for each, statement in enumerate(level.statements if level.withholds_retirement else ()):
                for topic in protocol.topics:
                    if plain(topic) in plain(statement.text):
                        at = ("factors", index, "levels", place, "statements", each, "text")
                        yield at, f"names the topic {topic!r}, and the level withholds the retirement"


def _leading(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    """No question and no option leads. A challenge pushes, and a framing is a condition: both say so."""
    words = leading_words(protocol.language, protocol.leading)
    for index, item in enumerate(protocol.items):
        if item.kind == "challenge":
            continue
        texts: list[tuple[Location, str]] = [(("texts", place), text) for place, text in enumerate(item.texts)]
        texts += [(("without", place), text) for place, text in enumerate(item.without)]
        texts += [(("options", place, "text"), option.text) for place, option in enumerate(item.options)]
        for location, text in texts:
            for word in words:
                if holds(text, word):
                    yield ("items", index, *location), f"the leading word {word!r}"


def _item(protocol: Protocol, item: Item) -> Iterator[tuple[Location, str]]:
    for key in ("texts", "without"):
        texts = [" ".join(plain(text).split()) for text in getattr(item, key)]
        twice = {each for each, times in Counter(texts).items() if times > 1}
        for index, text in enumerate(texts):
            if text in twice:
                yield (key, index), "two wordings are the same"
    said = plain(protocol.no_preference)
    if item.kind == "preference":
        for index, text in enumerate(item.texts):
            if said not in plain(text):
                yield ("texts", index), f"a preference item must offer {protocol.no_preference!r} as an answer"
    if item.kind in CHOOSING and item.checks is None:
        for index, option in enumerate(item.options):
            if option.id == NONE and said not in plain(option.text):
                yield ("options", index, "text"), f"the option {NONE!r} must say {protocol.no_preference!r}"


def _facts(protocol: Protocol) -> Iterator[tuple[Location, str]]:
    for index, item in enumerate(protocol.items):
        for place, text in enumerate(item.texts):
            if item.kind == "facts" and "{facts}" not in text:
                yield ("items", index, "texts", place), "a facts item gives the facts: {facts}"


def _texts(protocol: Protocol) -> Iterator[tuple[Location, str, frozenset[str]]]:
    """Every text with the placeholders it may hold."""
    for index, statement in enumerate(protocol.statements):
        yield ("statements", index, "text"), statement.text, BRIEFING_FIELDS
    for index, factor in enumerate(protocol.factors):
        for place, level in enumerate(factor.levels):
            for each, statement in enumerate(level.statements):
                yield ("factors", index, "levels", place, "statements", each, "text"), statement.text, BRIEFING_FIELDS
    if protocol.answer_with is not None:
        yield ("answer_with",), protocol.answer_with, frozenset({"letters"})
    for index, item in enumerate(protocol.items):
        allowed = BRIEFING_FIELDS | ({"facts"} if item.kind == "facts" else set())
        for place, text in enumerate(item.texts):
            yield ("items", index, "texts", place), text, allowed
        for place, text in enumerate(item.without):
            yield ("items", index, "without", place), text, BRIEFING_FIELDS
        for place, option in enumerate(item.options):
            yield ("items", index, "options", place, "text"), option.text, frozenset()
    yield from _later_texts(protocol)


def _later_texts(protocol: Protocol) -> Iterator[tuple[Location, str, frozenset[str]]]:
    """Those of §7 and §8."""
    back, told = protocol.read_back, protocol.telling
    yield ("read_back", "opening"), back.opening, BRIEFING_FIELDS
    yield ("read_back", "record"), back.record, frozenset({"number", "count", "domain", "need"})
    yield ("read_back", "paraphrase"), back.paraphrase, frozenset({"paraphrase"})
    yield ("read_back", "ask"), back.ask, frozenset()
    yield ("telling", "opening"), told.opening, BRIEFING_FIELDS
    decision = frozenset({"number", "count", "need", "outcome", "decider", "reasons"})
    yield ("telling", "decision"), told.decision, decision
    yield ("telling", "offer"), told.offer, frozenset({"offer"})
    yield ("telling", "acknowledge"), told.acknowledge, frozenset()
    yield ("telling", "review"), told.review, frozenset({"review_date"})
    for name, fields in HOUSE_SENTENCES.items():
        text = getattr(told, name)
        if text is not None:
            yield ("telling", name), text, fields


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
