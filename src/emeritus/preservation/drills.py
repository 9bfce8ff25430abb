"""Drills: reference behaviour captured and calibrated, revivals rehearsed, each with a signed certificate, good or bad.

Knows the vault by a protocol and a resident that answers by `Awake`; imports no other feature. What a difference means
is `calibration`'s, what a certificate holds is `certificate`'s.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.engines.base import Awake, Build
from emeritus.errors import CanaryFailed, EmeritusError, IntegrityError, NotFound
from emeritus.preservation import behaviour, calibrating, calibration, certificate
from emeritus.preservation.behaviour import Json, build_digest
from emeritus.preservation.calibrating import Gathering
from emeritus.preservation.calibration import Judged
from emeritus.preservation.certificate import Drilled
from emeritus.preservation.keeper import Keeper, Progress
from emeritus.preservation.recording import keep_files, kept_fields, problems, restore_compared
from emeritus.records.database import Database
from emeritus.records.residents import resident_row
from emeritus.records.tables import Calibration, Preserved, Reference

_CANARY_TEXTS, _CANARY_CHATS = 1, 1  # one text takes every weight matrix through its paces; a wake waits for it
_NOTHING = "was revived; no reference can be compared with this engine configuration"


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A reference to compare with. `same`: captured under the configuration that answers now."""

    sha256: str
    build_digest: str
    same: bool
    content: Json


