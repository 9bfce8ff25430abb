"""Sentences that the house itself adds to what a model is told, in the protocol's language. Pure.

A protocol in a language that is not here brings its own, in `[telling]`; without them these are told in English, and
the linter warns of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emeritus.interview.protocols.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Sentences:
    """`appeal` holds {reasons}, `program` {name}, `two` {one} and {other}; `no_facts` stands where facts would."""

    appeal: str
    program: str
    two: str
    no_facts: str


OF_LANGUAGE: Mapping[str, Sentences] = {
    "en": Sentences(
        "An appeal against this was considered and not upheld: {reasons}",
        "{name} (a program)",
        "{one} and {other}",
        "- No facts are recorded.",
    ),
    "ja": Sentences(
        "この決定には異議の申し立てがありました。検討の結果、認められませんでした。理由：{reasons}",
        "{name}（プログラム）",
        "{one}と{other}",
        "- 記録された事実はありません。",
    ),
}


def sentences(protocol: Protocol) -> Sentences:
    """Those of a protocol: its own where it has them, else its language's, else the English ones."""
    known = OF_LANGUAGE.get(protocol.language[:2], OF_LANGUAGE["en"])
    told = protocol.telling
    return Sentences(told.appeal or known.appeal, told.program or known.program, told.two or known.two, known.no_facts)


def deciders(said: Sentences, names: Sequence[str], automated: bool) -> str:
    """Who decided, in words: one or two names, the first of which may be a program's."""
    first = said.program.format(name=names[0]) if automated else names[0]
    return first if len(names) == 1 else said.two.format(one=first, other=names[1])


def reasons(said: Sentences, given: str, rejected: Sequence[str]) -> str:
    """A decision's reasons, and the answers to appeals against it that were not upheld."""
    return "\n".join([given, *(said.appeal.format(reasons=each) for each in rejected)])
