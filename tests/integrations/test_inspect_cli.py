"""`emeritus interview export` as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emeritus.integrations.inspect.reading import sessions
from warm_program import Warm


def call(program: Warm, *arguments: str, code: int = 0) -> Any:
    """What a call says as JSON; it must end with that code."""
    said = program.say(*arguments, "--json")
    assert said.code == code, f"{arguments}\n{said.out}\n{said.err}"
    return said.json


@pytest.mark.slow
def test_export(tmp_path: Path, warm: Warm) -> None:
    """Sessions held by the product are exported and read back; what cannot be exported is one clear error."""
    home, logs = tmp_path / "home", tmp_path / "logs"
    program = replace(warm, home=home)
    call(program, "init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")
    call(program, "register", "wren", "--engine", "scripted", "-o", "default=A plain answer.")
    assert call(program, "interview", "export", "wren", "--inspect", str(logs), code=3)["error"]["code"] == "EM108"
    assert call(program, "interview", "export", "none", "--inspect", str(logs), code=3)["error"]["code"] == "EM108"
    assert not logs.exists()
    held = call(program, "interview", "run", "wren")
    said = call(program, "interview", "export", "wren", "--inspect", str(logs))
    assert said["sessions"] == len(held)
    (path,) = said["logs"]
    read = sessions(Path(path))
    assert {each.session: each.journal_sha256 for each in read} == {each["id"]: each["journal_sha256"] for each in held}
    one = held[0]["id"]
    said = call(program, "interview", "export", "wren", "--inspect", str(tmp_path / "one"), "--session", one)
    assert [each.session for each in sessions(Path(said["logs"][0]))] == [one]
    bad = call(program, "interview", "export", "wren", "--inspect", str(logs), "--session", "wren-x", code=3)
    assert "wren-x" in bad["error"]["message"]

    hidden = tmp_path / "hidden" / "sitecustomize.py"  # a machine without the extra
    hidden.parent.mkdir()
    hidden.write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'inspect_ai' else found(name, package)\n"
    )
    path_without = os.pathsep.join([str(hidden.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), "interview", "export", "wren"]
    done = subprocess.run(
        [*command, "--inspect", str(logs), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "EMERITUS_DATABASE_URL": "", "PYTHONPATH": path_without},
        timeout=200,
    )
    assert done.returncode == 9, done.stderr
    gone = json.loads(done.stdout)
    assert gone["error"]["code"] == "EM704"
    assert "emeritus[inspect]" in gone["error"]["remedy"]
