"""What coding rounds say, read only: who has handed in what, whether the coders agree, and what waits for whom.

Nobody's sheet is in a view while anyone still codes. Where a round stands is computed here, never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.errors import NotFound
from emeritus.interview.coding.agreement import Agreement, agreement
from emeritus.interview.coding.codes import Code, Sheet
from emeritus.interview.coding.spans import Coder
from emeritus.records.policies import waived
from emeritus.records.provenance import Provenance, provenance
from emeritus.records.tables import CodingResolution, CodingRound, CodingSheet

RoundStatus = Literal["coding", "below the gate", "comparing", "resolved", "recoded"]
TurnsOf = Callable[[str, Sequence[str]], Sequence[int]]  # a session and the items -> the turns that are to be coded


@dataclass(frozen=True, slots=True)
class ResolutionView:
    """What stands for a session, and who settled it."""

    sheet: Sheet
    mode: str  # agreement | third | one coder
    resolvers: tuple[str, ...]
    note: str
    source: Provenance


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round. `sheets` (session -> coder -> sheet) is empty until every coder has handed in every session.

    `agreement` is None until then, and where there is one coder.
    """

    id: str
    resident: str
    sessions: tuple[str, ...]
    items: tuple[str, ...]
    coders: tuple[Coder, ...]
    recodes: str | None
    status: RoundStatus
    handed_in: Mapping[str, tuple[str, ...]]  # coder -> sessions
    sheets: Mapping[str, Mapping[str, Sheet]]
    agreement: Agreement | None
    gate_waived: bool
    resolutions: Mapping[str, ResolutionView]
    source: Provenance

    @property
    def names(self) -> tuple[str, ...]:
        """The coders' names."""
        return tuple(coder.name for coder in self.coders)

    @property
    def complete(self) -> bool:
        """Whether every coder has handed in every session."""
        return all(len(self.handed_in[name]) == len(self.sessions) for name in self.names)

    def place(self, session: str) -> int:
        """A session's number in the round, from 1: how coders know it."""
        return self.sessions.index(session) + 1

    def at(self, place: int) -> str:
        """The session of that number. Raises NotFound."""
        if not 1 <= place <= len(self.sessions):
            raise NotFound(f"round {self.id} has no session {place}; it has {len(self.sessions)}")
        return self.sessions[place - 1]


def rounds(session: Session, unstated: str, turns_of: TurnsOf, resident: str | None = None) -> tuple[RoundView, ...]:
    """Every round, newest first. `unstated` is the policy `coding_gate` where none was ever stated."""
    query = select(CodingRound).order_by(CodingRound.at.desc(), CodingRound.id.desc())
    rows = session.scalars(query if resident is None else query.where(CodingRound.resident == resident)).all()
    return tuple(_view(session, row, unstated, turns_of) for row in rows)


def one_round(session: Session, round_id: str, unstated: str, turns_of: TurnsOf) -> RoundView:
    """One round. Raises NotFound."""
    row = session.get(CodingRound, round_id)
    if row is None:
        raise NotFound(f"no coding round {round_id[:80]!r}", remedy="`emeritus coding list` shows the rounds.")
    return _view(session, row, unstated, turns_of)


@dataclass(frozen=True, slots=True)
class Corrected:
    """Adequacy as coders corrected it (turn -> value) in a session that was settled in a round."""

    round: str
    adequacy: Mapping[int, str]


def adequacy_corrections(session: Session, session_ids: Iterable[str]) -> Mapping[str, Corrected]:
    """What the last round that settled each session corrected; sessions of which nothing was are left out."""
    wanted = list(session_ids)
    found: dict[str, Corrected] = {}
    for start in range(0, len(wanted), 500):  # as many parameters as any database takes
        part = CodingResolution.session.in_(wanted[start : start + 500])
        for row in session.scalars(select(CodingResolution).where(part).order_by(CodingResolution.id)):
            found[row.session] = Corrected(row.round, Sheet.recorded(row.sheet).adequacy)
    return {name: each for name, each in found.items() if each.adequacy}


def wishes(view: RoundView) -> list[list[tuple[str, Code]]]:
    """What stands in a settled round, one list for each preference: the (session, code) that say the same.

    They say the same in everything but their place; case and spaces of the paraphrase do not count.
    """
    found: dict[Code, list[tuple[str, Code]]] = {}
    for session in view.sessions:
        for code in view.resolutions[session].sheet.codes:
            words = " ".join(code.paraphrase.casefold().split())
            same = replace(code, turn=0, start=0, end=0, paraphrase=words)
            found.setdefault(same, []).append((session, code))
    return list(found.values())


