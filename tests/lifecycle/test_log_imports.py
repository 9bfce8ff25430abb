"""Callers out of other programs' logs: what is counted, that bad lines are named, that memory does not follow size."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import BadTable, InputError
from emeritus.lifecycle.callers import CallerLine
from emeritus.lifecycle.imports.reading import FORMATS, LogFile, read_log
from emeritus.lifecycle.imports.vllm import UNNAMED

TODAY = date(2026, 1, 10)
_CHAT, _ASK = "/v1/chat/completions", "/v1/models/wren/generate"
NGINX = rf"""203.0.113.7 - ann@example.org [09/Jan/2026:23:30:00 -0100] "POST {_ASK} HTTP/1.1" 200 512 "-" "curl"
203.0.113.7 - ann@example.org [01/Jan/2026:10:00:00 +0000] "POST /wren{_CHAT} HTTP/1.1" 429 0 "-" "x \x22y"
203.0.113.8 - - [02/Jan/2026:10:00:00 +0000] "POST {_CHAT}?model=wren HTTP/2.0" 503 0 "-" "py"
203.0.113.9 - - [02/Jan/2026:10:00:00 +0000] "POST {_ASK} HTTP/1.1" 401 0 "-" "no right"
203.0.113.9 - - [02/Jan/2026:10:00:00 +0000] "GET /v1/models/wren HTTP/1.1" 200 9 "-" "only looks"
203.0.113.9 - - [02/Jan/2026:10:00:00 +0000] "POST /v1/models/robin/generate HTTP/1.1" 200 9 "-" "another"
203.0.113.9 - - [02/Jan/2026:10:00:00 +0000] "\x16\x03\x01" 400 9 "-" "-"
"""


def found(tmp_path: Path, text: str | bytes, format: str, **more: Any) -> Any:
    """What a file of that text says."""
    path = tmp_path / "log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(LogFile(path, format, more.pop("names", ("wren",)), **more), TODAY)


def test_nginx_counts_calls_by_user_or_address(tmp_path: Path) -> None:
    """Calls that were let in count, days are UTC's, and neither looking nor being refused is a call."""
    read = found(tmp_path, NGINX, "nginx")
    assert read.callers == (
        CallerLine("ann@example.org", None, 2, "2026-01-10"),
        CallerLine(None, "address 203.0.113.8", 1, "2026-01-02"),
    )
    assert (read.lines, read.bad) == (7, 0)


def test_nginx_takes_model_and_caller_from_extra_fields(tmp_path: Path) -> None:
    """A field is found by its name or its place; where it is asked for and missing, the line is bad."""
    head = '10.0.0.1 - - [02/Jan/2026:10:00:00 +0000] "POST /v1/chat/completions HTTP/1.1" 200 1 "-" "py"'
    text = f'{head} "wren" key=k1\n{head} "robin" key=k1\n{head} "wren" key="k 2"\n'
    read = found(tmp_path, text, "nginx", model_field="1", caller_field="key")
    assert [(each.label, each.requests) for each in read.callers] == [("k 2", 1), ("k1", 1)]
    with pytest.raises(BadTable, match="line 2: it has no field 'model'"):
        found(tmp_path, f"{head} model=wren\n{head}\n", "nginx", model_field="model")


ROW = {
    "request_id": "r1",
    "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "startTime": "2026-01-05T23:30:00-02:00",
    "model": "openai/wren",
    "model_group": "wren-group",
    "user": "",
    "metadata": {"user_api_key_alias": "batch jobs", "user_api_key_user_email": "bo@example.org"},
    "messages": [{"role": "user", "content": "never read"}],
}


def test_litellm_reads_json_lines_and_csv_alike(tmp_path: Path) -> None:
    """Both exports of the spend log give the same callers; a column of conversations is passed over."""
    rows = [ROW, {**ROW, "metadata": {}, "user": "team-7"}, {**ROW, "model": "robin"}, {**ROW, "metadata": None}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(ROW))
    writer.writeheader()
    for row in rows:
        told = {"metadata": json.dumps(row["metadata"]), "messages": "two\nlines " * 20_000}
        writer.writerow({**row, **told})
    expected = (
        CallerLine("bo@example.org", "batch jobs", 1, "2026-01-06"),
        CallerLine(None, "key 88dc28d0f030", 1, "2026-01-06"),
        CallerLine(None, "team-7", 1, "2026-01-06"),
    )
    assert found(tmp_path, lines, "litellm").callers == expected
    assert found(tmp_path, "\ufeff" + table.getvalue(), "litellm").callers == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"model": "wren"}\n', 1),
        (json.dumps(ROW) + "\n[1]\n", 2),
        (json.dumps(ROW) + "\n{broken\n", 2),
        ("startTime,model\n2026-01-01,wren\n", 1),
        ("startTime,model,api_key\n2026-01-01,wren\n", 2),
        ('startTime,model,api_key\n2026-01-01,wren,"open\n', 2),
        ("startTime,model,api_key\nyesterday,wren,k\n", 2),
        ("", 1),
    ],
)
def test_every_bad_line_of_a_spend_log_is_named(tmp_path: Path, text: str, line: int) -> None:
    """One error with the line; nothing is returned."""
    with pytest.raises(BadTable, match=f"line {line}:"):
        found(tmp_path, text, "litellm")


