"""`emeritus` kept warm: a process that has imported it once and forks for every call, so that dozens take seconds.

Each call is still a process of its own, with its own output and exit code. Knows no command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Said:
    """What a call printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON it printed."""
        return json.loads(self.out)


WARM = """
import functools, gc, json, os, resource, sys, typer.main
import alembic.command, emeritus.app, emeritus.cli.summary, emeritus.engines.upstream, emeritus.records.tables
from emeritus.cli.main import app, run
typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(app)  # the tree of all commands takes as long as most of them
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
class Warm:
    """`emeritus` on one home; what its calls print lies in `scratch`."""

    home: Path
    scratch: Path
    parent: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def warm(cls, home: Path, scratch: Path) -> Iterator[Self]:
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
