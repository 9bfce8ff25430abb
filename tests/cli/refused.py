"""What a refusal is: one clear error in both forms, and a home in which nothing has changed.

The program is kept warm: a process that has imported it once and forks for every call, so that dozens of calls take
seconds. Each call is still a process of its own with its own output and exit code.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli_process import Said

WARM = """
import gc, json, os, resource, sys
import alembic.command, emeritus.app, emeritus.cli.summary, emeritus.engines.upstream, emeritus.records.tables
from emeritus.cli.main import run
gc.freeze()
for line in sys.stdin:
    call = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, path in enumerate(("/dev/null", call["out"], call["err"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        if call["largest"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (call["largest"], call["largest"]))
        os.environ.update(call["env"])
        run(call["arguments"])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Program:
    """`emeritus` on one home."""

    home: Path
    scratch: Path
    parent: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def warm(cls, home: Path, scratch: Path) -> Iterator[Program]:
        """The program, imported; its process ends with the block. No setting of the developer's reaches it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EMERITUS_")}
        parent = subprocess.Popen(
            [sys.executable, "-c", WARM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean
        )
        try:
            yield cls(home, scratch, parent)
        finally:
            parent.communicate(timeout=60)

    def say(
        self, *arguments: str, home: Path | None = None, largest: int | None = None, env: dict[str, str] | None = None
    ) -> Said:
        """What a call said, whatever its exit code. `largest`: no file may grow beyond this many bytes."""
        out, err = self.scratch / "out", self.scratch / "err"
        call = {
            "arguments": ["--home", str(home or self.home), *arguments],
            "out": str(out),
            "err": str(err),
            "largest": largest,
            "env": env or {},
        }
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(call) + "\n")
        self.parent.stdin.flush()
        code = int(self.parent.stdout.readline())
        return Said(code, out.read_text(), err.read_text())

    def __call__(self, *arguments: str, **more: Any) -> Any:
        """The JSON of a call that is to succeed."""
        said = self.say(*arguments, "--json", **more)
        assert said.code == 0, f"{arguments} ended with {said.code}\n{said.out}\n{said.err}"
        return said.json

    def refuses(self, *arguments: str, code: str, status: int, **more: Any) -> dict[str, Any]:
        """The error of a call that is to be refused, alike as text and as JSON; the home is as it was before."""
        given = self.refuses_json(*arguments, code=code, status=status, **more)
        text = self.say(*arguments, **more)
        assert (text.code, text.out) == (status, ""), f"{text.code}\n{text.out}\n{text.err}"
        assert text.err == f"error {code}: {given['message']}\n  what to do: {given['remedy']}\n"
        return given

    def refuses_json(self, *arguments: str, code: str, status: int, **more: Any) -> dict[str, Any]:
        """The same in the JSON form alone."""
        before = state(self.home)
        end = arguments.index("--") if "--" in arguments else len(arguments)  # after it nothing is an option
        given = error_of(self.say(*arguments[:end], "--json", *arguments[end:], **more), code, status)
        assert state(self.home) == before
        return given


def error_of(said: Said, code: str, status: int) -> dict[str, Any]:
    """The one error a call printed as JSON, and nothing else."""
    assert (said.code, said.err) == (status, ""), f"{said.code}\n{said.out}\n{said.err}"
    error: dict[str, Any] = said.json["error"]
    assert said.json == {"error": error}
    assert error["code"] == code, error
    assert error["message"]
    assert "\n" not in error["message"]
    assert error["remedy"]
    return error


def state(home: Path) -> dict[str, Any]:
    """Every file of a home by its digest, and every row; locks and engines' logs left out."""
    found: dict[str, Any] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not name.startswith(("records.db", "logs/")) and "lock" not in path.name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if (home / "records.db").exists():
        with closing(sqlite3.connect(f"file:{home / 'records.db'}?mode=ro", uri=True)) as rows:
            for (table,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                found[f"table {table}"] = sorted(map(repr, rows.execute(f'SELECT * FROM "{table}"').fetchall()))
    return found
