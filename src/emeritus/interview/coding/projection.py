"""The only code that writes the tables of coding rounds: one projector for each kind of act. Decides nothing."""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.records.tables import CodingResolution, CodingRound, CodingSheet


def _opened(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        CodingRound(
            id=public["round"],
            resident=act.resident,
            sessions=public["sessions"],
            items=public["items"],
            coders=public["coders"],
            recodes=public["recodes"],
            at=act.at,
            act=act.id,
        )
    )


def _submitted(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        CodingSheet(
            round=public["round"],
            session=public["session"],
            coder=public["coder"],
            automated=public["automated"],
            sheet=None if act.private is None else act.private["sheet"],
            at=act.at,
            act=act.id,
        )
    )


def _resolved(session: Session, act: Act) -> None:
    public = act.public
    settled = json.loads(act.read("resolution"))
    session.add(
        CodingResolution(
            round=public["round"],
            session=public["session"],
            sheet=settled["sheet"],
            mode=public["mode"],
            resolvers=public["resolvers"],
            note=settled["note"],
            agreement=public["agreement"],
            at=act.at,
            act=act.id,
        )
    )


CODING: dict[str, Projector] = {
    "coding.opened": _opened,
    "coding.submitted": _submitted,
    "coding.resolved": _resolved,
}
