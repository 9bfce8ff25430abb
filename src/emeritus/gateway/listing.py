"""Residents as the API lists them: a query per table however many there are, kept until an act changes one of them.

What changes without an act (who is awake, how long wakes take, whether visiting hours are running) is asked each time.
Knows no web framework; safe in threads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from emeritus.access import queries as access
from emeritus.access.policy import Standing
from emeritus.errors import NotFound
from emeritus.gateway.backend import ModelInfo, Window
from emeritus.lifecycle import queries as lifecycle
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, Resident
from emeritus.residency.queries import expected_wakes

FRESH_S = 0.5  # how long what was read is used for a call without a look for a newer act
WAKES_KEPT_S = 5.0  # how old what is said of wakes may be


class Listing:
    """Every resident's facts, as of the last act."""

    def __init__(self, database: Database, owner: str, base_url: str) -> None:
        self._database = database
        self._owner = owner
        self._base_url = base_url
        self._kept: tuple[tuple[int, str], dict[str, ModelInfo]] | None = None
        self._looked = float("-inf")  # monotonic seconds of the last look at the acts
        self._told: dict[str, tuple[tuple[object, ...], ModelInfo]] = {}  # what was told last, and what it depended on
        self._wakes: tuple[float, Mapping[str, float]] = (float("-inf"), {})

    def all(self, now: str, states: Mapping[str, str]) -> Sequence[ModelInfo]:
        """Every resident by name. `now` is RFC 3339, UTC; `states` who is not asleep."""
        with self._database.reading() as session:
            facts, wakes = self._facts(session, now), self._expected(session)
        moment = datetime.fromisoformat(now)
        return [_at(info, moment, states.get(name, "asleep"), wakes.get(name)) for name, info in facts.items()]

    def one(self, name: str, now: str, states: Mapping[str, str]) -> ModelInfo:
        """One resident. Raises NotFound."""
        with self._database.reading() as session:
            info = self._facts(session, now).get(name)
            wakes = self._expected(session)
        if info is None:
            raise NotFound(f"there is no resident {name!r}")
        return _at(info, datetime.fromisoformat(now), states.get(name, "asleep"), wakes.get(name))

    def one_at_once(self, name: str, now: str, state: str) -> ModelInfo | None:
        """The same from memory alone; None where that is too old, of another day, or knows no such resident."""
        kept = self._kept
        if kept is None or kept[0][1] != now[:10] or time.monotonic() - self._looked >= FRESH_S:
            return None
        info, wake_s = kept[1].get(name), self._wakes[1].get(name)
        if info is None:
            return None
        told, depends = self._told.get(name), (info, now, state, wake_s)
        if told is None or told[0] != depends:  # a second has many calls
            told = self._told[name] = depends, _at(info, datetime.fromisoformat(now), state, wake_s)
        return told[1]

    def look(self, now: str) -> None:
        """See whether anything has changed, so that `one_at_once` goes on answering."""
        with self._database.reading() as session:
            self._facts(session, now)
            self._expected(session)

    def _facts(self, session: Session, now: str) -> dict[str, ModelInfo]:
        # every fact is projected from an act in the transaction that writes the act's row; dates come true by the day
        looked = time.monotonic()
        version = (session.scalar(select(func.max(ActRow.seq))) or 0, now[:10])
        kept = self._kept
        if kept is None or kept[0] != version:
            kept = self._kept = (version, self._read(session, now))
        self._looked = looked
        return kept[1]

    def _read(self, session: Session, now: str) -> dict[str, ModelInfo]:
        dates, standings = lifecycle.offerings(session), access.standings(session)
        windows = lifecycle.windows_ahead(session, now)
        columns = (Resident.name, Resident.title, Resident.registered_at, Resident.weights_digest)
        return {
            row.name: replace(
                self._info(row, dates.get(row.name, {}), standings.get(row.name, Standing()), now[:10]),
                brown_outs=tuple(
                    Window(datetime.fromisoformat(each.starts), datetime.fromisoformat(each.ends), each.reason)
                    for each in windows.get(row.name, ())
                ),
            )
            for row in session.execute(select(*columns).order_by(Resident.name))
        }

    def _expected(self, session: Session) -> Mapping[str, float]:
        read, wakes = self._wakes
        if time.monotonic() - read > WAKES_KEPT_S:
            wakes = expected_wakes(session)
            self._wakes = (time.monotonic(), wakes)
        return wakes

    def _info(
        self, row: Row[str, str, str, str | None], dates: Mapping[str, str], standing: Standing, today: str
    ) -> ModelInfo:
        return ModelInfo(
            name=row.name,
            title=row.title,
            owned_by=self._owner,
            created=datetime.fromisoformat(row.registered_at),
            tier=standing.tier,
            offering=_in_force("offering", dates, today) or "active",
            access=standing.access,
            preservation=_in_force("preservation", dates, today) or "none",
            reachable=False,  # depends on the moment, as what follows it in `_at`
            hours=standing.hours,
            weights_digest=row.weights_digest,
            deprecated=_moment(dates.get("offering.deprecated")),
            retires=_moment(dates.get("offering.retired")),
            page=f"{self._base_url}/residents/{row.name}" if self._base_url else "",
        )


def _at(info: ModelInfo, now: datetime, state: str, wake_s: float | None) -> ModelInfo:
    """What is true of it at this moment."""
    answers = Standing(info.tier, info.access, info.hours).may_answer(now)
    called = info.access != "none"
    ahead = () if info.offering == "retired" else tuple(each for each in info.brown_outs if each.ends > now)
    return replace(
        info,
        reachable=called and answers.now and not any(each.starts <= now for each in ahead),
        brown_outs=ahead,
        reachable_at=answers.next_at if called else None,
        state=state,
        expected_wake_s=None if state == "awake" else wake_s,
    )


def _in_force(axis: str, dates: Mapping[str, str], today: str) -> str | None:
    """The state with the latest date that has come; of one date, the one told last."""
    found, since = None, ""
    for known, date in dates.items():
        if known.startswith(f"{axis}.") and since <= date[:10] <= today:
            found, since = known.partition(".")[2], date[:10]
    return found


def _moment(date: str | None) -> datetime | None:
    """The first instant of a day; None for none."""
    return None if date is None else datetime.fromisoformat(date).replace(tzinfo=UTC)
