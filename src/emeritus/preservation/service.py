"""Preservation's acts: keep, prove the restore, scrub, capture behaviour, drill. Each is recorded, good or bad.

The vault is durable first, then the act names its manifest. Knows the vault by a protocol and a resident that answers
by `Awake`; imports no other feature.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.engines.base import Awake
from emeritus.errors import (
    CanaryFailed,
    EmeritusError,
    InputError,
    IntegrityError,
    NotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from emeritus.preservation import behaviour
from emeritus.preservation.behaviour import Json
from emeritus.preservation.keeper import Keeper, Kept, Progress, Role
from emeritus.preservation.sources import differences, locked
from emeritus.records.database import Database
from emeritus.records.tables import Reference, Resident
from emeritus.vault.formats.table import cuts
from emeritus.vault.source import scan

_MOST_PROBLEMS = 50  # lines of a check's record; a statement has room for no more, and the count is exact
_CANARY_TEXTS, _CANARY_CHATS = 2, 1


class Preservation:
    """The acts of keeping. One per process and home; blocking but for those that talk to a resident."""

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
                cuts(opened, file.size, file.path)

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
        manifest = self._vault.preserve(directory, resident, role="weights", progress=progress)
        if register is not None:
            register()

        def build(session: Session) -> Draft:
            _holder(session, resident)
            public = {"kept": _kept("weights", manifest)}
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
            _resident(session, resident)
        manifest = self._keep_files(resident, "report", files)
        public = {"kept": _kept("report", manifest), "report_version": version}
        return self._acts.perform(
            f"preserve:{resident}:report:{version}",
            actor,
            lambda session: Draft(
                "preservation.preserved", resident, public=public, digests={"manifest": manifest.sha256}
            ),
        )

    def _keep_files(self, resident: str, role: Role, files: Mapping[str, bytes]) -> Kept:
        (self._home / "cache").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{role}-", dir=self._home / "cache") as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            return self._vault.preserve(Path(folder), resident, role=role)

    # -- proving -----------------------------------------------------------------------------------------------------

    def prove_restore(self, resident: str, actor: Actor, progress: Progress | None = None) -> Act:
        """Restore every file into a folder, compare each with the manifest, delete the folder.

        A proof that fails is recorded before IntegrityError (or what the vault raised) is. Without room for it, or
        without the store, nothing is proven either way: StoreFull and StoreUnavailable are raised and not recorded.
        """
        manifest = self._vault.manifest(resident)
        proofs = self._home / "cache" / "proofs"
        proofs.mkdir(parents=True, exist_ok=True)
        failure: StoreError | None = None
        with locked(proofs / "lock"):
            for leftover in proofs.glob("proof-*"):  # of a process that died during a proof
                shutil.rmtree(leftover)
            folder = proofs / f"proof-{secrets.token_hex(4)}"
            try:
                self._vault.restore(resident, folder, progress=progress)
                wrong = differences(folder, manifest)
            except (StoreFull, StoreUnavailable):
                raise
            except StoreError as error:
                failure, wrong = error, [error.message]
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        summary = f"{len(manifest.files)} files came back byte for byte"
        if wrong:
            summary = f"what came back is not what was preserved: {wrong[0]}"
        detail = {"manifest_sha256": manifest.sha256, "files": len(manifest.files), "bytes": manifest.total_bytes}
        act = self._check(resident, "restore", summary, {**detail, **_problems(wrong)}, actor)
        if failure is not None:
            raise failure
        if wrong:
            raise IntegrityError(f"the restore of {resident!r} failed its proof: {wrong[0]}", problems=wrong)
        return act

    def scrub(self, actor: Actor, resident: str | None = None, progress: Progress | None = None) -> Act:
        """Read and check every byte the vault holds, of one resident or of all; `public["ok"]` says how it went."""
        report = self._vault.verify(resident, deep=True, progress=progress)
        problems = [f"{damage.key}: {damage.what}" for damage in report.damages]
        summary = "every byte read was as it was stored"
        if problems:
            summary = f"damaged or missing: {len(problems)}; first: {problems[0]}"
        return self._check(resident, "scrub", summary, _problems(problems), actor)

    def _check(self, resident: str | None, kind: str, summary: str, detail: Json, actor: Actor) -> Act:
        ok = not detail["problems"]
        public = {"kind": kind, "ok": ok, "summary": summary[:1000], "detail": detail}
        return self._acts.perform(
            f"check:{resident or '*'}:{kind}:{secrets.token_hex(6)}",
            actor,
            lambda session: Draft("preservation.checked", resident, public=public),
        )

    # -- behaviour ---------------------------------------------------------------------------------------------------

    async def capture_reference(self, resident: str, awake: Awake, actor: Actor) -> Act:
        """Capture reference behaviour under the engine configuration that answers. One reference for each of them.

        Raises NotFound, and what the engine raises; a capture that was interrupted leaves nothing.
        """
        digest, probed = behaviour.build_digest(awake.build), behaviour.probes()
        act_id = f"reference:{resident}:{digest[:32]}:{probed.sha256[:8]}"
        known = self._acts.find(act_id)
        if known is not None:
            return known
        with self._database.reading() as session:
            _resident(session, resident)
        captured = await behaviour.capture(awake, probed)
        data = canonical(captured)
        return await asyncio.to_thread(self._record_reference, resident, (act_id, digest, captured), data, actor)

    def _record_reference(self, resident: str, found: tuple[str, str, Json], data: bytes, actor: Actor) -> Act:
        act_id, digest, captured = found
        with self._acts.alone():  # two captures at once would each leave the other's file out of the newest set
            with self._database.reading() as session:
                rows = session.scalars(select(Reference).where(Reference.resident == resident)).all()
                earlier = {f"{row.build_digest}.json": row.payload_sha256 for row in rows}
            files = {name: self._acts.payload(sha256) for name, sha256 in earlier.items()}
            manifest = self._keep_files(resident, "reference", {**files, f"{digest}.json": data})
            public = {
                "kept": _kept("reference", manifest),
                "build": captured["build"],
                "build_digest": digest,
                "method": captured["method"],
                "probes": len(captured["answers"]) + len(captured["scored"] or ()),
                "probes_sha256": captured["probes_sha256"],
            }
            return self._acts.perform(
                act_id,
                actor,
                lambda session: Draft(
                    "reference.captured",
                    resident,
                    public=public,
                    payloads={"reference.json": data},
                    digests={"manifest": manifest.sha256},
                ),
            )

    async def drill(self, resident: str, awake: Awake, actor: Actor) -> Act:
        """Compare a revived resident with the reference of its engine configuration; record the figures, good or bad.

        Raises NotFound when no reference was captured under this configuration.
        """
        found = self._reference(resident, awake)
        if found is None:
            raise NotFound(
                f"no reference of {resident!r} was captured under this engine configuration",
                remedy=f"Capture one: `emeritus preserve --name {resident}`.",
                build_digest=behaviour.build_digest(awake.build),
            )
        sha256, reference = found
        result = await behaviour.repeat(awake, reference, list(reference["scored"] or ()), list(reference["answers"]))
        detail = {**result.as_dict(), "reference_sha256": sha256, "build_digest": behaviour.build_digest(awake.build)}
        problems = _problems([] if result.ok else [result.summary])
        return await asyncio.to_thread(self._check, resident, "drill", result.summary, {**detail, **problems}, actor)

    def record_failed_drill(self, resident: str, error: EmeritusError, actor: Actor) -> Act:
        """Record a drill that came to no comparison; where a reference was what lacked, that is what it says."""
        summary = f"could not be revived: {error.code}"  # the message may name files of this machine
        if isinstance(error, NotFound) and "build_digest" in error.facts:
            summary = "was revived; no reference was captured under this engine configuration, so nothing was compared"
        return self._check(resident, "drill", summary, {"error": error.code, **_problems([summary])}, actor)

    async def canary(self, resident: str, awake: Awake) -> None:
        """The drill in small, after a wake and without a record: raises CanaryFailed when the answers differ.

        Nothing is compared where no reference exists for this configuration yet, or where a remote API answers whose
        equal requests may have unequal answers.
        """
        found = self._reference(resident, awake)
        if found is None:
            return
        reference = found[1]
        texts = list(reference["scored"] or ())[:_CANARY_TEXTS]
        if not texts and awake.build.weights_digest is None:
            return
        chats = [] if texts else list(reference["answers"])[:_CANARY_CHATS]
        result = await behaviour.repeat(awake, reference, texts, chats)
        if not result.ok:
            raise CanaryFailed(f"{resident} woke and differs from its reference: {result.summary}", **result.as_dict())

    def _reference(self, resident: str, awake: Awake) -> tuple[str, Json] | None:
        """The payload digest and content of the reference for what answers, if its probes are this version's."""
        digest = behaviour.build_digest(awake.build)
        with self._database.reading() as session:
            sha256 = session.scalars(
                select(Reference.payload_sha256)
                .where(Reference.resident == resident, Reference.build_digest == digest)
                .order_by(Reference.id.desc())
                .limit(1)
            ).first()
        if sha256 is None:
            return None
        reference: Json = json.loads(self._acts.payload(sha256))
        return (sha256, reference) if reference["probes_sha256"] == behaviour.probes().sha256 else None


def _resident(session: Session, name: str) -> Resident:
    row = session.get(Resident, name)
    if row is None:
        raise NotFound(f"there is no resident {name!r}", resident=name)
    return row


def _holder(session: Session, name: str) -> None:
    if not _resident(session, name).weights_held:
        raise InputError(
            f"{name!r} is registered as a model whose weights are not held",
            remedy="Leave the folder out to keep its behaviour, or register the model under another name.",
        )


def _kept(role: Role, manifest: Kept) -> Json:
    return {
        "role": role,
        "version": manifest.version,
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "stored_bytes": manifest.stored_bytes,
        "weights_digest": manifest.weights_digest if role == "weights" else None,
    }


def _problems(lines: list[str]) -> Json:
    return {"problems": [line[:500] for line in lines[:_MOST_PROBLEMS]], "problem_count": len(lines)}