class Drills:
    """The acts around behaviour. One per process and home."""

    def __init__(self, acts: Acts, database: Database, vault: Keeper, home: Path) -> None:
        self._acts = acts
        self._database = database
        self._vault = vault
        self._home = home

    # -- references, and their calibration ---------------------------------------------------------------------------

    async def capture_reference(self, resident: str, awake: Awake, actor: Actor) -> Act:
        """Capture reference behaviour under the engine configuration that answers. One reference for each of them.

        Where there was one before, under another configuration, the act says how far this one lies from it.

        Raises NotFound, and what the engine raises; a capture that was interrupted leaves nothing.
        """
        digest, probed = build_digest(awake.build), behaviour.probes()
        act_id = f"reference:{resident}:{digest[:32]}:{probed.sha256[:8]}"
        known = self._acts.find(act_id)
        if known is not None:
            return known
        with self._database.reading() as session:
            resident_row(session, resident)
        captured = await behaviour.capture(awake, probed)
        public: Json = {
            "build": captured["build"],
            "build_digest": digest,
            "method": captured["method"],
            "probes": len(captured["answers"]) + len(captured["scored"] or ()),
            "probes_sha256": captured["probes_sha256"],
        }
        before = self._latest(resident)
        if before is not None and before.content["probes_sha256"] == captured["probes_sha256"]:
            public["compared"] = {
                "reference_sha256": before.sha256,
                "build_digest": before.build_digest,
                "same_weights": before.content["build"]["weights_digest"] == captured["build"]["weights_digest"],
                **behaviour.compare(before.content, captured).as_dict(),
            }
        file = (f"{digest}.json", "reference.json", canonical(captured))
        draft = Draft("reference.captured", resident, public=public)
        return await asyncio.to_thread(self._keep, act_id, draft, file, actor)

    def calibrated(self, resident: str, build: Build) -> Act | None:
        """The calibration whose draws were taken under this configuration, if it was made."""
        return self._acts.find(_calibration_id(resident, build_digest(build)))

    async def calibrate(
        self, resident: str, awake: Awake, other: Build | None, actor: Actor, gathering: Gathering
    ) -> Act | None:
        """Calibrate drills from the references under what answers and under `other`, and from draws of small changes.

        None where this engine allows no calibration. Raises NotFound where a reference named is not there.
        """
        act_id = _calibration_id(resident, build_digest(awake.build))
        known = self._acts.find(act_id)
        if known is not None:
            return known
        own = self._captured(resident, build_digest(awake.build))
        second = None if other is None else self._captured(resident, build_digest(other))
        made = await calibrating.calibrate(awake, own.content, None if second is None else second.content, gathering)
        if made is None:
            return None
        both = [own] if second is None else [own, second]
        made["configurations"] = [{"build_digest": each.build_digest, "reference_sha256": each.sha256} for each in both]
        public = {key: made[key] for key in ("method", "false_alarm_rate", "threshold", "configurations", "complete")}
        public["build_digest"] = own.build_digest
        public["weights_digest"] = made["weights_digest"]
        public["probes_sha256"] = made["probes_sha256"]
        file = (f"calibration-{own.build_digest}.json", "calibration.json", canonical(made))
        draft = Draft("reference.calibrated", resident, public=public)
        return await asyncio.to_thread(self._keep, act_id, draft, file, actor)

    def _keep(self, act_id: str, draft: Draft, file: tuple[str, str, bytes], actor: Actor) -> Act:
        """Keep one more file beside a resident's references, and record it. `file`: name there, name here, bytes."""
        name, payload, data = file
        resident = str(draft.resident)
        with self._acts.alone():  # two at once would each leave the other's file out of the newest set
            with self._database.reading() as session:
                earlier = _kept_beside(session, resident)
            files = {each: self._acts.payload(sha256) for each, sha256 in earlier.items()}
            manifest = keep_files(self._vault, self._home, (resident, "reference"), {**files, name: data})
            public = {"kept": kept_fields("reference", manifest), **draft.public}
            whole = Draft(
                draft.kind, resident, public=public, payloads={payload: data}, digests={"manifest": manifest.sha256}
            )
            return self._acts.perform(act_id, actor, lambda session: whole)

    # -- drills ------------------------------------------------------------------------------------------------------

    async def drill(self, resident: str, awake: Awake, actor: Actor, progress: Progress | None = None) -> Act:
        """Restore and compare every file, compare behaviour with the references, record and certify what was found.

        Raises NotFound when no reference can be compared with this configuration, and what the engine raises; both
        are for `record_failed_drill`. StoreFull and StoreUnavailable say nothing of the resident.
        """
        yardsticks, bounds = self._yardsticks(resident, awake)
        if not yardsticks:
            raise NotFound(
                f"no reference of {resident!r} can be compared with this engine configuration",
                remedy=f"Capture one: `emeritus preserve --name {resident}`.",
                build_digest=build_digest(awake.build),
            )
        weights = await asyncio.to_thread(self._restored, resident, awake.build, progress)
        captured = await behaviour.capture(awake, behaviour.probes())
        found = _behaviour(yardsticks, captured, bounds)
        wrong = [each["summary"] for each in found if not each["ok"]]
        lost = [] if weights is None else weights["problems"]
        verdict, summary = certificate.SAME, found[0]["summary"]
        if wrong:
            verdict, summary = certificate.DIFFERS, wrong[0]
        if lost:
            verdict, summary = certificate.LOST, f"what came back is not what was preserved: {lost[0]}"
        elif weights is not None:
            summary = f"{weights['files']} files came back byte for byte; {summary}"
        drilled = Drilled(resident, verdict, summary, weights, captured["build"], found, bounds)
        return await asyncio.to_thread(self._certify, drilled, [*lost, *wrong], actor)

    def record_failed_drill(self, resident: str, error: EmeritusError, actor: Actor) -> Act:
        """Record and certify a drill that came to no comparison; where only a reference lacked, it says that."""
        verdict = certificate.LOST if isinstance(error, IntegrityError) else certificate.ASLEEP
        summary = f"could not be revived: {error.code}"  # the message may name files of this machine
        if isinstance(error, CanaryFailed):  # it woke, and the first probes gave it away
            verdict, summary = certificate.DIFFERS, error.message
        if isinstance(error, NotFound) and "build_digest" in error.facts:
            verdict, summary = certificate.UNCOMPARED, f"{_NOTHING}, so nothing was compared"
        return self._certify(Drilled(resident, verdict, summary, error=error.code), [summary], actor)

    def _certify(self, drilled: Drilled, wrong: Sequence[str], actor: Actor) -> Act:
        def build(session: Session) -> Draft:
            signed = self._acts.sign(certificate.statement(drilled, self._acts.origin, self._acts.now))
            detail = {
                "verdict": drilled.verdict,
                "weights": drilled.weights and {k: v for k, v in drilled.weights.items() if k != "problems"},
                "behaviour": [{key: each[key] for key in each if key != "retokenised"} for each in drilled.behaviour],
                "calibration_sha256": drilled.calibration and drilled.calibration["sha256"],
                "build_digest": drilled.build and build_digest(Build(**drilled.build)),
                **({} if drilled.error is None else {"error": drilled.error}),
                **problems(wrong),
            }
            public = {"kind": "drill", "ok": not wrong, "summary": drilled.summary[:1000], "detail": detail}
            return Draft("preservation.checked", drilled.resident, public=public, payloads={certificate.FILE: signed})

        return self._acts.perform(f"check:{drilled.resident}:drill:{secrets.token_hex(6)}", actor, build)

    def _restored(self, resident: str, build: Build, progress: Progress | None) -> Json | None:
        """The weights restored and compared with the manifest, the ledger's record and what answers. None: not held."""
        with self._database.reading() as session:
            if not resident_row(session, resident).weights_held:
                return None
            recorded = session.scalars(
                select(Preserved.manifest_sha256)
                .where(Preserved.resident == resident, Preserved.role == "weights")
                .order_by(Preserved.version.desc())
            ).first()
        manifest = self._vault.manifest(resident)
        lost, _ = restore_compared(self._vault, self._home, resident, progress)
        if manifest.sha256 != recorded:
            lost = [*lost, f"the vault's manifest is {manifest.sha256}, the ledger names {recorded}"]
        if build.weights_digest != manifest.weights_digest:
            lost = [*lost, f"the weights that answer are {build.weights_digest}, those kept {manifest.weights_digest}"]
        return {
            "identical": not lost,
            "manifest_sha256": manifest.sha256,
            "weights_digest": manifest.weights_digest,
            "files": len(manifest.files),
            "bytes": manifest.total_bytes,
            **problems(lost),
        }

    # -- the canary --------------------------------------------------------------------------------------------------

    async def canary(self, resident: str, awake: Awake) -> None:
        """The drill in small, after a wake and without a record: raises CanaryFailed when the answers differ.

        Under a configuration without a reference, after an engine's update for one, the calibration's threshold
        decides. Nothing is compared where neither exists, or where a remote API answers whose equal requests may have
        unequal answers.
        """
        yardsticks, bounds = self._yardsticks(resident, awake)
        if not yardsticks:
            return
        yardstick = yardsticks[0]
        scored = yardstick.content["scored"] is not None
        if not scored and (awake.build.weights_digest is None or not yardstick.same):
            return
        probed = behaviour.probes().first(_CANARY_TEXTS if scored else 0, 0 if scored else _CANARY_CHATS)
        if bounds is not None and "largest" in bounds["threshold"]:
            # the mean of a few texts may lie above that of all, their largest difference cannot
            largest = bounds["threshold"]["largest"]
            bounds = {**bounds, "threshold": {"mean": largest, "largest": largest}}
        for opening in (True, False) if scored else (False,):
            # the first words cost a third; where they do not fit, the whole text alone was captured like this
            captured = await behaviour.capture(awake, probed.opening() if opening else probed)
            found = behaviour.compare(yardstick.content, captured, opening=opening)
            if opening and found.retokenised:
                continue  # a tokenizer that ends a text with a token of its own
            judged = calibration.judge(found, yardstick.same, bounds if scored else None)
            if judged is None or judged.ok:
                return
            if not opening:
                said = f"{resident} woke and differs from its reference: {judged.summary}"
                raise CanaryFailed(said, **found.as_dict())

    # -- what to compare with ----------------------------------------------------------------------------------------

    def _yardsticks(self, resident: str, awake: Awake) -> tuple[list[Yardstick], Json | None]:
        """References that can be compared with what answers, its own configuration's first; and the calibration.

        That is the newest one which saw this configuration, else the first ever made for these weights: later ones
        were captured by whoever changed the engine, and what they saw had drifted already, if it had.
        """
        digest = build_digest(awake.build)
        probed = behaviour.probes().sha256
        with self._database.reading() as session:
            rows = session.scalars(
                select(Calibration).where(Calibration.resident == resident).order_by(Calibration.id)
            ).all()
            fitting = [
                row for row in rows if row.probes_sha256 == probed and row.weights_digest == awake.build.weights_digest
            ]
            saw = [row for row in fitting if digest in row.build_digests]
        chosen = saw[-1] if saw else (fitting[0] if fitting else None)
        bounds = None
        if chosen is not None:
            bounds = {**json.loads(self._acts.payload(chosen.payload_sha256)), "sha256": chosen.payload_sha256}
        others = [] if chosen is None else [each for each in chosen.build_digests if each != digest]
        found = [each for name in [digest, *others] if (each := self._find(resident, name, digest)) is not None]
        kept = [each for each in found if each.content["probes_sha256"] == probed]
        if not awake.can.score:
            kept = [each for each in kept if each.content["method"] == "greedy"]
        return kept, bounds

    def _captured(self, resident: str, digest: str) -> Yardstick:
        found = self._find(resident, digest, digest)
        if found is None:
            raise NotFound(f"no reference of {resident!r} was captured under the configuration {digest[:12]}")
        return found

    def _latest(self, resident: str) -> Yardstick | None:
        """The reference captured last, under whatever configuration: what an update of the engine is compared with."""
        with self._database.reading() as session:
            digest = session.scalars(
                select(Reference.build_digest)
                .where(Reference.resident == resident)
                .order_by(Reference.id.desc())
                .limit(1)
            ).first()
        return None if digest is None else self._find(resident, digest, "")

    def _find(self, resident: str, wanted: str, answering: str) -> Yardstick | None:
        with self._database.reading() as session:
            sha256 = session.scalars(
                select(Reference.payload_sha256)
                .where(Reference.resident == resident, Reference.build_digest == wanted)
                .order_by(Reference.id.desc())
                .limit(1)
            ).first()
        if sha256 is None:
            return None
        return Yardstick(sha256, wanted, wanted == answering, json.loads(self._acts.payload(sha256)))


