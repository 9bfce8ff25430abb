"""Coding rounds: opened, coded blind, compared, settled. The door of the rounds; every step is an act with its person.

A sheet that is handed in is private (its commitment is in the ledger) until its session is settled; then it is part of
the public record, beside what stands. Only what was settled becomes preferences. Knows no page and no engine.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.errors import ActConflict, InputError, PersonNeeded, RuleError
from emeritus.interview.coding.agreement import GATE
from emeritus.interview.coding.blind import BlindSession, blind
from emeritus.interview.coding.codes import Sheet, check_sheet
from emeritus.interview.coding.openings import Opening, drawn, mixed
from emeritus.interview.coding.round_views import RoundView, one_round, rounds, wishes
from emeritus.interview.coding.spans import Coder, Quote
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interviews
from emeritus.interview.sessions.transcript import Transcript
from emeritus.records.database import Database
from emeritus.records.policies import waived
from emeritus.records.tables import CodingDraft, CodingRound
from emeritus.settings import Settings

Json = dict[str, Any]
MOST_NOTE = 2000  # characters


class CodingRounds:
    """The coding rounds of one home."""

    def __init__(self, acts: Acts, database: Database, interviews: Interviews, settings: Settings) -> None:
        self._acts = acts
        self._database = database
        self._interviews = interviews
        self._settings = settings
        self._protocols: dict[str, Protocol] = {}
        self._known: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}

    # -- reading -----------------------------------------------------------------------------------------------------

    def every(self, resident: str | None = None) -> tuple[RoundView, ...]:
        """Every round, newest first."""
        with self._database.reading() as session:
            return rounds(session, self._settings.coding_gate, self._turns, resident)

    def find(self, round_id: str) -> RoundView:
        """One round. Raises NotFound."""
        with self._database.reading() as session:
            return one_round(session, round_id, self._settings.coding_gate, self._turns)

    def session(self, view: RoundView, place: int) -> tuple[BlindSession, Transcript]:
        """The session of that number as coders see it, and its checked transcript. Raises NotFound, IntegrityError."""
        transcript = self._interviews.transcript(view.at(place))
        return blind(self._parsed(transcript.protocol["sha256"]), transcript, view.items), transcript

    # -- opening -----------------------------------------------------------------------------------------------------

    def open(self, opening: Opening, actor: Actor) -> RoundView:
        """Open a round. Raises InputError, NotFound, PersonNeeded (one coder, or programs alone, unless waived)."""
        names = [coder.name.strip() for coder in opening.coders]
        if not all(names) or len(set(names)) != len(names) or not 1 <= len(names) <= 2:
            raise InputError("a round has two coders, who are different people", remedy="Name each with --coder.")

        def build(session: Session) -> Draft:
            self._refuse_few(session, opening.coders)
            chosen = drawn(session, opening, self._parsed)
            number = session.scalar(select(func.count()).where(CodingRound.resident == opening.resident)) or 0
            round_id = f"{opening.resident}-r{number + 1}"
            public = {
                "round": round_id,
                "sessions": mixed(round_id, chosen),
                "items": list(opening.items),
                "coders": [coder.as_dict() for coder in opening.coders],
                "recodes": opening.recodes,
            }
            return Draft("coding.opened", opening.resident, public)

        act = self._acts.perform(f"coding-round:{opening.resident}:{secrets.token_hex(6)}", actor, build)
        return self.find(act.public["round"])

    # -- coding ------------------------------------------------------------------------------------------------------

    def draft(self, round_id: str, place: int, coder: str) -> Sheet:
        """A coder's sheet in work; empty where nothing was marked yet. Raises NotFound, PersonNeeded."""
        view = self._coded_by(round_id, coder)
        with self._database.reading() as session:
            row = session.get(CodingDraft, (round_id, view.at(place), "sheet", coder))
        return Sheet() if row is None else Sheet.recorded(row.value)

    def save(self, round_id: str, place: int, coder: str, sheet: Sheet) -> None:
        """Keep a coder's sheet in work. Raises InputError, NotFound, PersonNeeded, ActConflict once handed in."""
        view = self._coded_by(round_id, coder)
        self._refuse_handed_in(view, place, coder)
        check_sheet(sheet, self._interviews.transcript(view.at(place)))
        self._keep(view, place, "sheet", coder, sheet.as_dict())

    def submit(
        self, round_id: str, place: int, sheet: Sheet, actor: Actor, record: Mapping[str, Any] | None = None
    ) -> RoundView:
        """Hand a session in, finally: what differs is settled later, in view. Raises as `save` does.

        With one coder (the second being waived) the session is settled by it. `record` says how a program came to it.
        """
        view = self._coded_by(round_id, actor.name)
        transcript = self._interviews.transcript(view.at(place))
        check_sheet(sheet, transcript)
        self._refuse_outside(view, place, sheet)
        public = {"round": round_id, "session": view.at(place), "coder": actor.name, "automated": actor.automated}
        stated: Json = {"sheet": sheet.as_dict(), **({} if record is None else {"record": dict(record)})}

        def build(session: Session) -> Draft:
            return Draft(
                "coding.submitted", view.resident, public, private=stated, digests={"journal": transcript.sha256}
            )

        act = self._acts.perform(f"coding:{round_id}:{_short(view.at(place), actor.name)}", actor, build)
        if act.private is not None and act.private != stated:
            raise ActConflict(f"{actor.name} has handed in session {place} of {round_id}, otherwise")
        self._drop(view, place, "sheet", actor.name)
        if len(view.coders) == 1:
            self._settle(self.find(round_id), place, sheet, ("one coder", (actor.name,), ""), actor)
        return self.find(round_id)

    # -- settling ----------------------------------------------------------------------------------------------------

    def proposed(self, view: RoundView, place: int) -> Json | None:
        """The resolution that one coder proposed and the other has not agreed to: {by, sheet, note, digest}."""
        query = select(CodingDraft).where(CodingDraft.round == view.id, CodingDraft.session == view.at(place))
        with self._database.reading() as session:
            row = session.scalars(query.where(CodingDraft.what == "resolution")).first()
        if row is None:
            return None
        return {"by": row.person, **row.value, "digest": hashlib.sha256(canonical(row.value)).hexdigest()}

    def resolve(self, round_id: str, place: int, sheet: Sheet, note: str, actor: Actor) -> RoundView:
        """Say what stands for a session. Raises RuleError (still coding, below the gate), InputError, PersonNeeded.

        By a coder of the round beside another person it is a proposal, until the other agrees; by someone else, or
        where the other coder is a program, it settles the session.
        """
        view = self._comparing(round_id, place)
        self._refuse_program(view, actor)
        if len(note) > MOST_NOTE:
            raise InputError(f"a note has at most {MOST_NOTE} characters")
        check_sheet(sheet, self._interviews.transcript(view.at(place)))
        self._refuse_outside(view, place, sheet)
        others = [coder for coder in view.coders if coder.name != actor.name]
        if actor.name not in view.names:
            self._settle(view, place, sheet, ("third", (actor.name,), note), actor)
        elif all(coder.automated for coder in others) or self._agree_wholly(view, place, sheet):
            self._settle(view, place, sheet, ("agreement", view.names, note), actor)
        else:
            self._drop(view, place, "resolution", None)
            self._keep(view, place, "resolution", actor.name, {"sheet": sheet.as_dict(), "note": note})
        return self.find(round_id)

    def agree(self, round_id: str, place: int, digest: str, actor: Actor) -> RoundView:
        """Agree to what the other coder proposed, as it was read (`digest`). Raises RuleError, PersonNeeded."""
        view = self._comparing(round_id, place)
        found = self.proposed(view, place)
        if found is None or found["digest"] != digest:
            raise RuleError("what was proposed has changed or is settled", remedy="Read it as it stands, then agree.")
        if actor.name not in view.names or actor.name == found["by"] or actor.automated:
            raise PersonNeeded("the other coder agrees, not the one who proposed", remedy="Sign in as that coder.")
        sheet = Sheet.recorded(found["sheet"])
        self._settle(view, place, sheet, ("agreement", (found["by"], actor.name), found["note"]), actor)
        return self.find(round_id)

    def register(self, round_id: str, actor: Actor) -> dict[str, str]:
        """Once every session is settled, code what stands into the register; span -> preference, or why it was refused.

        Codes of a round that say the same (everything but the place) are one preference, with each span as evidence.
        Called again, after a crash for one, it finds what it coded.
        """
        view = self.find(round_id)
        if view.status != "resolved":
            return {}
        settlers = {name for settled in view.resolutions.values() for name in settled.resolvers}
        coders = (*view.coders, *(Coder(name) for name in sorted(settlers - set(view.names))))
        made: dict[str, str] = {}
        for places in wishes(view):
            (session, first), *more = places
            also = tuple(Quote(where, *code.span) for where, code in more)
            try:
                outcome = self._interviews.code(replace(first.coding(session, coders), also=also), actor)
            except ActConflict as error:  # coded before, in another way: the register keeps what it has
                outcome = error.message
            for where, code in places:
                made[f"{where}:{code.turn}:{code.start}-{code.end}:{code.domain}"] = outcome
        return made

    def _settle(
        self, view: RoundView, place: int, sheet: Sheet, how: tuple[str, tuple[str, ...], str], actor: Actor
    ) -> None:
        mode, resolvers, note = how
        transcript = self._interviews.transcript(view.at(place))
        handed_in = view.sheets.get(view.at(place), {view.names[0]: sheet})
        public = {
            "round": view.id,
            "session": view.at(place),
            "mode": mode,
            "resolvers": list(resolvers),
            "agreement": None if view.agreement is None else view.agreement.as_dict(),
            "gate_waived": view.agreement is not None and not view.agreement.passes,
        }
        settled = {
            "sheet": sheet.as_dict(),
            "note": note,
            "sheets": {name: each.as_dict() for name, each in handed_in.items()},
        }

        def build(session: Session) -> Draft:
            return Draft(
                "coding.resolved",
                view.resident,
                public,
                payloads={"resolution": canonical(settled)},
                digests={"journal": transcript.sha256},
            )

        act = self._acts.perform(f"coding-settled:{view.id}:{_short(view.at(place))}", actor, build)
        self._refuse_other(act, settled, place)
        self._drop(view, place, "resolution", None)
        self.register(view.id, actor)

    @staticmethod
    def _refuse_other(act: Act, settled: Mapping[str, Any], place: int) -> None:
        if act.payloads["resolution"] != hashlib.sha256(canonical(settled)).hexdigest():
            raise ActConflict(f"session {place} is settled already, otherwise")

    def _refuse_few(self, session: Session, coders: Sequence[Coder]) -> None:
        alone = len(coders) < 2 or all(coder.automated for coder in coders)
        if alone and not waived(session, "second_coder", self._settings.second_coder):
            raise PersonNeeded(
                "a round needs two coders, one of them a person at least",
                remedy="Name two with --coder, or waive it: `emeritus init --second-coder waived`, publicly.",
            )

    def _refuse_program(self, view: RoundView, actor: Actor) -> None:
        """A program settles nothing that a person could still look at, unless policy waives."""
        if actor.automated:
            with self._database.reading() as session:
                if not waived(session, "second_coder", self._settings.second_coder):
                    raise PersonNeeded("a program proposes; a person settles")

    def _coded_by(self, round_id: str, coder: str) -> RoundView:
        view = self.find(round_id)
        if coder not in view.names:
            raise PersonNeeded(
                f"{coder!r} is no coder of round {round_id}", remedy=f"Its coders are {', '.join(view.names)}."
            )
        if view.status == "recoded":
            raise RuleError(f"round {round_id} was recoded; its codes count no more")
        return view

    @staticmethod
    def _refuse_handed_in(view: RoundView, place: int, coder: str) -> None:
        if view.at(place) in view.handed_in[coder]:
            raise ActConflict(f"{coder} has handed in session {place} of {view.id}; what differs is settled in view")

    def _refuse_outside(self, view: RoundView, place: int, sheet: Sheet) -> None:
        """Only what the round asks for is coded: its items, and no answer that is a letter."""
        turns = set(self._turns(view.at(place), view.items))
        outside = sorted({code.turn for code in sheet.codes} | set(sheet.adequacy), key=int)
        wrong = [turn for turn in outside if turn not in turns]
        if wrong:
            raise InputError(f"turn {wrong[0]} is not coded in round {view.id}")

    def _comparing(self, round_id: str, place: int) -> RoundView:
        view = self.find(round_id)
        if view.at(place) in view.resolutions:
            raise ActConflict(f"session {place} of {round_id} is settled already")
        if view.status == "coding":
            raise RuleError(f"round {round_id} is still being coded; until then its coders are blind to each other")
        if view.status == "recoded":
            raise RuleError(f"round {round_id} was recoded; its codes count no more")
        if view.status == "below the gate":
            raise RuleError(
                f"the coders of round {round_id} agree less than {GATE:.2f} (Cohen's kappa)",
                remedy=f"Code it again (`emeritus coding open … --recodes {round_id}`), or waive the gate publicly: "
                "`emeritus init --coding-gate waived`.",
            )
        return view

    @staticmethod
    def _agree_wholly(view: RoundView, place: int, sheet: Sheet) -> bool:
        """Whether both handed in just what is to stand, so that nothing was to settle."""
        return all(_sorted(each) == _sorted(sheet) for each in view.sheets[view.at(place)].values())

    # -- inside ------------------------------------------------------------------------------------------------------

    def _parsed(self, sha256: str) -> Protocol:
        """A logged protocol; it never changes, so it is remembered."""
        if sha256 not in self._protocols:
            self._protocols[sha256] = Protocol.parse(self._acts.payload(sha256), "the logged protocol")
        return self._protocols[sha256]

    def _turns(self, session_id: str, items: Sequence[str]) -> Sequence[int]:
        transcript = self._interviews.transcript(session_id)
        return [turn.turn for turn in blind(self._parsed(transcript.protocol["sha256"]), transcript, items).turns]

    def _keep(self, view: RoundView, place: int, what: str, person: str, value: Json) -> None:
        key = (view.id, view.at(place), what, person)
        with self._database.session() as session:
            row = session.get(CodingDraft, key)
            if row is None:
                row = CodingDraft(round=key[0], session=key[1], what=what, person=person, value=value, at="")
                session.add(row)
            row.value, row.at = value, self._acts.now

    def _drop(self, view: RoundView, place: int, what: str, person: str | None) -> None:
        gone = delete(CodingDraft).where(
            CodingDraft.round == view.id, CodingDraft.session == view.at(place), CodingDraft.what == what
        )
        with self._database.session() as session:
            session.execute(gone if person is None else gone.where(CodingDraft.person == person))


def _sorted(sheet: Sheet) -> Sheet:
    return Sheet(tuple(sorted(sheet.codes, key=lambda code: (*code.span, code.domain))), dict(sheet.adequacy))


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
