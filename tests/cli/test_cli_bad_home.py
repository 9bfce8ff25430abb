"""A home that is not what it should be, and settings that cannot be used: named, and nothing is made worse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from refused import Program, state

from warm_program import Warm


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Program:
    """The program on a home without residents; tests break copies of it."""
    folder = tmp_path_factory.mktemp("home")
    program = Program(folder / "home", folder, warm.parent)
    program("init")
    return program


@pytest.fixture
def program(whole: Program, tmp_path: Path) -> Program:
    """The program on a copy of that home, which a test may break."""
    shutil.copytree(whole.home, tmp_path / "home")
    return Program(tmp_path / "home", tmp_path, whole.parent)


def test_a_home_that_does_not_exist(program: Program, tmp_path: Path) -> None:
    """The remedy is `emeritus init`, and looking makes no folder."""
    given = program.refuses("status", home=tmp_path / "none", code="EM702", status=9)
    assert "emeritus init" in given["remedy"]
    program.refuses("status", home=tmp_path / "home" / "emeritus.toml" / "below", code="EM702", status=9)
    assert not (tmp_path / "none").exists()
    program("init", home=tmp_path / "none")
    program("status", home=tmp_path / "none")


def test_a_home_where_none_can_be(program: Program, tmp_path: Path) -> None:
    """Below a file there is no folder to make."""
    given = program.refuses("init", home=tmp_path / "home" / "emeritus.toml" / "below", code="EM203", status=4)
    assert "below" in given["message"]


SETTINGS = {
    "not TOML": "port = = 3\n",
    "unknown": "prot = 3\n",
    "wrong type": 'port = "many"\n',
    "out of range": "port = 70000\n",
    "moves the home": 'home = "elsewhere"\n',
    "a table": "[port]\n",
}


@pytest.mark.parametrize("what", SETTINGS)
def test_an_unusable_settings_file(program: Program, what: str) -> None:
    """The setting or the line is named; corrected, the home opens."""
    file = program.home / "emeritus.toml"
    good = file.read_text()
    file.write_text(good + SETTINGS[what])
    given = program.refuses_json("status", code="EM106", status=3)
    assert any(word in given["message"] for word in ("port", "prot", "home", "line"))
    file.write_text(good)
    program("status")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "many", "status"),
        ("--port", "70000", "status"),
        ("--log-level", "loud", "status"),
        ("--second-coder", "maybe", "status"),
        ("--memory-budget-bytes", "-1", "status"),
        ("--database-url", "mongodb://x", "status"),
        ("--database-url", "nonsense", "status"),
    ],
)
def test_an_unusable_flag(program: Program, arguments: tuple[str, ...]) -> None:
    """The setting is named."""
    given = program.refuses(*arguments, code="EM106", status=3)
    assert arguments[0][2:].replace("-", "_") in f"{given['message']} {given['facts']}"


def test_a_flag_nobody_knows(program: Program) -> None:
    """The command line's own errors name the flag, show how to get help and end with 2."""
    before = state(program.home)
    for arguments, named in (
        (("--bogus", "status"), "--bogus"),
        (("status", "--bogus"), "--bogus"),
        (("serve", "--port", "many"), "--port"),
        (("--port",), "--port"),
        (("sattus",), "sattus"),
    ):
        said = program.say(*arguments)
        assert (said.code, said.out) == (2, ""), said
        assert "Traceback" not in said.err
        assert named in said.err
        assert "--help" in said.err
    assert state(program.home) == before


def test_a_missing_signing_key(program: Program) -> None:
    """No command makes a new key for an old ledger, `init` least of all; put back, the home opens."""
    key = program.home / "keys" / "ledger.key"
    kept = key.rename(program.home.parent / "kept.key")
    for command in ("status", "init", "verify"):
        given = program.refuses(command, code="EM302", status=5)
        assert str(key) in given["message"]
    kept.rename(key)
    program("status")


def test_a_wrong_signing_key(program: Program, whole: Program, tmp_path: Path) -> None:
    """Another ledger's key is refused before it signs anything."""
    program("init", home=tmp_path / "other")
    key = program.home / "keys" / "ledger.key"
    good = key.read_bytes()
    shutil.copy(tmp_path / "other" / "keys" / "ledger.key", key)
    program.refuses("register", "far", "-o", "base_url=http://x", "-o", "model=far", code="EM302", status=5)
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    program.refuses("status", code="EM302", status=5)
    key.write_bytes(good)
    key.chmod(0o644)
    given = program.refuses("status", code="EM302", status=5)
    assert "chmod 600" in given["remedy"]
    key.chmod(0o600)
    program("status")


def test_a_database_that_is_none(program: Program) -> None:
    """It is named and left alone; taken away, the ledger fills a new one."""
    for name in os.listdir(program.home):
        if name.startswith("records.db-"):
            (program.home / name).unlink()
    database = program.home / "records.db"
    database.write_bytes(b"this is no database\n" * 1000)
    before = database.read_bytes()
    for form in ((), ("--json",)):
        said = program.say("status", *form)
        assert said.code == 9, said
        assert "EM701" in said.out + said.err
        assert "Traceback" not in said.err
    assert database.read_bytes() == before
    database.unlink()
    assert program("status")["ledger_size"] == 3


def test_a_damaged_ledger_and_vault(program: Program) -> None:
    """Neither is opened for work, and neither is written to."""
    checkpoint = program.home / "ledger" / "checkpoint"
    good = checkpoint.read_bytes()
    checkpoint.write_bytes(b"nonsense")
    program.refuses("status", code="EM301", status=5)
    checkpoint.write_bytes(good)
    marker = program.home / "vault" / "vault.json"
    sound = marker.read_bytes()
    marker.write_bytes(sound[:-10])
    program.refuses("status", code="EM201", status=4)
    marker.write_bytes(sound)
    program("status")
