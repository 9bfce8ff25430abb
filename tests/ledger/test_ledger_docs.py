"""The verifier printed in docs/ledger.md runs as it stands there, and finds what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emeritus.blobs.local import LocalStore
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger

DOCS = Path(__file__).parents[2] / "docs" / "ledger.md"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small log on disk and its verifier key line."""
    folder = tmp_path_factory.mktemp("log")
    key = SigningKey.generate("docs.example/ledger")
    ledger = Ledger.create(LocalStore(folder / "ledger"), key, "docs.example/ledger", folder / "lock")
    with ledger.lock():
        for number in range(5):
            ledger.append({"n": number})
    return folder / "ledger", key.verify_key.line


def run(folder: Path, vkey: str) -> subprocess.CompletedProcess[str]:
    """Run the program in the page; it imports nothing of ours."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert "emeritus" not in program
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), vkey], capture_output=True, text=True, check=False
    )


def test_the_page_checks_a_log(log: tuple[Path, str]) -> None:
    """An independent reader of the same bytes agrees."""
    done = run(*log)
    assert done.stdout == "docs.example/ledger: 5 entries, all signed, root as the checkpoint says\n", done.stderr


@pytest.mark.parametrize("key", ["checkpoint", "tile/entries/000.p/5"])
def test_the_page_notices_damage(log: tuple[Path, str], key: str) -> None:
    """A changed byte, or another key, makes it fail."""
    folder, vkey = log
    good = (folder / key).read_bytes()
    (folder / key).write_bytes(good[:60] + bytes([good[60] ^ 1]) + good[61:])
    try:
        assert run(folder, vkey).returncode != 0
    finally:
        (folder / key).write_bytes(good)
    assert run(folder, SigningKey.generate("docs.example/ledger").verify_key.line).returncode != 0
    assert run(folder, vkey).returncode == 0
