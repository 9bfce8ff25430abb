"""What a person meets when something is wrong: bad flags, a reader that leaves, a damaged ledger or database."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cli_process import Emeritus, emeritus_process


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--log-level", "loud", "status"), 3),
        (("--port", "many", "status"), 3),
        (("register", "wren", "--engine", "scripted", "-o", "rules=[bad"), 3),
        (("nonsense",), 2),
    ],
)
def test_bad_flags_are_named_without_a_trace(emeritus: Emeritus, arguments: tuple[str, ...], code: int) -> None:
    """Each gets one clear error and the exit code of its kind."""
    assert "Traceback" not in emeritus(*arguments, code=code).err


def test_a_reader_that_leaves_is_no_failure(made: Emeritus, home: Path) -> None:
    """`emeritus settings | true` ends with 0: 1 would say that a check failed."""
    with subprocess.Popen(emeritus_process(home, "settings"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.close()
        assert left.wait(60) == 0


def wait_until_it_waits(process: int) -> None:
    """Until the process has the ledger's lock file open: it is then past its start and waits for the lock."""
    for _ in range(600):
        time.sleep(0.1)
        with suppress(OSError):
            if any("ledger.lock" in os.readlink(each) for each in Path(f"/proc/{process}/fd").iterdir()):
                time.sleep(0.5)
                return
    raise AssertionError("it never came to the lock")


def as_from_a_terminal() -> None:
    """A test run started in the background passes on that it ignores the interrupt; a shell's command does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_with_its_own_code(made: Emeritus, home: Path) -> None:
    """An interrupted command says that it may be run again."""
    waiting = emeritus_process(home, "register", "wren", "--engine", "scripted")
    with (home / "ledger.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(waiting, stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal) as stopped:
            wait_until_it_waits(stopped.pid)
            stopped.send_signal(signal.SIGINT)
            assert stopped.wait(60) == 130
            assert stopped.stderr is not None
            assert "interrupted" in stopped.stderr.read()


def test_a_home_in_a_folder_made_beforehand_is_closed_to_others(home: Path, emeritus: Emeritus) -> None:
    """Contacts and accounts lie in it, whoever made the folder."""
    home.mkdir(mode=0o755)
    emeritus("init")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_verify_names_what_is_wrong_with_a_ledger_that_cannot_be_opened(made: Emeritus, home: Path) -> None:
    """Damage at the log's end keeps every other command from opening it; the check still tells all it can."""
    bundle = max((home / "ledger" / "tile" / "entries" / "000.p").iterdir(), key=lambda path: int(path.name))
    data = bytearray(bundle.read_bytes())
    data[-50] ^= 1
    bundle.write_bytes(data)
    found = json.loads(made("verify", "--json", code=1).out)
    assert not found["ok"]
    assert any("entry" in line for line in found["ledger"])
    assert found["vault"] == []
    assert found["unchecked"] == ["payloads", "journals"]
    assert "NOT CHECKED" in made("verify", code=1).out
    made("status", code=5)


def test_a_database_of_another_ledger_is_rebuilt_as_the_error_says(made: Emeritus, home: Path, tmp_path: Path) -> None:
    """Opening refuses it and names `verify --rebuild`; that command works."""
    own = (home / "records.db").read_bytes()
    made("register", "wren", "--engine", "scripted")
    strange = (home / "records.db").read_bytes()
    other = tmp_path / "other"
    subprocess.run(emeritus_process(other, "init"), check=True, capture_output=True)
    assert own != strange
    (other / "records.db").write_bytes(strange)
    refused = subprocess.run(emeritus_process(other, "verify"), capture_output=True, text=True)
    assert refused.returncode == 5
    assert "verify --rebuild" in refused.stderr
    subprocess.run(emeritus_process(other, "verify", "--rebuild"), check=True, capture_output=True)
    assert b"wren" not in subprocess.run(emeritus_process(other, "status"), check=True, capture_output=True).stdout


def test_a_private_part_that_was_lost_is_not_taken_for_erased(made: Emeritus, home: Path) -> None:
    """Erasing leaves a mark in the records; a file that is simply gone is damage, and is named."""
    made("register", "wren", "--engine", "scripted")
    made("access", "grant", "wren", "--to", "ana@example.org", "--expires", "2020-01-01", code=3)
    made("access", "grant", "wren", "--to", "ana@example.org")
    (lost,) = (home / "private").iterdir()
    lost.unlink()
    (problem,) = json.loads(made("verify", "--json", code=1).out)["payloads"]
    assert "nobody erased it" in problem
