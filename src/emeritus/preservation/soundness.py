"""Keeping the vault sound over years: scrubs within a day's budget, repairs, copies in other stores; each is recorded.

A scrub that finds damage repairs it, and both are stated, good or bad. What a record says is public: it names objects
of the vault, never the address of a store. Knows no other feature.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import delete, func, select

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.blobs.base import BlobStore
from emeritus.blobs.open import open_store
from emeritus.errors import IntegrityError, NotFound, StoreFull, StoreUnavailable
from emeritus.preservation.keeper import Progress
from emeritus.preservation.recording import Json, problems
from emeritus.records.database import Database
from emeritus.records.tables import Preserved, ScrubMark
from emeritus.vault.manifest import manifest_key
from emeritus.vault.mending.repaired import RepairReport
from emeritus.vault.mending.replicas import ReplicaReport
from emeritus.vault.prune import Removal
from emeritus.vault.vault import Vault

_AT_ONCE = 500  # keys in one statement of SQL
_MOST_NAMED = 50  # objects in a record; the count is exact
_NEVER_READ = ("locks/",)  # who is at work comes and goes


class Soundness:
    """The acts. One per process and home; everything blocks. `replicas` are the addresses of the vault's copies."""

    def __init__(self, acts: Acts, database: Database, vault: Vault, replicas: Sequence[str] = ()) -> None:
        self._acts = acts
        self._database = database
        self._vault = vault
        self._replicas = list(replicas)

    # -- scrubs -------------------------------------------------------------------------------------------------------

    def scrub(self, actor: Actor, budget_bytes: int = 0, progress: Progress | None = None) -> Act | None:
        """Read and check what was read longest ago, up to `budget_bytes` a day (UTC), or, with 0, everything.

        What is missing is noticed either way. Damage is repaired and the repair recorded after the scrub. One object is
        read however large it is, so that every one has its turn. In a sound vault, packs that others' differences rest
        on are given more parity first; where that fails, the record says why. None when the day's budget is used up.
        """
        left = budget_bytes - self._read_today() if budget_bytes else 0
        if budget_bytes and left <= 0:
            return None
        report = self._vault.verify(deep=not budget_bytes, progress=None if budget_bytes else progress)
        damaged = {damage.key: damage.what for damage in report.damages}
        for key in sorted(self._expected().keys() - set(self._vault.store.list("manifests/"))):
            damaged.setdefault(key, "it is missing, and the ledger names it")
        for prefix in () if budget_bytes else ("keys/", "sketches/"):
            for key in self._vault.store.list(prefix):
                wrong = self._vault.look_at(key)[1]
                damaged |= {key: wrong} if wrong else {}
        read, size = self._read_some(left, damaged, progress) if budget_bytes else (None, report.bytes_read)
        bare = None if damaged else self._reinforce(damaged)
        lines = [f"{key}: {what}" for key, what in sorted(damaged.items())]
        what = "every byte read was as it was stored"
        if lines:
            what = f"damaged or missing: {len(lines)}; first: {lines[0]}"
        if bare:
            what, lines = f"{what}; {bare}", [bare]
        made = [] if damaged or bare else self._make_sketches()
        detail = {
            "sketches_made": len(made),
            "bytes_read": size,
            "budget": budget_bytes,
            "objects": read if read is not None else report.packs,
        }
        act = self._record("scrub", what, {**detail, **problems(lines)}, actor)
        if damaged:
            self.repair(actor, only=damaged)  # which gives bases more parity, too, once all is sound
        return act

    def _make_sketches(self) -> list[str]:
        """Those that a preservation could not store; where there is still no room, the next scrub tries again."""
        try:
            return self._vault.make_sketches()
        except (StoreFull, StoreUnavailable):
            return []

    def _reinforce(self, damaged: dict[str, str]) -> str | None:
        """More parity for packs that differences rest on. What is found damaged by it is added; what else prevents it.

        Before the record: what comes to light here belongs in it, and a scrub that was recorded must not fail.
        """
        try:
            self._vault.reinforce()
        except IntegrityError as error:
            damaged[str(error.facts.get("key") or "the vault")] = error.message
        except (StoreFull, StoreUnavailable, NotFound) as error:
            return f"packs that others rest on could not be given more parity: {error.message}"
        return None

    def _read_some(self, left: int, damaged: dict[str, str], progress: Progress | None) -> tuple[int, int]:
        """Read objects, the one read longest ago first, until `left` bytes are; (objects, bytes) read."""
        there = [key for key in self._vault.store.list() if not key.startswith(_NEVER_READ)]
        with self._database.reading() as session:
            marks = {row.key: row.at for row in session.scalars(select(ScrubMark))}
        sizes: dict[str, int] = {}
        total = 0
        for key in sorted(there, key=lambda key: (marks.get(key, ""), key)):
            if total >= left:
                break
            size, wrong = self._vault.look_at(key)
            if wrong is not None:
                damaged[key] = wrong
            sizes[key] = size
            total += size
            if progress is not None:
                progress("scrub", min(total, left), left)
        self._remember(sizes, sorted(marks.keys() - set(there)))
        return len(sizes), total

    def _read_today(self) -> int:
        """Bytes that scrubs have read on this day (UTC)."""
        with self._database.reading() as session:
            today = ScrubMark.at.startswith(self._acts.now[:10])
            return int(session.scalar(select(func.sum(ScrubMark.bytes)).where(today)) or 0)

    def _remember(self, sizes: dict[str, int], gone: list[str]) -> None:
        """Note what was read now, and forget what is no longer there."""
        with self._database.session() as session:
            for key, size in sizes.items():
                session.merge(ScrubMark(key=key, at=self._acts.now, bytes=size))
            for at in range(0, len(gone), _AT_ONCE):
                session.execute(delete(ScrubMark).where(ScrubMark.key.in_(gone[at : at + _AT_ONCE])))

    # -- repairs and copies -------------------------------------------------------------------------------------------

    def repair(
        self,
        actor: Actor,
        only: Iterable[str] | None = None,
        more: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> tuple[Act, RepairReport]:
        """Bring back what is damaged or missing, from parity, then from the copies, and from those at `more` addresses.

        `only`: the keys known to be damaged, else every object is read. The record names what came back and what did
        not.
        """
        stores = [open_store(url) for url in dict.fromkeys([*self._replicas, *more])]
        report = self._vault.repair(stores, expected=self._expected(), only=only, progress=progress)
        lost = [str(damage) for damage in report.lost]
        what = f"{len(report.repaired)} objects came back, none is lost"
        if lost:
            what = f"{len(report.repaired)} objects came back, {len(lost)} did not; first: {lost[0]}"
        ways = {url.url: "a copy" for url in stores}
        detail = {
            "repaired": [
                f"{each.key}: {each.was}; from {ways.get(each.how, each.how)}" for each in report.repaired[:_MOST_NAMED]
            ],
            "repaired_count": len(report.repaired),
            "covered": len(report.covered),
            "copies_unreachable": len(report.unreachable),
        }
        return self._record("repair", what, {**detail, **problems(lost)}, actor), report

    def replicate_all(self, actor: Actor) -> list[Act]:
        """Bring every copy up to date; one record each."""
        return [self.replicate(actor, open_store(url), deep=False)[0] for url in self._replicas]

    def replicate(
        self,
        actor: Actor,
        to: BlobStore,
        *,
        deep: bool = True,
        progress: Progress | None = None,
        prune: Callable[[BlobStore], Removal] | None = None,
    ) -> tuple[Act, ReplicaReport, Removal | None]:
        """Bring one copy up to date; `deep` reads what is there too. `prune` then takes away what is no longer kept.

        Raises StoreFull, StoreUnavailable; IntegrityError from `prune` where the copy is damaged and stays so.
        """
        report = self._vault.replicate(to, deep=deep, progress=progress)
        removed = prune(to) if prune is not None and report.ok else None
        what = f"{len(report.copied)} objects copied, {report.same} were there"
        if report.problems:
            what = f"{what}; {len(report.problems)} could not be copied"
        if removed is not None:
            what = f"{what}; {len(removed.objects)} removed"
        lines = [line.replace(to.url, "the copy") for line in report.problems]
        detail: Json = {"copied": len(report.copied), "bytes": report.bytes_copied, "same": report.same, "deep": deep}
        if removed is not None:
            detail |= {"removed": len(removed.objects), "bytes_removed": removed.bytes}
        return self._record("replica", what, {**detail, **problems(lines)}, actor), report, removed

    def _expected(self) -> dict[str, str]:
        """The manifests that the ledger names."""
        with self._database.reading() as session:
            rows = session.scalars(select(Preserved)).all()
        return {manifest_key(row.resident, row.role, row.version): row.manifest_sha256 for row in rows}

    def _record(self, kind: str, what: str, detail: Json, actor: Actor) -> Act:
        public = {"kind": kind, "ok": not detail["problems"], "summary": what[:1000], "detail": detail}
        return self._acts.perform(
            f"check:*:{kind}:{secrets.token_hex(6)}",
            actor,
            lambda session: Draft("preservation.checked", None, public=public),
        )
