"""What a refusal is: one clear error in both forms, and a home in which nothing has changed."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from warm_program import Said, Warm


class Program(Warm):
    """`emeritus` on one home, which a refused call leaves as it was."""

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
    """Every file of a home by its digest, and every row; without locks, engines' logs and what servers tell."""
    found: dict[str, Any] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not name.startswith(("records.db", "logs/", "serving/")) and "lock" not in path.name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if (home / "records.db").exists():
        with closing(sqlite3.connect(f"file:{home / 'records.db'}?mode=ro", uri=True)) as rows:
            for (table,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                found[f"table {table}"] = sorted(map(repr, rows.execute(f'SELECT * FROM "{table}"').fetchall()))
    return found