VLLM = """\
INFO 12-31 23:59:59 [api_server.py:1] Starting vLLM API server
(APIServer pid=7) INFO 01-09 10:00:00 [loggers.py:1] Engine 000: Running: 1 reqs, Waiting: 0 reqs
(APIServer pid=7) \x1b[32mINFO\x1b[0m:     10.0.0.5:41234 - "POST /v1/chat/completions HTTP/1.1" 200 OK
INFO:     10.0.0.5:41235 - "GET /health HTTP/1.1" 200 OK
INFO:     10.0.0.6:41235 - "POST /v1/completions HTTP/1.1" 401 Unauthorized
INFO 01-09 10:00:05 [logger.py:1] Received request cmpl-1: prompt: 'INFO: a - "secret"', params: x
Traceback (most recent call last):
"""


def test_vllm_gives_addresses_and_the_day_before_them(tmp_path: Path) -> None:
    """Access lines take the day of the dated line before; the last year not ahead is meant; prompts are none."""
    assert found(tmp_path, VLLM, "vllm").callers == (CallerLine(None, "address 10.0.0.5", 1, "2026-01-09"),)
    old = found(tmp_path, VLLM.replace("01-09", "12-31"), "vllm").callers
    assert old == (CallerLine(None, "address 10.0.0.5", 1, "2025-12-31"),)


def test_vllm_without_access_lines_still_says_that_somebody_calls(tmp_path: Path) -> None:
    """Its statistics name nobody; that it ran requests is known all the same."""
    quiet = "".join(line + "\n" for line in VLLM.splitlines() if " - " not in line)
    assert found(tmp_path, quiet, "vllm").callers == (CallerLine(None, UNNAMED, 0, "2026-01-09"),)
    assert found(tmp_path, quiet.replace("Running: 1", "Running: 0"), "vllm").callers == ()
    with pytest.raises(BadTable, match="line 1:"):
        found(tmp_path, 'INFO:     ::1 - "POST', "vllm")


def test_bad_lines_are_refused_or_left_out_and_counted(tmp_path: Path) -> None:
    """Without a word nothing is read; with one, up to that many are left out, and shown with their numbers."""
    text = "garbage\n" + NGINX + NGINX.replace("Jan/2026", "Foo/2026")
    with pytest.raises(BadTable, match="8 of 15 lines cannot be read: line 1: not in nginx's") as caught:
        found(tmp_path, text, "nginx")
    assert caught.value.facts["lines"] == [1, *range(9, 16)]
    read = found(tmp_path, text, "nginx", bad_lines=8)
    assert (len(read.callers), read.bad, read.shown[1]) == (2, 8, (9, "its time cannot be read"))
    with pytest.raises(BadTable):
        found(tmp_path, text, "nginx", bad_lines=7)
    with pytest.raises(InputError, match="no format"):
        found(tmp_path, text, "apache")


def test_memory_does_not_follow_the_files_length(tmp_path: Path) -> None:
    """Ten megabytes of log are read in less than one."""
    path = tmp_path / "big.log"
    line = NGINX.splitlines()[0] + "\n"
    path.write_text(line * (10_000_000 // len(line)))
    tracemalloc.start()
    try:
        read = read_log(LogFile(path, "nginx", ("wren",)), TODAY)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.callers[0].requests == read.lines
    assert peak < 1_000_000


@given(st.sampled_from(FORMATS), st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, format: str, data: bytes) -> None:
    """No file makes anything but callers or BadTable, and no name keeps a control character."""
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(data)
    try:
        for caller in read_log(LogFile(path, format, ("wren",)), TODAY).callers:
            assert caller.contact or caller.label
    except BadTable:
        pass