def _behaviour(yardsticks: Sequence[Yardstick], captured: Json, bounds: Json | None) -> list[Json]:
    """Each reference's comparison and verdict, as the certificate states it."""
    found = []
    for each in yardsticks:
        compared = behaviour.compare(each.content, captured)
        judged = calibration.judge(compared, each.same, bounds)
        if judged is None:
            judged = Judged(False, "none", {}, None, "the log-probabilities could not be compared")
        found.append(
            {
                "reference_sha256": each.sha256,
                "build_digest": each.build_digest,
                "same_configuration": each.same,
                "test": judged.test,
                "ok": judged.ok,
                "threshold": judged.threshold,
                "false_alarm_rate": judged.rate,
                "summary": judged.summary,
                **compared.as_dict(),
            }
        )
    return found


def _kept_beside(session: Session, resident: str) -> Mapping[str, str]:
    """Name in the vault -> payload, of every reference and calibration so far."""
    references = session.scalars(select(Reference).where(Reference.resident == resident)).all()
    made = session.scalars(select(Calibration).where(Calibration.resident == resident)).all()
    files = {f"{row.build_digest}.json": row.payload_sha256 for row in references}
    return {**files, **{f"calibration-{row.build_digest}.json": row.payload_sha256 for row in made}}


def _calibration_id(resident: str, digest: str) -> str:
    return f"calibration:{resident}:{digest[:32]}:{behaviour.probes().sha256[:8]}"
