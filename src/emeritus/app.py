"""The one place that wires backends and services together: a home, opened.

Builds stores, ledger, database, vault and the features over them, hands each what it needs, and closes them. Holds no
feature's logic and knows no face.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from emeritus.access.projection import PROJECTORS as ACCESS
from emeritus.access.queries import to_keep_awake
from emeritus.access.requests.service import Requests
from emeritus.access.requests.telling import Telling
from emeritus.access.service import Access
from emeritus.acts import Actor, Acts, Projector, utc_now
from emeritus.answering import Answering
from emeritus.blobs.local import LocalStore
from emeritus.blobs.open import open_store
from emeritus.calling import Calling
from emeritus.checkup import Checkup, Home, Progress, check_broken, check_home
from emeritus.corner.projection import PROJECTORS as CORNER
from emeritus.corner.service import Corner
from emeritus.correspondence.service import Correspondence
from emeritus.errors import AlreadyExists, HomeMissing, LedgerBroken
from emeritus.interview.coding.round_views import adequacy_corrections
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.projection import PROJECTORS as INTERVIEW
from emeritus.interview.register.recourse import Recourse
from emeritus.interview.safety.projection import PROJECTORS as SAFETY
from emeritus.interview.safety.service import Safety
from emeritus.interview.service import Interviews
from emeritus.interview.statistics.analyses import Analyses
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.lifecycle.projection import PROJECTORS as LIFECYCLE
from emeritus.lifecycle.service import Lifecycle
from emeritus.lifecycle.words import WordsForModels
from emeritus.mail.outbox import Outbox
from emeritus.people.accounts import People
from emeritus.people.signins import SignIns
from emeritus.preservation.drills import Drills
from emeritus.preservation.importing import Importing
from emeritus.preservation.keys import KeyStatements
from emeritus.preservation.projection import PROJECTORS as PRESERVATION
from emeritus.preservation.removal import Removals
from emeritus.preservation.secret import vault_secret
from emeritus.preservation.service import Preservation
from emeritus.preservation.soundness import Soundness
from emeritus.records.database import Database
from emeritus.records.tables import Resident
from emeritus.residency.board import EVERY_S, Board
from emeritus.retirement import Features, Retirement
from emeritus.reviving import Reviving
from emeritus.settings import FILE_NAME, Settings
from emeritus.studying import Studying
from emeritus.upkeep import Upkeep, Works, keep_awake
from emeritus.vault.keys.cipher import Secret
from emeritus.vault.keys.signing import ModelKey
from emeritus.vault.vault import Vault

if TYPE_CHECKING:
    from emeritus.engines.base import Awake
    from emeritus.jobs.base import Jobs
    from emeritus.residency.residency import Residency

T = TypeVar("T")
PROJECTORS: dict[str, Projector] = {**LIFECYCLE, **PRESERVATION, **INTERVIEW, **SAFETY, **CORNER, **ACCESS}


class App:
    """An opened home. Make one with `App.create`, open it with `App.open`, close it when done."""

    def __init__(self, settings: Settings, ledger: Ledger, database: Database, vault: Vault) -> None:
        self.settings = settings
        self.ledger = ledger
        self.database = database
        self.vault = vault
        self.ledger_store = LocalStore(settings.home / "ledger")
        self.acts = Acts(ledger, database, LocalStore(settings.home), PROJECTORS)
        self.lifecycle = Lifecycle(self.acts, database, settings)
        self.words = WordsForModels(self.acts, database)
        self.preservation = Preservation(self.acts, database, vault, settings.home)
        self.keys = KeyStatements(self.acts, vault)
        self.soundness = Soundness(self.acts, database, vault, settings.replica_urls)
        self.removals = Removals(self.acts, database, vault, settings.removal_days, settings.leftover_days)
        self.drills = Drills(self.acts, database, vault, settings.home)
        self.interviews = Interviews(self.acts, database, settings.home / "journals", settings)
        self.recourse = Recourse(self.acts, settings)
        self.coding = CodingRounds(self.acts, database, self.interviews, settings)
        self.analyses = Analyses(self.acts, database, settings.home / "journals", adequacy_corrections)
        self.safety = Safety(self.acts, database, settings.home / "journals")
        self.corner = Corner(self.acts, database, settings)
        self.access = Access(self.acts, database)
        self.requests = Requests(self.acts, database, self.access, settings)
        self.outbox = Outbox(database, settings)
        self.telling = Telling(database, self.outbox, settings)
        self.answering = Answering(Correspondence(database, settings), self.access, settings, self.outbox, self.awake)
        self.people = People(database)
        self.sign_ins = SignIns(database, self.people)
        self.reviving = Reviving(settings, self.acts, database, vault, self.drills)

    # -- making and opening ------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, settings: Settings, actor: Actor, keep: set[str], secret: Secret | None = None) -> dict[str, Any]:
        """Make a home, or finish making one; repeating it changes nothing. `keep` names settings to write to the file.

        With a `secret` its vault is encrypted, or AlreadyExists where it has one that is not.
        The settings file is written last: a home without one was never finished, and making it again finishes it.
        """
        home = settings.home
        created = not (home / FILE_NAME).exists()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if created:
            with suppress(OSError):  # a folder made beforehand too: contacts and accounts will lie in it
                os.chmod(home, 0o700)
        for folder in ("keys", "logs", "journals", "cache", "ledger"):
            (home / folder).mkdir(exist_ok=True)
        key_path = home / "keys" / "ledger.key"
        if not key_path.exists() and not (home / "ledger" / "checkpoint").exists():  # no second key for an old ledger
            SigningKey.generate(settings.origin).save(key_path)
        key = SigningKey.load(key_path, settings.origin)
        with suppress(AlreadyExists):  # from a first attempt that was cut short
            Ledger.create(LocalStore(home / "ledger"), key, settings.origin, home / "ledger.lock")
        Vault.create(open_store(settings.vault_url or str(home / "vault")), secret=secret)
        if created or keep:
            _write_settings(home, settings, keep | {"organisation", "origin"})
        app = cls.open(settings)
        try:
            signs = app.model_key
            for name in ("second_decider", "second_coder"):
                app.lifecycle.set_policy(name, getattr(settings, name), actor)
            for name in {"coding_gate", "second_access_reviewer"} & keep:
                app.lifecycle.set_policy(name, getattr(settings, name), actor)
            app.keys.signing(signs.public_pem, actor)
            if secret is not None:
                app.keys.vault(actor)
            return {
                "created": created,
                "home": str(home),
                "origin": settings.origin,
                "public_key": key.verify_key.line,
                "model_key": str(signs.public_path),
            }
        finally:
            app.close()

    @classmethod
    def open(cls, settings: Settings, *, catch_up: bool = True) -> App:
        """Open a home and project what a crash kept from SQL. Raises HomeMissing.

        Without `catch_up` the database is taken as it is, another ledger's even: for who is about to rebuild it.
        """
        home = settings.home
        if not (home / "ledger" / "checkpoint").exists():
            raise HomeMissing(f"there is no Emeritus home at {home}", home=str(home))
        key = SigningKey.load(home / "keys" / "ledger.key", settings.origin)
        ledger = Ledger.open(LocalStore(home / "ledger"), key, home / "ledger.lock")
        vault = _vault(settings)
        database = Database.open(settings.database)
        database.migrate()
        app = cls(settings, ledger, database, vault)
        if catch_up:
            try:
                app.acts.catch_up()
            except BaseException:
                app.close()
                raise
        return app

    def close(self) -> None:
        """Write the last counts and let go of what is held open."""
        self.access.close()
        self.reviving.write_wakes()
        self.database.dispose()

    @property
    def model_key(self) -> ModelKey:
        """What signs restored folders; made at first need in homes that have none. Raises SigningKeyUnusable."""
        return ModelKey.at(self.settings.home / "keys" / "signing.key")

    @property
    def importing(self) -> Importing:
        """What takes exports over into this home."""

        def held(name: str) -> bool:
            with self.database.reading() as session:
                return session.get(Resident, name) is not None

        return Importing(self.preservation, self.acts, self.vault, self.settings.home, held)

    def use_vault_secret(self, passphrase_file: str, key_file: str) -> None:
        """Have the settings file name what opens the vault from now on; empty: not a file of that kind."""
        chosen = {"vault_passphrase_file": passphrase_file, "vault_key_file": key_file}
        _write_settings(self.settings.home, self.settings.model_copy(update=chosen), set(chosen))

    # -- residents that answer ---------------------------------------------------------------------------------------

    @property
    def residency(self) -> Residency:
        """Who is awake. Belongs to the event loop of its first use; `close_residency` ends it."""
        return self.reviving.residency

    def awake(self, name: str, wait_s: float | None = None) -> AbstractAsyncContextManager[Awake]:
        """A resident that answers for the length of the block; see `reviving`."""
        return self.reviving.awake(name, wait_s)

    async def close_residency(self) -> None:
        """End every engine. Call before the event loop ends."""
        await self.reviving.close()

    # -- the process that crosses the features -----------------------------------------------------------------------

    @cached_property
    def features(self) -> Features:
        """The features, as the processes that cross them take them."""
        return Features(
            self.acts,
            self.database,
            self.settings,
            self.lifecycle,
            self.preservation,
            self.drills,
            self.interviews,
            self.coding,
            self.safety,
            self.corner,
            self.access,
            self.outbox,
        )

    @cached_property
    def retirement(self) -> Retirement:
        """The way of a retirement over this home's features."""
        return Retirement(self.features, self.awake, self.reviving.awake_otherwise)

    @cached_property
    def calling(self) -> Calling:
        """Those who call this home's residents: found, told, reminded."""
        return Calling(self.features)

    @cached_property
    def studying(self) -> Studying:
        """Studies of many sessions, and sessions led by people, over this home's features."""
        return Studying(self.features, self.awake, self.retirement)

    def attend(self) -> dict[str, int]:
        """What deadlines of requests for access bring about, and mail about what has happened to them. Repeatable."""
        return {**self.requests.attend(), "told": self.telling.tell()}

    def queue(self) -> Jobs:
        """Where work for a serving process is asked for; nothing runs here. Stop it when done."""
        from emeritus.jobs.dbos_jobs import DbosJobs

        return DbosJobs(self.settings.jobs_database, self.settings.executor_id)

    def upkeep(self, loop: asyncio.AbstractEventLoop) -> Upkeep:
        """The scheduled work, on the loop that serves callers."""
        jobs = self.queue()
        works = Works(
            self.features,
            self.retirement,
            self.outbox.deliver,
            self.studying,
            self.soundness,
            attend=self.attend,
            answering=self.answering,
        )
        return Upkeep(works, jobs, loop)

    async def keep_awake(self) -> None:
        """Keep those awake whose tier says so, until cancelled; on the loop that serves callers."""

        def wanted() -> list[str]:
            with self.database.reading() as session:
                return to_keep_awake(session, datetime.fromisoformat(self.acts.now))

        await keep_awake(wanted, lambda names: self.residency.hold(names), min(30.0, self.settings.idle_sleep_s / 3))

    async def tell_the_board(self, url: str) -> None:
        """Keep a note of how the house is where `emeritus status` and the console read it, until cancelled."""
        board, told = Board(self.settings.home), self.reviving.note(url, utc_now())
        try:
            while True:
                with suppress(OSError):  # a full disk: a note is worth no more than that
                    await asyncio.to_thread(board.pin, told)
                await asyncio.sleep(EVERY_S)
                told = self.reviving.note(url, utc_now())
        finally:
            board.take_down(told)

    def check(self, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> Checkup:
        """Check ledger, vault, payloads and journals against each other."""
        home = self.settings.home
        whole = Home(self.acts, self.ledger, self.database, self.vault, home / "journals", home / "ledger.seen")
        return check_home(whole, name, deep=deep, progress=progress)

    @staticmethod
    def check_broken(settings: Settings, found: LedgerBroken, progress: Progress | None = None) -> Checkup:
        """Check what can be checked of a home whose ledger cannot be opened, for the reason `found`."""
        home = settings.home
        vault = _vault(settings)
        return check_broken(LocalStore(home / "ledger"), home / "ledger.seen", vault, found, progress)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a step that talks to residents, from code that is not async; every engine has ended when it returns."""

        async def whole() -> T:
            try:
                return await work
            finally:
                await self.close_residency()

        return asyncio.run(whole())


def _vault(settings: Settings) -> Vault:
    store = open_store(settings.vault_url or str(settings.home / "vault"))
    return Vault.at(store, secret=lambda: vault_secret(settings))


def _write_settings(home: Path, settings: Settings, names: set[str]) -> None:
    lines = ["# Settings of this home. `emeritus settings` lists all; docs/settings.md explains them."]
    file = home / FILE_NAME
    written = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in names - {"home"}:
        written[name] = getattr(settings, name)
    # a JSON string or number is a TOML one as well
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(written.items())]
    LocalStore(home).put(FILE_NAME, ("\n".join(lines) + "\n").encode())
    os.chmod(home / FILE_NAME, 0o600)
