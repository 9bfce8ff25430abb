"""Preservation's acts on files: keep, prove the restore, scrub. Each is recorded, good or bad.

The vault is durable first, then the act names its manifest. Knows the vault by a protocol; imports no other feature.
Behaviour and drills are `drills`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.errors import InputError, IntegrityError
from emeritus.preservation.keeper import Keeper, Progress
from emeritus.preservation.recording import keep_files, kept_fields, problems, restore_compared
from emeritus.preservation.removal import marked
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import Resident
from emeritus.vault.formats.table import structured
from emeritus.vault.writing.source import scan

Json = dict[str, Any]


class Preservation:
    """The acts of keeping. One per process and home; blocking."""

    def __init__(self, acts: Acts, database: Database, vault: Keeper, home: Path) -> None:
        self._acts = acts
        self._database = database
        self._vault = vault
        self._home = home

    # -- keeping -----------------------------------------------------------------------------------------------------

    @staticmethod
    def check_source(directory: Path) -> None:
        """Refuse a folder the vault would refuse, before anything is written: names, sizes and headers are read.

        Raises NotFound, NotAModel, BadTensorFile, BadName, InputError.
        """
        for file in scan(directory, "weights").files:
            with file.real.open("rb") as opened:
                structured(opened, file.size, file.path)

    def preserve(
        self,
        resident: str,
        directory: Path,
        actor: Actor,
        progress: Progress | None = None,
        register: Callable[[], object] | None = None,
    ) -> Act:
        """Keep a model's folder. Repeating it with the same files is the same act.

        `register` takes the resident into care once its bytes are safe, so that a full disk leaves no resident without
        weights; without it the resident must exist.
        Raises NotFound, InputError (weights not held), AlreadyExists (other files under that name), and what the vault
        raises for a folder that is no model.
        """
        with self._database.reading() as session:
            if register is None or session.get(Resident, resident) is not None:
                _holder(session, resident)
            going = marked(session)  # what is to be removed must not become what others need
        manifest = self._vault.preserve(directory, resident, role="weights", progress=progress, avoid=going)
        if register is not None:
            register()

        def build(session: Session) -> Draft:
            _holder(session, resident)
            public = {"kept": kept_fields("weights", manifest)}
            return Draft("preservation.preserved", resident, public=public, digests={"manifest": manifest.sha256})

        act = self._acts.perform(f"preserve:{resident}:weights:{manifest.version}", actor, build)
        if act.payloads["manifest"] != manifest.sha256:
            raise IntegrityError(
                f"the vault's version {manifest.version} of {resident!r} is not the one the ledger names",
                recorded=act.payloads["manifest"],
                found=manifest.sha256,
            )
        return act

    def preserve_report(self, resident: str, version: int, files: Mapping[str, bytes], actor: Actor) -> Act:
        """Keep a report's files beside the weights. `version` is the report's own. Repeating it is the same act."""
        with self._database.reading() as session:
            resident_row(session, resident)
        manifest = keep_files(self._vault, self._home, (resident, "report"), files)
        public = {"kept": kept_fields("report", manifest), "report_version": version}
        return self._acts.perform(
            f"preserve:{resident}:report:{version}",
            actor,
            lambda session: Draft(
                "preservation.preserved", resident, public=public, digests={"manifest": manifest.sha256}
            ),
        )

    # -- proving -----------------------------------------------------------------------------------------------------

    def prove_restore(self, resident: str, actor: Actor, progress: Progress | None = None) -> Act:
        """Restore every file into a folder, compare each with the manifest, delete the folder.

        A proof that fails is recorded before IntegrityError (or what the vault raised) is. Without room for it, or
        without the store, nothing is proven either way: StoreFull and StoreUnavailable are raised and not recorded.
        """
        manifest = self._vault.manifest(resident)
        wrong, failure = restore_compared(self._vault, self._home, resident, progress)
        summary = f"{len(manifest.files)} files came back byte for byte"
        if wrong:
            summary = f"what came back is not what was preserved: {wrong[0]}"
        detail = {"manifest_sha256": manifest.sha256, "files": len(manifest.files), "bytes": manifest.total_bytes}
        act = self._check(resident, "restore", summary, {**detail, **problems(wrong)}, actor)
        if failure is not None:
            raise failure
        if wrong:
            raise IntegrityError(f"the restore of {resident!r} failed its proof: {wrong[0]}", problems=wrong)
        return act

    def scrub(self, actor: Actor, resident: str | None = None, progress: Progress | None = None) -> Act:
        """Read and check every byte the vault holds, of one resident or of all; `public["ok"]` says how it went."""
        report = self._vault.verify(resident, deep=True, progress=progress)
        damaged = [f"{damage.key}: {damage.what}" for damage in report.damages]
        summary = "every byte read was as it was stored"
        if damaged:
            summary = f"damaged or missing: {len(damaged)}; first: {damaged[0]}"
        return self._check(resident, "scrub", summary, problems(damaged), actor)

    def _check(self, resident: str | None, kind: str, summary: str, detail: Json, actor: Actor) -> Act:
        ok = not detail["problems"]
        public = {"kind": kind, "ok": ok, "summary": summary[:1000], "detail": detail}
        return self._acts.perform(
            f"check:{resident or '*'}:{kind}:{secrets.token_hex(6)}",
            actor,
            lambda session: Draft("preservation.checked", resident, public=public),
        )


def _holder(session: Session, name: str) -> None:
    if not resident_row(session, name).weights_held:
        raise InputError(
            f"{name!r} is registered as a model whose weights are not held",
            remedy="Leave the folder out to keep its behaviour, or register the model under another name.",
        )
