"""Residents that answer: residency over engines that are started from the vault, each checked by its canary.

Joins what the features may not know of each other: where weights come from, who has room, what a wake must give, how
long it took. Holds no feature's logic and knows no face.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from emeritus.access.queries import calls_by_day
from emeritus.acts import Acts
from emeritus.blobs.local import LocalStore
from emeritus.errors import EmeritusError, NotFound
from emeritus.preservation.cache import Cache
from emeritus.preservation.drills import Drills
from emeritus.preservation.siblings import Bases
from emeritus.preservation.sources import VaultSource
from emeritus.records.database import Database
from emeritus.records.tables import Resident
from emeritus.residency.board import Json, note
from emeritus.residency.decisions import Need
from emeritus.residency.limits import need_of
from emeritus.residency.queries import expected_wakes
from emeritus.residency.wakes import OK, WakeLog, Way, Woke
from emeritus.settings import Settings
from emeritus.vault.vault import Vault

if TYPE_CHECKING:
    from emeritus.engines.base import Awake, Build, Engine
    from emeritus.residency.residency import Residency
    from emeritus.residency.status import HouseStatus

OTHERWISE = "~otherwise"  # after a resident's name: the same under a second engine configuration; no name has a tilde


class Reviving:
    """The residents of one home, revived when they are asked for."""

    def __init__(self, settings: Settings, acts: Acts, database: Database, vault: Vault, drills: Drills) -> None:
        self._settings = settings
        self._acts = acts
        self._database = database
        self._vault = vault
        self._drills = drills
        self._bases = Bases()
        vault.look_nearby(self._bases.find)
        self._wakes = WakeLog(database)
        self._ways: dict[str, Way] = {}  # of a resident's wake under way
        self._others: dict[str, tuple[dict[str, Any], int]] = {}

    @property
    def cache(self) -> Cache:
        """The restored folders of this machine."""
        chosen = self._settings
        return Cache(chosen.home / "cache", chosen.cache_budget_bytes, chosen.cache_trust_s)

    @cached_property
    def residency(self) -> Residency:
        """Who is awake. Belongs to the event loop of its first use; `close` ends it."""
        from emeritus.residency.effects import Effects
        from emeritus.residency.limits import limits_of
        from emeritus.residency.residency import Residency

        with self._database.reading() as session:
            remembered, calls = expected_wakes(session), calls_by_day(session, self._acts.now)
        effects = Effects(self.open_engine, self.need_of, self._canary, self._woke)
        return Residency(effects, limits_of(self._settings), load_seconds=remembered, calls=calls)

    def awake(self, name: str, wait_s: float | None = None) -> AbstractAsyncContextManager[Awake]:
        """A resident revived from the vault (or reached at its address) for the length of the block.

        `wait_s`: longest wait for it to wake, in seconds; None is the setting. Raises NotFound, Busy, EngineFailed.
        """
        return self.residency.awake(name, wait_s=wait_s or self._settings.wake_timeout_s)

    @asynccontextmanager
    async def awake_otherwise(self, name: str, build: Build) -> AsyncIterator[Awake | None]:
        """The resident under another engine configuration than `build`, asleep again afterwards; None: there is none.

        Raises what `awake` does, and BadSettings for a setting `second_configuration` that this engine cannot have.
        """
        from emeritus.engines.open import other_configuration

        engine = self._resident(name).engine
        chosen = json.loads(self._settings.second_configuration or "{}")
        other = other_configuration(engine["kind"], engine.get("options", {}), build, chosen)
        if other is None:
            yield None
            return
        key = f"{name}{OTHERWISE}"
        self._others[key] = other
        try:
            async with self.residency.awake(key, wait_s=self._settings.wake_timeout_s) as awake:
                yield awake
        finally:
            await self.residency.sleep(key)

    def states(self) -> dict[str, str]:
        """Who of the residents is waking, awake or failed in this program, by name. Starts nothing; safe in threads."""
        residency: Residency | None = self.__dict__.get("residency")  # reading the property would make one
        return {} if residency is None else {each.name: each.state for each in residency.status()}

    def state_of(self, name: str) -> str:
        """The same of one of them; "asleep" of any other."""
        residency: Residency | None = self.__dict__.get("residency")
        return "asleep" if residency is None else residency.state_of(name)

    def house(self) -> HouseStatus | None:
        """Room, waiting and what is wrong; None where nobody was asked for yet. Starts nothing; safe in threads."""
        residency: Residency | None = self.__dict__.get("residency")
        return None if residency is None else residency.house()

    def note(self, url: str, now: datetime) -> Json:
        """How this program's house is, for the board. Starts nothing; safe in threads."""
        residency: Residency | None = self.__dict__.get("residency")
        return note(url, now, () if residency is None else residency.status(), self.house())

    async def close(self) -> None:
        """End every engine. Call before the event loop ends."""
        residency = self.__dict__.pop("residency", None)
        if residency is not None:
            await residency.close()

    def write_wakes(self) -> None:
        """Write the last measured wakes and end the thread that does."""
        self._wakes.close()

    async def open_engine(self, name: str) -> Engine:
        """An engine that answers as the resident, started from the vault; without residency's leave, and unchecked."""
        from emeritus.engines.open import open_engine

        name, otherwise, _ = name.partition(OTHERWISE)
        row = self._resident(name)
        options, threads = row.engine.get("options", {}), self._settings.engine_threads
        if otherwise:
            options, threads = self._others[f"{name}{OTHERWISE}"]
        if row.engine["kind"] == "transformers":
            options = {**json.loads(self._settings.engine_options or "{}"), **options}
        source = None
        if row.weights_held:
            near = isinstance(self._vault.store, LocalStore)
            source = VaultSource(self._vault, name, self.cache, self._settings.loading, near=near, bases=self._bases)
        logs = self._settings.home / "logs"
        try:
            return await open_engine(row.engine["kind"], options, source, log_dir=logs, threads=threads)
        finally:
            self._ways[name] = "upstream" if source is None else source.way

    def _woke(self, name: str, seconds: float, error: EmeritusError | None) -> None:
        if OTHERWISE not in name:  # under another configuration it says nothing about how long a caller waits
            way = self._ways.get(name, "cache")
            self._wakes.record(Woke(name, self._acts.now, seconds, way, OK if error is None else error.code))

    async def _canary(self, name: str, engine: Engine) -> None:
        if OTHERWISE not in name:  # what is woken to capture a reference has none to be compared with
            await self._drills.canary(name, engine)

    def need_of(self, name: str) -> Need:
        """The room a resident takes awake, in bytes by place. Raises NotFound, BadSettings."""
        from emeritus.engines.open import ELSEWHERE

        name = name.partition(OTHERWISE)[0]
        row = self._resident(name)
        here = row.weights_held and row.engine["kind"] not in ELSEWHERE
        return need_of(name, self._vault.manifest(name).total_bytes if here else 0, self._settings)

    def _resident(self, name: str) -> Resident:
        with self._database.reading() as session:
            row = session.get(Resident, name)
            if row is None:
                raise NotFound(f"no resident {name!r}", remedy="`emeritus preserve DIR --name NAME` takes one in.")
            session.expunge(row)
            return row
