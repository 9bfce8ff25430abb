"""A revival certificate stands alone: the program printed in docs/drills.md checks it, and finds what was changed."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emeritus.errors import LedgerBroken
from emeritus.ledger import envelope
from emeritus.ledger.keys import SigningKey
from emeritus.preservation import certificate
from emeritus.preservation.certificate import Drilled

DOCS = Path(__file__).parents[2] / "docs" / "drills.md"
ORIGIN, AT = "docs.example/ledger", "2026-11-21T12:00:00Z"
FOUND = Drilled("wren", certificate.ASLEEP, "could not be revived: EM404", error="EM404")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """The ledger's."""
    return SigningKey.generate(ORIGIN)


@pytest.fixture
def file(tmp_path: Path, key: SigningKey) -> Path:
    """A certificate as `emeritus certificate --out` writes it."""
    path = tmp_path / "wren.certificate.json"
    path.write_bytes(envelope.seal(certificate.statement(FOUND, ORIGIN, AT), key))
    return path


def run(file: Path, vkey: str) -> subprocess.CompletedProcess[str]:
    """Run the program in the page; it imports nothing of ours."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert "from emeritus" not in program
    assert "import emeritus" not in program
    return subprocess.run([sys.executable, "-c", program, str(file), vkey], capture_output=True, text=True, check=False)


def test_the_page_checks_a_certificate(file: Path, key: SigningKey) -> None:
    """The printed program says whose it is, and its digest is the file's."""
    said = run(file, key.verify_key.line)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"wren: not revived ({AT}), signed by {ORIGIN}\nfile ")


def test_the_page_finds_a_changed_certificate(file: Path, key: SigningKey) -> None:
    """A verdict that was improved, and another's key, are refused."""
    outer = json.loads(file.read_bytes())
    better = base64.b64decode(outer["payload"]).replace(b'"ok":false', b'"ok":true')
    file.write_text(json.dumps({**outer, "payload": base64.b64encode(better).decode()}))
    assert run(file, key.verify_key.line).returncode != 0
    with pytest.raises(LedgerBroken, match="signature"):
        certificate.read(file.read_bytes(), key.verify_key)
    file.write_text(json.dumps(outer))
    assert run(file, SigningKey.generate(ORIGIN).verify_key.line).returncode != 0


def test_another_statement_of_the_same_key_is_no_certificate(key: SigningKey) -> None:
    """An entry of the log, or a certificate whose subject is another's, is not taken for one."""
    made = certificate.statement(FOUND, ORIGIN, AT)
    assert certificate.read(envelope.seal(made, key), key.verify_key)["verdict"] == certificate.ASLEEP
    with pytest.raises(LedgerBroken, match="no revival certificate"):
        certificate.read(envelope.seal({**made, "predicateType": "urn:emeritus:act:x/v0"}, key), key.verify_key)
    exchanged = {**made, "predicate": {**made["predicate"], "ok": True}}
    with pytest.raises(LedgerBroken, match="subject"):
        certificate.read(envelope.seal(exchanged, key), key.verify_key)


def test_every_verdict_is_documented() -> None:
    """The page lists each, and says which one is good."""
    text = DOCS.read_text()
    for verdict in (
        certificate.SAME,
        certificate.DIFFERS,
        certificate.LOST,
        certificate.ASLEEP,
        certificate.UNCOMPARED,
    ):
        assert f"`{verdict}`" in text, verdict
