"""Removing weights for good: decided by a person with a reason, undone within a grace, swept after it; each is stated.

Residents are kept for ever as a rule; this is for what must not be kept (a licence, a court, a mistake). Reports,
references, interviews and every record stay. Knows no other feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, stamp
from emeritus.blobs.base import BlobStore
from emeritus.errors import BaseNeeded, InputError, NotFound, PersonNeeded
from emeritus.preservation.keeper import Progress
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import ActRow, Preserved
from emeritus.vault.manifest import manifest_key
from emeritus.vault.prune import Removal
from emeritus.vault.vault import Vault

MARKED, UNDONE, REMOVED = "preservation.removal_marked", "preservation.removal_undone", "preservation.removed"


@dataclass(frozen=True, slots=True)
class Marked:
    """A resident whose weights are to go: since when, by whom, why, and from when on a sweep may remove them."""

    resident: str
    at: str
    by: str
    reason: str
    due: str


class Removals:
    """The acts. One per process and home; everything blocks. Days as in the settings of those names."""

    def __init__(
        self, acts: Acts, database: Database, vault: Vault, removal_days: int = 30, leftover_days: float = 2.0
    ) -> None:
        self._acts = acts
        self._database = database
        self._vault = vault
        self._removal_days = removal_days
        self._leftover_days = leftover_days

    def mark(self, resident: str, reason: str, actor: Actor) -> Act:
        """Decide that a resident's weights are to be removed once the grace is over.

        Raises NotFound, InputError (no weights, or no reason), PersonNeeded, BaseNeeded (others are kept as differences
        from it). Marking twice is the same act.
        """
        _require(reason, actor)
        needing = self._vault.dependants(resident)

        def build(session: Session) -> Draft:
            _require_held(session, resident)
            if needing:
                raise BaseNeeded(
                    f"{', '.join(needing)} cannot be restored without {resident!r}, from which they differ",
                    resident=resident,
                    dependants=list(needing),
                )
            return Draft(MARKED, resident, public={"reason": reason, "days": self._removal_days})

        with self._database.reading() as session:
            number = _count(session, resident, UNDONE)
        return self._acts.perform(f"removal:{resident}:{number}:mark", actor, build)

    def undo(self, resident: str, reason: str, actor: Actor) -> Act:
        """Take the decision back. Raises NotFound where there is none, or the weights are gone; PersonNeeded."""
        _require(reason, actor)
        with self._database.reading() as session:
            number = _count(session, resident, UNDONE)

        def build(session: Session) -> Draft:
            if _last(session, resident) != MARKED:
                raise NotFound(f"the weights of {resident!r} are not marked for removal", resident=resident)
            return Draft(UNDONE, resident, public={"reason": reason})

        return self._acts.perform(f"removal:{resident}:{number}:undo", actor, build)

    def marked(self) -> list[Marked]:
        """The residents whose weights are to go, by name."""
        with self._database.reading() as session:
            return [
                Marked(name, row.at, row.actor, row.public["reason"], _due(row))
                for name, row in sorted(marked(session).items())
            ]

    def prune(self, actor: Actor, *, dry_run: bool = False, progress: Progress | None = None) -> Removal:
        """Remove what is due, and packs that nothing has needed for long enough; each resident's end is stated first.

        A sweep that was interrupted goes on. Progress counts objects. Raises as `vault.prune.Prune` does.
        """
        now = self._acts.now
        due = [each.resident for each in self.marked() if each.due <= now]
        with self._database.reading() as session:
            ended = session.scalars(select(ActRow.resident).where(ActRow.kind == REMOVED)).all()
            names = sorted({*due, *(str(name) for name in ended)})
            kept = session.scalars(select(Preserved)).all()
            expected = [manifest_key(row.resident, row.role, row.version) for row in kept]
        plan = self._sweep(names, expected, True, None)
        if dry_run:
            return plan
        for name in due:
            self._acts.perform(f"removal:{name}:removed", actor, partial(_removed, name))
        gone = {manifest_key(name, "weights", 1) for name in names}
        return self._sweep(names, [key for key in expected if key not in gone], False, progress)

    def prune_copy(self, copy: BlobStore, *, dry_run: bool = False, progress: Progress | None = None) -> Removal:
        """Remove from a copy what was removed from the vault, and what nothing there has needed for long enough.

        Only what the ledger says has ended: a copy that holds more than the vault does may be all that is left of it.
        Raises as `vault.prune.Prune` does; NotFound where no vault lies there.
        """
        with self._database.reading() as session:
            ended = session.scalars(select(ActRow.resident).where(ActRow.kind == REMOVED)).all()
            kept = session.scalars(select(Preserved)).all()
            expected = [manifest_key(row.resident, row.role, row.version) for row in kept]
        names = sorted(map(str, ended))
        return Vault.at(copy).prune(
            names, dry_run=dry_run, expected=expected, grace_days=self._leftover_days, progress=progress
        )

    def _sweep(self, names: Sequence[str], expected: Sequence[str], dry: bool, progress: Progress | None) -> Removal:
        return self._vault.prune(
            names, dry_run=dry, expected=expected, grace_days=self._leftover_days, progress=progress
        )


def marked(session: Session) -> dict[str, ActRow]:
    """The residents whose weights are to go, and the decision that says so."""
    rows = session.scalars(select(ActRow).where(ActRow.kind == MARKED).order_by(ActRow.seq)).all()
    return {str(row.resident): row for row in rows if _last(session, str(row.resident)) == MARKED}


def _removed(name: str, session: Session) -> Draft:
    row = session.scalars(select(Preserved).where(Preserved.resident == name, Preserved.role == "weights")).one()
    return Draft(REMOVED, name, public={"manifest_sha256": row.manifest_sha256, "bytes": row.bytes})


def _due(row: ActRow) -> str:
    at = datetime.strptime(row.at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return stamp(at + timedelta(days=int(row.public["days"])))


def _last(session: Session, resident: str) -> str | None:
    """The last thing that was decided about its weights."""
    asked = select(ActRow.kind).where(ActRow.resident == resident, ActRow.kind.in_((MARKED, UNDONE, REMOVED)))
    return session.scalars(asked.order_by(ActRow.seq.desc()).limit(1)).first()


def _count(session: Session, resident: str, kind: str) -> int:
    return len(session.scalars(select(ActRow.id).where(ActRow.resident == resident, ActRow.kind == kind)).all())


def _require(reason: str, actor: Actor) -> None:
    if actor.automated:
        raise PersonNeeded("removing weights is a person's decision")
    if not reason.strip():
        raise InputError("removing weights needs a reason", remedy="Give --reason; it becomes public in the ledger.")


def _require_held(session: Session, name: str) -> None:
    if not resident_row(session, name).weights_held:
        raise InputError(f"the vault holds no weights of {name!r}")