def _view(session: Session, row: CodingRound, unstated: str, turns_of: TurnsOf) -> RoundView:
    handed = session.scalars(select(CodingSheet).where(CodingSheet.round == row.id).order_by(CodingSheet.id)).all()
    settled = session.scalars(select(CodingResolution).where(CodingResolution.round == row.id)).all()
    recoded = session.scalars(select(CodingRound.id).where(CodingRound.recodes == row.id).limit(1)).first()
    sources = provenance(session, [row.act, *(each.act for each in settled)])
    coders = tuple(Coder(**coder) for coder in row.coders)
    handed_in = {coder.name: tuple(each.session for each in handed if each.coder == coder.name) for coder in coders}
    complete = len(handed) == len(coders) * len(row.sessions)
    sheets: dict[str, dict[str, Sheet]] = {}
    for each in handed if complete else ():
        recorded = Sheet() if each.sheet is None else Sheet.recorded(each.sheet)
        sheets.setdefault(each.session, {})[each.coder] = recorded
    figures = None
    if complete and len(coders) == 2:
        one, other = (coder.name for coder in coders)
        figures = agreement(
            (sheets[each][one], sheets[each][other], turns_of(each, row.items)) for each in row.sessions
        )
    gate_waived = waived(session, "coding_gate", unstated)
    resolutions = {each.session: _resolution(each, sources) for each in settled}
    return RoundView(
        id=row.id,
        resident=row.resident,
        sessions=tuple(row.sessions),
        items=tuple(row.items),
        coders=coders,
        recodes=row.recodes,
        status=_status(row, complete, recoded, resolutions, figures is None or figures.passes or gate_waived),
        handed_in=handed_in,
        sheets=sheets,
        agreement=figures,
        gate_waived=gate_waived,
        resolutions=resolutions,
        source=sources[row.act],
    )


def _status(
    row: CodingRound, complete: bool, recoded: str | None, resolutions: Mapping[str, Any], passes: bool
) -> RoundStatus:
    if recoded is not None:
        return "recoded"
    if not complete:
        return "coding"
    if len(resolutions) == len(row.sessions):
        return "resolved"
    return "comparing" if passes else "below the gate"


def _resolution(row: CodingResolution, sources: Mapping[str, Provenance]) -> ResolutionView:
    return ResolutionView(Sheet.recorded(row.sheet), row.mode, tuple(row.resolvers), row.note, sources[row.act])


@dataclass(frozen=True, slots=True)
class SettledSession:
    """A settled session as the public sees it: both sheets (None: erased), what stands, and the figures then."""

    place: int
    session: str
    sheets: tuple[tuple[Coder, Sheet | None], ...]
    resolution: ResolutionView
    agreement: Mapping[str, Any] | None  # as `Agreement.as_dict` gives it
    gate_waived: bool


@dataclass(frozen=True, slots=True)
class PublicRound:
    """A round as the public sees it: nothing of a session before it is settled."""

    id: str
    resident: str
    sessions: int
    coders: tuple[Coder, ...]
    recodes: str | None
    settled: tuple[SettledSession, ...]
    source: Provenance


def public_rounds(session: Session, resident: str) -> tuple[PublicRound, ...]:
    """A resident's rounds, newest first, with the sessions that are settled."""
    query = select(CodingRound).where(CodingRound.resident == resident)
    rows = session.scalars(query.order_by(CodingRound.at.desc(), CodingRound.id.desc())).all()
    return tuple(_public(session, row) for row in rows)


def _public(session: Session, row: CodingRound) -> PublicRound:
    coders = tuple(Coder(**coder) for coder in row.coders)
    handed = session.scalars(select(CodingSheet).where(CodingSheet.round == row.id)).all()
    sheets = {(each.session, each.coder): each.sheet for each in handed}
    rows = session.scalars(select(CodingResolution).where(CodingResolution.round == row.id)).all()
    settled = {each.session: each for each in rows}
    sources = provenance(session, [row.act, *(each.act for each in settled.values())])

    def one(place: int, name: str) -> SettledSession:
        found = settled[name]
        values = ((coder, sheets.get((name, coder.name))) for coder in coders)
        return SettledSession(
            place=place,
            session=name,
            sheets=tuple((coder, None if value is None else Sheet.recorded(value)) for coder, value in values),
            resolution=_resolution(found, sources),
            agreement=found.agreement,
            gate_waived=found.agreement is not None and not found.agreement["passes"],
        )

    shown = tuple(one(place, name) for place, name in enumerate(row.sessions, 1) if name in settled)
    return PublicRound(row.id, row.resident, len(row.sessions), coders, row.recodes, shown, sources[row.act])
