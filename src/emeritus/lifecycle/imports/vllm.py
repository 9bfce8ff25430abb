"""The log of a vLLM server, as far as it tells: addresses that were answered, and days without a year.

Its access lines (uvicorn's) have an address and a path, no time and no model; the server serves one model, which the
importer names. Days come from vLLM's own lines between them (`INFO 11-27 03:12:59 …`). Where access lines are turned
off, its statistics still say that somebody called. What its lines say of prompts is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from emeritus.lifecycle.imports.tally import Tally, who

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PROCESS = r"(?:\([A-Za-z_]+[^()]*\) )?"  # newer versions begin each line with it: (APIServer pid=1)
_ACCESS = re.compile(rf'{_PROCESS}INFO:\s+(\S+):(\d+) - "([A-Z]+) (\S+) HTTP/[\d.]+" (\d{{3}})(?: .*)?')
_LOOKS_LIKE = re.compile(rf"{_PROCESS}INFO:\s+\S+ - \"")
_DATED = re.compile(rf"{_PROCESS}(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (\d\d)-(\d\d) \d\d:\d\d:\d\d ")
_RUNNING = re.compile(r"Running: (\d+) reqs")
_NO_CALL = frozenset({"401", "403", "404", "405"})
UNNAMED = "somebody: vLLM's statistics name nobody"


def read(lines: Iterator[str], today: date, tally: Tally) -> None:
    """Count every call that was answered. A day belongs to the last year in which it is not after `today`."""
    day: date | None = None
    busy: date | None = None
    used = False
    for raw in lines:
        tally.lines += 1
        line = _COLOUR.sub("", raw)
        dated = _DATED.match(line)
        if dated is not None:
            day = _latest(int(dated[1]), int(dated[2]), today)
            if day is None:
                tally.refuse("its day does not exist")
            running = _RUNNING.search(line)
            if running is not None and int(running[1][:9]):
                busy, used = day, True
            continue
        found = _ACCESS.fullmatch(line)
        if found is None:
            if _LOOKS_LIKE.match(line):
                tally.refuse("an access line that cannot be read")
            continue  # start-up banners, traces, other loggers' lines
        if found[3] == "POST" and found[4].startswith("/v1/") and found[5] not in _NO_CALL:
            tally.call(*who(None, f"address {found[1]}"), day)
    if used and not tally.counted:
        tally.call(None, UNNAMED, busy, requests=0)


def _latest(month: int, day: int, today: date) -> date | None:
    for year in range(today.year, today.year - 9, -1):  # eight years back meet every 29 February but 2100's
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found <= today:
            return found
    return None
