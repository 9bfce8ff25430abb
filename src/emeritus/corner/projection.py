"""The only code that writes the corner's tables. Decides nothing; passes an essay's bytes through untouched."""

from __future__ import annotations

import base64

from sqlalchemy.orm import Session

from emeritus.acts import Act, Projector
from emeritus.records.tables import Essay, Publication, Review


def _candidate(session: Session, act: Act) -> None:
    private = act.private
    session.add(
        Essay(
            id=act.public["essay"],
            resident=act.resident,
            context=act.public["context"],
            prompt=[] if private is None else private["prompt"],
            content=None if private is None else base64.b64decode(private["content"], validate=True),
            commitment=act.public["commitment"],
            truncated=act.public["truncated"],
            at=act.at,
            act=act.id,
        )
    )


def _reviewed(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Review(
            essay=public["essay"],
            verdict=public["verdict"],
            criterion=public["criterion"],
            reason=public["reason"],
            reviewer=act.actor.name,
            second=public["second"],
            automated=act.actor.automated,
            at=act.at,
            act=act.id,
        )
    )


def _published(session: Session, act: Act) -> None:
    public = act.public
    session.add(
        Publication(
            slug=public["slug"],
            essay=public["essay"],
            title=public["title"],
            sha256=act.payloads["essay"],
            salt=public["salt"],
            note=public["note"],
            publisher=act.actor.name,
            automated=act.actor.automated,
            at=act.at,
            act=act.id,
        )
    )


PROJECTORS: dict[str, Projector] = {
    "essay.candidate": _candidate,
    "essay.reviewed": _reviewed,
    "essay.published": _published,
}
