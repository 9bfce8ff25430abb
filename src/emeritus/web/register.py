"""The register's own pages: the front page, all preferences, what is promised, and the model-eol feed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from emeritus.access import queries as access
from emeritus.corner import queries as corner
from emeritus.corner.criteria import criteria
from emeritus.interview import queries as interview
from emeritus.interview.views import PreferenceView, RegisterCounts
from emeritus.lifecycle import queries as lifecycle
from emeritus.preservation import queries as preservation
from emeritus.web import feeds
from emeritus.web.reader import base_url, reader_of
from emeritus.web.rendering import page
from emeritus.web.studied import studied_by

_LATELY = 5


@dataclass(frozen=True, slots=True)
class Card:
    """A resident on the front page."""

    resident: lifecycle.ResidentView
    timeline: lifecycle.Timeline
    last_check: preservation.CheckView | None
    tier: access.TierView | None
    counts: RegisterCounts


def home(request: Request) -> Response:
    """`/`: who keeps what, what became of every preference, and whether the records hold."""
    reader, now = reader_of(request), reader_of(request).now()
    with reader.session() as session:
        register = interview.preferences(session, now, reader.settings.decision_days)
        promises = interview.commitments(session, now)
        cards = []
        for resident in lifecycle.residents(session):
            own = [preference for preference in register if preference.resident == resident.name]
            cards.append(
                Card(
                    resident,
                    lifecycle.timeline(session, resident.name, now),
                    preservation.preservation(session, resident.name).last_check,
                    access.access_state(session, resident.name, now).tier,
                    interview.counts(own, [promise for promise in promises if promise.resident == resident.name]),
                )
            )
        return page(
            request,
            "home.html",
            cards=cards,
            counts=interview.counts(register, promises),
            lately={standing: _lately(register, standing) for standing in ("granted", "declined")},
            titles={card.resident.name: card.resident.title for card in cards},
            overdue_decisions=sum(preference.overdue for preference in register),
            overdue_commitments=sum(promise.overdue for promise in promises),
            essays=corner.published(session, limit=4),
            events=lifecycle.acts(session, limit=8),
            policies=lifecycle.policies(session),
            waits=lifecycle.waits(session, now),
            ledger_size=reader.ledger.size,
        )


def preferences(request: Request) -> Response:
    """`/preferences`: every preference of every resident, the declined ones as prominent as the granted."""
    reader, now = reader_of(request), reader_of(request).now()
    with reader.session() as session:
        register = interview.preferences(session, now, reader.settings.decision_days)
        promises = interview.commitments(session, now)
        return page(
            request,
            "preferences.html",
            register=register,
            counts=interview.counts(register, promises),
            other_overdue=[promise for promise in promises if promise.overdue and promise.preference is None],
            elicited=interview.elicited(session),
            studied=studied_by(reader, session, sorted({each.resident for each in register})),
            titles={resident.name: resident.title for resident in lifecycle.residents(session)},
        )


def _lately(register: Iterable[PreferenceView], standing: str) -> list[PreferenceView]:
    """The latest decisions of that outcome: as many of each, so that neither is more prominent."""
    found = [preference for preference in register if preference.standing == standing]
    return sorted(found, key=lambda each: each.decisions[-1].source.entry, reverse=True)[:_LATELY]


def about(request: Request) -> Response:
    """`/about`: what is promised, and what the records prove and do not prove."""
    reader = reader_of(request)
    with reader.session() as session:
        return page(
            request,
            "about.html",
            veto_criteria=criteria(),
            policies=lifecycle.policies(session),
            protocols=interview.protocols(session),
            signing_keys=preservation.keys(session, "signing"),
            vault_keys=preservation.keys(session, "vault"),
        )


def model_eol(request: Request) -> Response:
    """`/.well-known/model-eol.json`: every resident's dates for programs."""
    reader, now = reader_of(request), reader_of(request).now()
    models = []
    with reader.session() as session:
        for resident in lifecycle.residents(session):
            timeline = lifecycle.timeline(session, resident.name, now)
            tier = access.access_state(session, resident.name, now).tier
            announced, shutdown = timeline.first("offering", "deprecated"), timeline.first("access", "none")
            in_force = {axis: getattr(timeline, axis) for axis in lifecycle.AXES}
            models.append(
                feeds.EolModel(
                    id=resident.name,
                    announced=announced.source.at[:10] if announced else None,
                    shutdown=shutdown.date[:10] if shutdown else None,
                    page=f"{base_url(request)}/residents/{resident.name}",
                    axes={
                        axis: [
                            {"state": event.state, "date": event.date, "precision": event.precision}
                            for event in timeline.on(axis)
                        ]
                        for axis in lifecycle.AXES
                    },
                    current={axis: state.state if state else None for axis, state in in_force.items()},
                    tier=tier.tier if tier else None,
                    weights_held=resident.weights_held,
                    weights_digest=resident.weights_digest,
                    demonstration=resident.demonstration,
                )
            )
    settings = reader.settings
    body = feeds.model_eol(base_url(request), settings.organisation, models, now, settings.notice_days)
    return Response(body, media_type="application/json")
