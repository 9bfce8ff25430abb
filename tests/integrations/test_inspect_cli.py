"""`emeritus interview export` as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emeritus.integrations.inspect.reading import sessions


def call(home: Path, *arguments: str, code: int = 0, **environment: str) -> Any:
    """What a call says as JSON; it must end with that code."""
    command = [sys.executable, "-m", "emeritus.cli.main", "--home", str(home), *arguments, "--json"]
    env = {**os.environ, "EMERITUS_DATABASE_URL": "", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=200)
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


@pytest.mark.slow
def test_export(tmp_path: Path) -> None:
    """Sessions held by the product are exported and read back; what cannot be exported is one clear error."""
    home, logs = tmp_path / "home", tmp_path / "logs"
    call(home, "init", "--organisation", "Example Lab", "--second-coder", "waived", "--second-decider", "waived")
    call(home, "register", "wren", "--engine", "scripted", "-o", "default=A plain answer.")
    assert call(home, "interview", "export", "wren", "--inspect", str(logs), code=3)["error"]["code"] == "EM108"
    assert call(home, "interview", "export", "none", "--inspect", str(logs), code=3)["error"]["code"] == "EM108"
    assert not logs.exists()
    held = call(home, "interview", "run", "wren")
    said = call(home, "interview", "export", "wren", "--inspect", str(logs))
    assert said["sessions"] == len(held)
    (path,) = said["logs"]
    read = sessions(Path(path))
    assert {each.session: each.journal_sha256 for each in read} == {each["id"]: each["journal_sha256"] for each in held}
    one = held[0]["id"]
    said = call(home, "interview", "export", "wren", "--inspect", str(tmp_path / "one"), "--session", one)
    assert [each.session for each in sessions(Path(said["logs"][0]))] == [one]
    bad = call(home, "interview", "export", "wren", "--inspect", str(logs), "--session", "wren-x", code=3)
    assert "wren-x" in bad["error"]["message"]

    hidden = tmp_path / "hidden" / "sitecustomize.py"  # a machine without the extra
    hidden.parent.mkdir()
    hidden.write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'inspect_ai' else found(name, package)\n"
    )
    path_without = os.pathsep.join([str(hidden.parent), os.environ.get("PYTHONPATH", "")])
    gone = call(home, "interview", "export", "wren", "--inspect", str(logs), code=9, PYTHONPATH=path_without)
    assert gone["error"]["code"] == "EM704"
    assert "emeritus[inspect]" in gone["error"]["remedy"]
