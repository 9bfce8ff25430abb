"""Removing what nothing needs: residents whose time has run out, packs that interrupted work left. Mark, wait, sweep.

Who is to be removed, since when and why is the ledger's to say; this removes exactly what no manifest that stays needs,
in an order in which a crash at any call leaves nothing lost: parity made anew for what shared it, which proves that,
then manifest, sketch, old parity, packs. A pack in which a needed segment lies, or the base of one, stays whole.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from emeritus.blobs.base import BlobStore
from emeritus.errors import BaseNeeded, IntegrityError, NotFound
from emeritus.vault.busy import LEFTOVERS, SWEEPING, Busy, Clock
from emeritus.vault.busy import PREFIX as LOCKS
from emeritus.vault.manifest import Manifest, manifest_key
from emeritus.vault.mending.scrub import packs_needed
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.packs.pack import pack_key
from emeritus.vault.parity.groups import Groups, part
from emeritus.vault.progress import Progress, silent
from emeritus.vault.sealed import seal, unseal
from emeritus.vault.shelf import Shelf
from emeritus.vault.writing.sketch import sketch_name

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Removal:
    """What a sweep removes, or would: objects and their bytes.

    `residents`: those whose weights go. `waiting`: packs nothing needs whose grace is not over, and the days left.
    `shared`: packs of the residents that stay, for others need what lies in them.
    """

    residents: tuple[str, ...]
    objects: tuple[tuple[str, int], ...]
    waiting: tuple[tuple[str, float], ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What the objects measure together. Parity made anew for what stays takes a part of it again."""
        return sum(size for _, size in self.objects)


def dependants(manifests: Iterable[Manifest], name: str) -> tuple[str, ...]:
    """The residents whose manifests say that they rest on that one, sorted."""
    return tuple(sorted({manifest.name for manifest in manifests if name in manifest.bases}))


