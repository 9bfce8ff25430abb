"""A resident's drills on its pages: the last one, good or bad, its certificate in figures, and the signed file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import web_kept
from starlette.testclient import TestClient
from web_house import House
from web_words import BUILD, NAME

from emeritus.ledger.envelope import unseal
from emeritus.preservation import certificate
from emeritus.preservation.certificate import Drilled
from emeritus.records.tables import Calibration, Certificate, Check

COMPARED: dict[str, Any] = {
    "reference_sha256": hashlib.sha256(b"reference").hexdigest(),
    "build_digest": hashlib.sha256(b"build").hexdigest(),
    "same_configuration": False,
    "test": "calibrated",
    "ok": True,
    "threshold": {"mean": 2.8e-5, "largest": 2.2e-4},
    "false_alarm_rate": 0.01,
    "summary": "within rounding",
    "logprob_difference": {"mean": 4.4e-6, "largest": 2.3e-5, "tokens": 288},
    "retokenised": [],
    "answers": 5,
    "answers_equal": 4,
}
CALIBRATION: dict[str, Any] = {
    "sha256": hashlib.sha256(b"calibration").hexdigest(),
    "margin": 4.0,
    "complete": True,
    "null": {"source": "rounding", "draws": 30, "means": [1e-6], "largests": [1e-5]},
    "power": [
        {"change": "noise", "size": 1e-4, "draws": 8, "noticed": 8, "power_at_least": 0.688}
        | {"noticed_same_configuration": 8, "median_mean_difference": 2.9e-3},
        {"change": "int8", "size": 0.0, "draws": 1, "noticed": 1, "power_at_least": None}
        | {"noticed_same_configuration": 1, "median_mean_difference": None},
    ],
}
WEIGHTS = {
    "identical": True,
    "manifest_sha256": hashlib.sha256(b"manifest").hexdigest(),
    "weights_digest": BUILD["weights_digest"],
    "files": 7,
    "bytes": 3_812_044,
    "problems": [],
    "problem_count": 0,
}


def drilled(house: House, number: int, found: Drilled) -> int:
    """A drill and its certificate; the ledger entry that names it."""
    at = f"2026-11-{number:02}T04:41:00Z"
    signed = house.ledger.seal(certificate.statement(found, house.ledger.origin, at))
    ok = found.verdict == certificate.SAME
    house.record(
        f"check:{NAME}:drill:{number}",
        "preservation.checked",
        Check(resident=NAME, kind="drill", ok=ok, summary=found.summary, detail={}, at=at),
        Certificate(resident=NAME, ok=ok, verdict=found.verdict, payload_sha256=house.keep(signed), at=at),
        resident=NAME,
        at=at,
        automated=True,
    )
    return house.ledger.size - 1


def test_the_last_drill_is_shown_good_or_bad(house: House, visit: TestClient) -> None:
    """The resident's page leads to the newest certificate, and says so when it is a bad one."""
    web_kept.registered(house)
    web_kept.kept(house)
    house.record(
        f"calibration:{NAME}:1",
        "reference.calibrated",
        Calibration(
            resident=NAME,
            build_digest="a" * 64,
            build_digests=["a" * 64, "b" * 64],
            weights_digest=BUILD["weights_digest"],
            probes_sha256="c" * 64,
            method="score",
            false_alarm_rate=0.01,
            payload_sha256=house.keep(b"{}"),
            at="2026-08-02T09:31:00Z",
        ),
        resident=NAME,
    )
    text = visit.get(f"/residents/{NAME}").text
    assert "between 2 engine configurations" in text
    assert "in at most 1 % of drills" in text
    assert "Last drill" not in text
    good = Drilled(NAME, certificate.SAME, "7 files came back", WEIGHTS, BUILD, [COMPARED], CALIBRATION)
    first = drilled(house, 1, good)
    assert f"/residents/{NAME}/certificates/{first}" in visit.get(f"/residents/{NAME}").text
    second = drilled(house, 8, Drilled(NAME, certificate.ASLEEP, "could not be revived: EM404", error="EM404"))
    text = visit.get(f"/residents/{NAME}").text
    assert f"/residents/{NAME}/certificates/{second}" in text
    assert f"<b>{certificate.ASLEEP}</b>" in text
    assert "1 earlier" in text
    bad = visit.get(f"/residents/{NAME}/certificates/{second}").text
    assert "Nothing was compared (EM404)." in bad
    assert f"/residents/{NAME}/certificates/{first}" in bad


def test_a_certificate_is_shown_with_its_figures_and_its_limits(house: House, visit: TestClient) -> None:
    """Differences beside their thresholds, the false-alarm rate, the power, and what was not shown."""
    web_kept.registered(house)
    entry = drilled(
        house, 1, Drilled(NAME, certificate.SAME, "7 files came back", WEIGHTS, BUILD, [COMPARED], CALIBRATION)
    )
    text = visit.get(f"/residents/{NAME}/certificates/{entry}").text
    for wanted in (
        "every byte is as it was preserved",
        "4.4e-06",
        "of 2.8e-05",
        "4 of 5",
        "at most 1 %",
        "Gaussian noise, 0.0001 of each tensor",
        "8 of 8",
        "69 %",
        "not random",
        "The probes are few and fixed",
        BUILD["weights_digest"],
    ):
        assert str(wanted) in text, wanted


def test_the_signed_file_is_served_byte_for_byte(house: House, visit: TestClient) -> None:
    """What is downloaded is the payload, and its signature holds under the ledger's key."""
    web_kept.registered(house)
    entry = drilled(house, 1, Drilled(NAME, certificate.DIFFERS, "differs", WEIGHTS, BUILD, [COMPARED], CALIBRATION))
    response = visit.get(f"/residents/{NAME}/certificates/{entry}/certificate.json")
    assert response.headers["content-type"] == "application/json"
    assert unseal(response.content, house.ledger.verify_key)["predicate"]["verdict"] == certificate.DIFFERS
    assert hashlib.sha256(response.content).hexdigest() in house.payloads


def test_a_certificate_that_is_not_signed_is_not_shown(house: House, visit: TestClient) -> None:
    """A payload that anyone else wrote gives an error with its code; an entry that is none is not found."""
    web_kept.registered(house)
    entry = drilled(house, 1, Drilled(NAME, certificate.SAME, "same", WEIGHTS, BUILD, [COMPARED], CALIBRATION))
    (digest,) = [key for key, data in house.payloads.items() if b"payloadType" in data]
    envelope = json.loads(house.payloads[digest])
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    house.payloads[digest] = json.dumps(envelope).encode()
    response = visit.get(f"/residents/{NAME}/certificates/{entry}")
    assert response.status_code == 500
    assert "EM3" in response.text
    for number in (0, 10_000):
        assert visit.get(f"/residents/{NAME}/certificates/{number}").status_code == 404
    assert visit.get(f"/residents/nobody/certificates/{entry}").status_code == 404
