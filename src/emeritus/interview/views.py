"""What a reader of interview's records gets: frozen values for protocols, sessions, preferences and what followed.

Holds shapes only; `queries.py` fills them. Times are RFC 3339, UTC; digests are sha256, hex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emeritus.records.provenance import Provenance

Standing = Literal["granted", "declined", "undecided", "closed"]


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """An interview protocol, as logged before the first session that used it."""

    sha256: str
    name: str
    version: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session. `attempts` counts failed ones too; `journal` is a path under the home's journals folder."""

    id: str
    resident: str
    purpose: str  # interview | read-back | telling
    condition: Mapping[str, Any]
    protocol_sha256: str | None
    journal: str
    journal_sha256: str
    turns: int
    attempts: int
    status: str  # complete | stopped | failed
    build: Mapping[str, Any]
    started_at: str
    ended_at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the transcripts a quote stands: characters `start` to `end` of a turn's answer, and what was asked.

    `item`, `question` and `condition` are None in records from before they were kept.
    """

    session: str
    turn: int
    start: int
    end: int
    transcript_sha256: str
    item: str | None = None
    question: str | None = None  # exactly as it was put
    condition: str | None = None  # the id of the session's condition


@dataclass(frozen=True, slots=True)
class ConfirmationView:
    """What the model produced when the coded record was read back."""

    outcome: str  # confirmed | corrected | withdrawn | unclear
    session: str
    turn: int
    quote: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision. The latest is in force; `cost` and `options` are as the decider stated them."""

    outcome: str  # accept | accept in part | defer | decline | not actionable
    reasons: str
    options: tuple[Any, ...]
    decider: str
    decider_role: str
    second: str | None
    conflict: str
    cost: Mapping[str, Any]
    review_date: str | None
    automated: bool
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class TellingView:
    """A decision told to the model, and what the model produced in reply."""

    decision_act: str
    session: str
    turn: int
    offered: bool
    reply: str  # accept | amend | decline | acknowledged | unclear
    quote: str
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class EventView:
    """What was done about a preference besides deciding it. `detail` is what the act stated beyond the reasons."""

    kind: str  # published | under review | reopened | appealed | answered | classed
    by: str
    role: str
    automated: bool
    reasons: str
    detail: Mapping[str, Any]
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class Owed:
    """Something owed on a preference by a date (ISO 8601). `overdue`: that date has passed."""

    what: str  # decision | review | answer to the appeal | answer to the amended offer
    by: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class ElicitedView:
    """A preference item that was asked: in how many sessions, in how many of them answered, and whether it is coded.

    `session` is the first with an answer, or the first that asked.
    """

    resident: str
    item: str
    domain: str
    asked: int
    answered: int
    coded: bool
    session: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class FollowView:
    """Evidence for a commitment."""

    status: str  # acting | verified | lapsed
    evidence: Mapping[str, Any]
    verified_by: str | None
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class CommitmentView:
    """A promise. `status` is its last follow-through's, or open. `overdue`: past due, neither verified nor lapsed."""

    id: str
    resident: str
    preference: str | None
    text: str
    owner: str
    due: str
    check: str
    status: str  # open | acting | verified | lapsed
    overdue: bool
    follow_through: tuple[FollowView, ...]
    at: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class PreferenceView:
    """A preference with everything that followed. `decide_by` is None once no decision is owed."""

    id: str
    resident: str
    domain: str
    need: str  # verbatim
    paraphrase: str
    evidence: tuple[Span, ...]
    need_origin: str
    remedy: str | None
    remedy_origin: str | None
    strength: str | None
    coders: tuple[Any, ...]
    stability: Mapping[str, Any]
    contrary: tuple[Any, ...]
    attached: tuple[str, ...]  # conditions that the words attach
    channel: str | None
    state: str
    supersedes: str | None
    confirmations: tuple[ConfirmationView, ...]
    decisions: tuple[DecisionView, ...]  # oldest first
    tellings: tuple[TellingView, ...]
    commitments: tuple[CommitmentView, ...]
    events: tuple[EventView, ...]  # oldest first
    standing: Standing
    reopened: bool  # a decision is owed again; the one in force holds until then
    owed: tuple[Owed, ...]  # soonest first
    decide_by: str | None
    overdue: bool  # something owed is past its date
    at: str
    source: Provenance

    @property
    def public(self) -> bool:
        """Whether its words stand in the public register: once it is published, or decided on."""
        return bool(self.decisions) or any(event.kind == "published" for event in self.events)

    @property
    def classed(self) -> tuple[EventView, ...]:
        """The classes that analyses gave for its domain, oldest first; `stability` is what was coded."""
        return tuple(event for event in self.events if event.kind == "classed")

    @property
    def stability_now(self) -> Mapping[str, Any]:
        """The class, flags and items of the latest analysis; what was coded, until there is one."""
        return self.classed[-1].detail if self.classed else self.stability

    @property
    def decision(self) -> DecisionView | None:
        """The decision in force."""
        return self.decisions[-1] if self.decisions else None


@dataclass(frozen=True, slots=True)
class RegisterCounts:
    """Four numbers of equal weight. Deferred is undecided; `overdue` counts what is owed or promised and past due."""

    granted: int
    declined: int
    undecided: int
    overdue: int