class Prune:
    """One sweep. Use once.

    `expected`: keys of the manifests that the ledger names; None: there is no ledger to ask, and what only a copy in a
    pack tells of stays too. `grace_days`: how long a pack that nothing needs must have been known to be so.
    """

    def __init__(
        self,
        store: BlobStore,
        index: SegmentIndex,
        expected: Iterable[str] | None,
        grace_days: float,
        clock: Clock = time.time,
    ) -> None:
        self._store = store
        self._index = index
        self._shelf = Shelf(store)
        self._expected = None if expected is None else set(expected)
        self._grace_s = grace_days * DAY_S
        self._clock = clock

    def run(self, residents: Collection[str], dry_run: bool, progress: Progress | None = None) -> Removal:
        """Remove these residents' weights and the leftovers whose grace is over. Progress counts objects.

        Raises BaseNeeded when others rest on one of them, IntegrityError when the vault is damaged (nothing that might
        be needed is then known), StoreUnavailable when a preservation or another sweep is under way.
        """
        if dry_run:
            return self._plan(residents)[0]
        with Busy(self._store, SWEEPING, self._clock) as busy:
            plan, going, left = self._plan(residents)
            self._sweep(plan, going, busy, progress or silent)
            self._note(left)
        self._index.refresh()
        return plan

    # -- what goes -----------------------------------------------------------------------------------------------------

    def _plan(self, residents: Collection[str]) -> tuple[Removal, set[str], dict[str, int]]:
        """(what goes, packs that go, since when each leftover that stays has been known)."""
        gone = {manifest_key(name, "weights", 1) for name in residents}
        packs = self._index.refresh()
        manifests = [self._shelf.read(key) for key in self._shelf.all_keys()]
        leaving = [manifest for manifest in manifests if manifest.key in gone]
        staying = [manifest for manifest in manifests if manifest.key not in gone]
        _require_independent(leaving, staying)
        needed, theirs = self._packs(leaving, staying, gone)
        self._require_sound([each.key for each in staying], needed - packs, gone)
        unneeded = packs - needed
        now, known = int(self._clock()), self._noted()
        since = {name: min(known.get(name, now), now) for name in unneeded - theirs}
        over = {name for name, at in since.items() if now - at >= self._grace_s} - self._index.unreadable.keys()
        going = (unneeded & theirs) | over
        left = {name: at for name, at in since.items() if name not in going}
        waiting = tuple(
            (pack_key(name), max(0.0, self._grace_s - now + at) / DAY_S) for name, at in sorted(left.items())
        )
        keys = self._keys(
            residents, going | self._absent(packs), {each.name for each in staying if each.role == "weights"}
        )
        objects = tuple((key, size) for key in keys if (size := self._store.size(key)) is not None)
        return (
            Removal(
                tuple(sorted(each.name for each in leaving)), objects, waiting, tuple(sorted(theirs & needed & packs))
            ),
            going,
            left,
        )

    def _packs(
        self, leaving: Iterable[Manifest], staying: Iterable[Manifest], gone: Collection[str]
    ) -> tuple[set[str], set[str]]:
        """(packs that are needed, packs of the residents that go)."""
        needed: set[str] = set()
        theirs: set[str] = set()
        copies = {manifest.to_bytes(): manifest for manifest in staying}
        for manifest in copies.values():
            needed |= packs_needed(self._index, manifest)
        for manifest in leaving:
            theirs |= packs_needed(self._index, manifest)
        keys = {manifest.key for manifest in copies.values()}
        for pack, data in self._index.copies():
            found = Manifest.from_bytes(data, f"the copy in {pack}")
            if data in copies:
                needed.add(pack)
            elif found.key in gone:  # a crash kept its packs when its manifest had gone
                theirs |= {pack} | packs_needed(self._index, found)
            elif self._expected is None and found.key not in keys:  # lost, perhaps: nobody can say
                needed |= {pack} | packs_needed(self._index, found)
        return needed, theirs

    def _require_sound(self, staying: Iterable[str], missing: Iterable[str], gone: Collection[str]) -> None:
        """Refuse where something is lost: what could bring it back must not be taken for something nobody needs."""
        wrong = [f"{pack_key(name)} is missing" for name in sorted(missing)]
        wrong += [f"{key} is missing" for key in sorted((self._expected or set()).difference(staying, gone))]
        if self._expected is None:
            wrong += [error.message for error in self._index.unreadable.values()]
        if wrong:
            raise IntegrityError(
                f"the vault is damaged, so nothing is removed: {wrong[0]}",
                remedy="Run `emeritus verify`, have the vault repaired, and prune then.",
                problems=wrong,
            )

    def _keys(self, residents: Collection[str], going: Collection[str], staying: Collection[str]) -> list[str]:
        """Every object that goes, in the order in which it does."""
        keys = [manifest_key(name, "weights", 1) for name in sorted(residents)]
        keys += [key for key in self._store.list("sketches/") if sketch_name(key) not in staying]
        keys += [key for group in Groups(self._store).refresh().covering(going) for key in group.keys]
        return keys + [pack_key(name) for name in sorted(going)]

    def _absent(self, packs: Collection[str]) -> set[str]:
        """Packs that parity tells of and that are gone: nothing that is needed, or the vault would not be sound."""
        return {name for group in Groups(self._store).refresh().all() for name in group.packs} - set(packs)

    # -- going ---------------------------------------------------------------------------------------------------------

    def _sweep(self, plan: Removal, going: set[str], busy: Busy, progress: Progress) -> None:
        done = 0
        # first of all what shares a group with packs that go is read, proven, and given parity of its own
        part(self._store, going | self._absent(self._index.refresh()))
        for kind in ("manifests/", "sketches/", "parity/", "packs/"):
            for key, _ in plan.objects:
                if key.startswith(kind):
                    busy.renew()
                    self._store.delete(key)
                    done += 1
                    progress(key, done, len(plan.objects))
        for key in list(self._store.list(LOCKS)):
            if key != busy.key:  # of processes that died
                self._store.delete(key)

    def _noted(self) -> dict[str, int]:
        try:
            packs = unseal("leftovers", self._store.get(LEFTOVERS), LEFTOVERS)["packs"]
            return {str(name): int(at) for name, at in packs.items()}
        except (NotFound, IntegrityError, KeyError, TypeError, ValueError, AttributeError):
            return {}  # their time begins anew

    def _note(self, left: dict[str, int]) -> None:
        if left != self._noted():
            self._store.put(LEFTOVERS, seal("leftovers", {"packs": left}))


def _require_independent(leaving: Iterable[Manifest], staying: Sequence[Manifest]) -> None:
    for manifest in leaving:
        if needing := dependants(staying, manifest.name):
            raise BaseNeeded(
                f"{', '.join(needing)} cannot be restored without {manifest.name!r}, from which they differ",
                resident=manifest.name,
                dependants=list(needing),
            )
