"""Who still calls a model, found in its own metering, told, reminded: what crosses access, lifecycle and mail.

Knows no face. Everything here may be repeated: nobody is told or reminded twice of the same.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select

from emeritus.access.callers import GrantUse, grant_uses
from emeritus.acts import Act, Actor, canonical
from emeritus.errors import EmeritusError
from emeritus.lifecycle.caller_book import METERING, Taken
from emeritus.lifecycle.callers import CallerLine, identity
from emeritus.mail.messages import is_address
from emeritus.records.residents import resident_row
from emeritus.records.tables import ActRow
from emeritus.retirement import Features

Json = dict[str, Any]


class Calling:
    """The callers of one home's residents."""

    def __init__(self, features: Features) -> None:
        self._of = features

    def take_from_metering(self, resident: str, actor: Actor) -> Act | None:
        """Put everyone whose keys called the resident on its list; None when nobody has. Raises NotFound."""
        self._of.access.flush()
        with self._of.database.reading() as session:
            resident_row(session, resident)
            lines = _lines(grant_uses(session, resident))
        if not lines:
            return None
        said = canonical([[each.contact, each.label, each.requests, each.last_used] for each in lines])
        taken = Taken(lines, METERING, hashlib.sha256(said).hexdigest())
        return self._of.lifecycle.callers.take(resident, taken, actor)

    def look_after(self, resident: str, actor: Actor) -> Json:
        """Find new callers in metering, tell those who were not told, remind those who have not acknowledged."""
        self.take_from_metering(resident, actor)
        told = self._of.lifecycle.notify(resident, self._of.mailer, actor)
        return {**told, **self._of.lifecycle.notices.remind(resident, self._of.mailer, actor)}

    def look_after_all(self, actor: Actor) -> Json:
        """The same for every resident whose retirement is announced and still ahead. One's error stops no other's."""
        with self._of.database.reading() as session:
            announced = set(session.scalars(select(ActRow.resident).where(ActRow.kind == "lifecycle.announced")))
            retired = set(session.scalars(select(ActRow.resident).where(ActRow.kind == "lifecycle.retired")))
        done: Json = {}
        for name in sorted(each for each in announced - retired if each):
            try:
                found = self.look_after(name, actor)
                done[name] = {key: found[key] for key in ("owed", "reminded", "failed")}
            except EmeritusError as error:
                done[name] = {"error": f"{error.code} {error.message}"}
        return done

    def plan_brown_out(self, resident: str, window: tuple[str, str], reason: str, actor: Actor) -> Json:
        """Announce a window in which calls fail, and tell the callers. Raises what `BrownOuts.plan` does."""
        brown_out = self._of.lifecycle.brown_outs.plan(resident, window, reason, actor)
        return {"brown_out": brown_out, **self._of.lifecycle.notices.tell_of_window(brown_out, self._of.mailer, actor)}

    def cancel_brown_out(self, brown_out: str, reason: str, actor: Actor) -> Json:
        """Cancel it, and tell the callers."""
        self._of.lifecycle.brown_outs.cancel(brown_out, reason, actor)
        return {"brown_out": brown_out, **self._of.lifecycle.notices.tell_of_window(brown_out, self._of.mailer, actor)}


def _lines(uses: tuple[GrantUse, ...]) -> list[CallerLine]:
    """One line for each caller: a holder of several grants is one."""
    found: dict[tuple[str, str], CallerLine] = {}
    for use in uses:
        labels = ", ".join(use.labels)
        contact: str | None = None
        label: str | None
        if use.grant is None:
            label = "calls without a key"
        elif use.holder and is_address(use.holder):
            contact, label = use.holder, labels or None
        else:
            label = use.holder or f"the holder of {use.grant}"
        before = found.get(identity(contact, label))
        grants = (use.grant,) if use.grant else ()
        if before is None:
            line = CallerLine(contact, label, use.requests, use.last_day, grants)
        else:
            days = [day for day in (before.last_used, use.last_day) if day]
            requests = (before.requests or 0) + use.requests
            line = CallerLine(contact, before.label or label, requests, max(days), (*before.grants, *grants))
        found[identity(contact, label)] = line
    return list(found.values())
