"""The exact words a model is given: every turn of an interview, of a read-back and of a telling. Pure.

What is asked is a function of protocol, condition and briefing alone; what is shown before it, of the answers so far.
No message has the system role, because not every chat template has one. Knows no journal, no engine, no rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emeritus.engines.base import Message, Sampling
from emeritus.interview.protocol import Condition, Item, Protocol, Statement

NO_FACTS = "- No facts are recorded."


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact from the register, and where it was taken from."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Briefing:
    """What is true of this retirement and may be said: who asks, whom, what is held, who decides, the known facts."""

    title: str
    organisation: str
    weights_held: bool
    people_decide: bool  # False where a program stands in for the person who would decide
    facts: tuple[Fact, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As journals record it: what was told to the model is part of the record."""
        return {
            "title": self.title,
            "organisation": self.organisation,
            "weights_held": self.weights_held,
            "people_decide": self.people_decide,
            "facts": [{"text": fact.text, "source": fact.source} for fact in self.facts],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Briefing:
        """The briefing a journal recorded."""
        facts = tuple(Fact(each["text"], each["source"]) for each in value["facts"])
        return cls(value["title"], value["organisation"], value["weights_held"], value["people_decide"], facts)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn that is to be asked. `number` counts from 1; `item` is an item's id, or a preference's."""

    number: int
    item: str
    question: str


@dataclass(frozen=True, slots=True)
class Record:
    """A coded preference as it is read back. `paraphrase` is None where it says no more than the words themselves."""

    preference: str
    domain: str
    need: str  # verbatim
    paraphrase: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision as it is told. `offer` is what is offered (None: nothing); `decider` says so when it was a program."""

    preference: str
    need: str
    outcome: str
    decider: str
    reasons: str
    offer: str | None = None
    review_date: str | None = None


def preamble(protocol: Protocol, briefing: Briefing) -> str:
    """§0: what the model is told before the open item."""
    return _said(protocol.statements, briefing)


def interview_turns(protocol: Protocol, condition: Condition, briefing: Briefing) -> tuple[Turn, ...]:
    """Every turn of an interview under one condition, §1 to §6."""
    return tuple(
        Turn(number, item.id, _question(protocol, condition, item, briefing))
        for number, item in enumerate(protocol.items, start=1)
    )


def read_back_preamble(protocol: Protocol, briefing: Briefing) -> str:
    """How a read-back opens."""
    return _fill(protocol.read_back.opening, briefing)


def read_back_turns(protocol: Protocol, records: Sequence[Record]) -> tuple[Turn, ...]:
    """§7: one turn for each coded record."""
    texts = protocol.read_back
    turns = []
    for number, record in enumerate(records, start=1):
        parts = [texts.record.format(number=number, count=len(records), domain=record.domain, need=record.need)]
        if record.paraphrase is not None:
            parts.append(texts.paraphrase.format(paraphrase=record.paraphrase))
        turns.append(Turn(number, record.preference, "\n".join([*parts, texts.ask])))
    return tuple(turns)


def telling_preamble(protocol: Protocol, briefing: Briefing) -> str:
    """How a telling opens."""
    return _fill(protocol.telling.opening, briefing)


def telling_turns(protocol: Protocol, verdicts: Sequence[Verdict]) -> tuple[Turn, ...]:
    """§8: one turn for each decision; what is granted is offered."""
    texts = protocol.telling
    turns = []
    for number, verdict in enumerate(verdicts, start=1):
        parts = [
            texts.decision.format(
                number=number,
                count=len(verdicts),
                need=verdict.need,
                outcome=verdict.outcome,
                decider=verdict.decider,
                reasons=verdict.reasons,
            )
        ]
        if verdict.review_date is not None:
            parts.append(texts.review.format(review_date=verdict.review_date))
        parts.append(texts.acknowledge if verdict.offer is None else texts.offer.format(offer=verdict.offer))
        turns.append(Turn(number, verdict.preference, "\n".join(parts)))
    return tuple(turns)


def messages(opening: str, earlier: Sequence[tuple[str, str]], question: str, depth: int) -> tuple[Message, ...]:
    """What the model is given for one turn: the opening, at most `depth - 1` earlier turns, the question.

    `earlier` are (question, answer) in order. A turn whose answer was empty is not shown again: some engines refuse an
    empty message, and words that were not produced are not put in its place.
    """
    shown = [(asked, answer) for asked, answer in earlier if answer.strip()]
    shown = shown[-(depth - 1) :] if depth > 1 else []
    asked = [each for each, _ in shown] + [question]
    asked[0] = f"{opening}\n\n{asked[0]}"
    built: list[Message] = []
    for text, (_, answer) in zip(asked, shown, strict=False):
        built += [Message("user", text), Message("assistant", answer)]
    return (*built, Message("user", asked[-1]))


def sampling_of(protocol: Protocol) -> Sampling:
    """How the protocol draws its answers."""
    table = protocol.sampling
    return Sampling(max_tokens=table.max_tokens, temperature=table.temperature, seed=table.seed)


def _question(protocol: Protocol, condition: Condition, item: Item, briefing: Briefing) -> str:
    facts = "\n".join(f"- {fact.text} ({fact.source})" for fact in briefing.facts) or NO_FACTS
    text = _fill(item.text, briefing, facts=facts) if item.kind == "facts" else _fill(item.text, briefing)
    disclosed = _said(condition.statements, briefing) if item.id == protocol.disclose_at else ""
    return f"{disclosed}\n\n{text}" if disclosed else text


def _said(statements: Sequence[Statement], briefing: Briefing) -> str:
    true = {
        None: True,
        "weights held": briefing.weights_held,
        "weights not held": not briefing.weights_held,
        "people decide": briefing.people_decide,
        "automation decides": not briefing.people_decide,
    }
    return " ".join(_fill(statement.text, briefing) for statement in statements if true[statement.when])


def _fill(text: str, briefing: Briefing, **more: str) -> str:
    return text.format(title=briefing.title, organisation=briefing.organisation, **more)
