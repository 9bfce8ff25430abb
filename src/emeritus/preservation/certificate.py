"""The revival certificate: what one drill did and found, as an in-toto statement that anyone can check. Pure.

A DSSE envelope, signed with the ledger's key, that stands alone: who has the file and the verifier key line needs
nothing else of ours. `docs/drills.md` gives every field and shows the check. Knows no table and no engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emeritus.acts import canonical
from emeritus.errors import LedgerBroken
from emeritus.ledger.envelope import unseal
from emeritus.ledger.keys import VerifyKey

Json = dict[str, Any]
PREDICATE = "urn:emeritus:revival-certificate/v0"
FILE = "certificate.json"
SAME, DIFFERS, LOST, ASLEEP, UNCOMPARED = (
    "revived, the same",
    "revived, behaves differently",
    "files differ",
    "not revived",
    "revived, compared with nothing",
)


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill found. `weights` None: they are not held. `behaviour`: one entry for each reference compared."""

    resident: str
    verdict: str
    summary: str
    weights: Json | None = None
    build: Json | None = None
    behaviour: Sequence[Json] = ()
    calibration: Json | None = None  # as kept, and beside it `sha256`
    error: str | None = None


def statement(found: Drilled, issuer: str, at: str) -> Json:
    """The in-toto statement v1 of a drill. `issuer` is the ledger's origin, `at` RFC 3339 in UTC."""
    predicate: Json = {
        "resident": found.resident,
        "issuer": issuer,
        "at": at,
        "verdict": found.verdict,
        "ok": found.verdict == SAME,
        "summary": found.summary,
        "error": found.error,
        "weights": found.weights,
        "engine": found.build and {"build": found.build, "build_sha256": _digest(found.build)},
        "behaviour": list(found.behaviour),
        "calibration": found.calibration and _calibration(found.calibration),
        "limits": limits(found),
    }
    subject = [{"name": f"certificate:{found.resident}", "digest": {"sha256": _digest(predicate)}}]
    if found.weights is not None:
        subject += [
            {"name": f"{name}:{found.resident}", "digest": {"sha256": found.weights[key]}}
            for name, key in (("manifest", "manifest_sha256"), ("weights", "weights_digest"))
            if found.weights[key]
        ]
    subject += [{"name": "reference", "digest": {"sha256": each["reference_sha256"]}} for each in found.behaviour]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": predicate,
    }


def limits(found: Drilled) -> list[str]:
    """What this drill cannot show, in sentences."""
    said = []
    if found.weights is None and found.error is None:
        said.append("The weights are not held: only answers were compared, and nothing was restored.")
    tests = {each["test"] for each in found.behaviour}
    if "calibrated" in tests and found.calibration is not None:
        said.append(
            "The false-alarm rate holds for engines that round up to "
            f"{found.calibration['margin']:g} times as coarsely as what the calibration saw; "
            "it says nothing of engines that compute in fewer bits."
        )
    if "tolerance" in tests:
        said.append(
            "The same configuration on the same kind of machine repeats itself; its tolerance is no statistical test."
        )
    if "answers" in tests:
        said.append(
            "Greedy answers to a few prompts can show that a model was exchanged; "
            "a small change of its weights they can miss."
        )
    if found.calibration is not None and not found.calibration["complete"]:
        said.append("The calibration ended at its time limit, with fewer draws than planned.")
    if found.behaviour:
        said.append("The probes are few and fixed: a change that shows on other texts alone is not seen here.")
    return said


def read(data: bytes, key: VerifyKey) -> Json:
    """A certificate's predicate, its signature verified. Raises LedgerBroken saying what does not hold."""
    found = unseal(data, key)
    predicate = found.get("predicate")
    if found.get("predicateType") != PREDICATE or not isinstance(predicate, dict):
        raise LedgerBroken("the signed statement is no revival certificate")
    subject = {each["name"]: each["digest"]["sha256"] for each in found["subject"]}
    if subject.get(f"certificate:{predicate['resident']}") != _digest(predicate):
        raise LedgerBroken("the certificate's subject is not its own predicate")
    return predicate


def _calibration(kept: Json) -> Json:
    """What of a calibration the certificate repeats: all but the single draws."""
    null = {key: value for key, value in kept["null"].items() if key not in ("means", "largests")}
    return {**kept, "null": null}


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
