"""What an operator imports: lists of callers, logs of nginx, LiteLLM and vLLM, traces for the planner."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from emeritus.lifecycle.callers import read_callers
from emeritus.lifecycle.imports.reading import LogFile, read_log
from emeritus.residency.traces import Trace, read_csv
from fuzz.target import Target, attempt, expect

TODAY = date(2026, 11, 21)
LENIENT = 1 << 30  # lines that may be bad
NAMES = ("ibis", "house/ibis")
CSV = b"contact,label,requests,last_used\nann@example.org,Ann,12,2026-03-31\n,Batch,,\n"
NGINX = (
    b'10.0.0.1 - ann [21/Nov/2026:10:00:00 +0100] "POST /v1/models/ibis:go HTTP/1.1" 200 5 "-" "x" ibis c="a\\x22"\n'
    b'10.0.0.2 - - [01/Jan/2026:00:00:00 -0930] "GET /?model=ibis HTTP/1.1" 404 - "-" "x" model=ibis\n'
)
SPEND = {
    "startTime": "2026-11-20T10:00:00Z",
    "model": "openai/ibis",
    "model_group": "",
    "user": "u",
    "api_key": "k" * 64,
    "metadata": {"user_api_key_alias": "batch", "user_api_key_user_email": "ann@example.org"},
}
SPEND_CSV = b'startTime,model,api_key,metadata\n2026-11-20 10:00:00,ibis,abc,"{""user_api_key_alias"": ""b""}"\n'
VLLM = (
    b"\x1b[36mINFO 11-20 03:12:59 [loggers.py:111] Engine 000: Running: 1 reqs, Waiting: 0 reqs\n"
    b'(APIServer pid=1) INFO:     10.0.0.1:4242 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    b"INFO 02-29 00:00:00 x\n"
)
TRACE = b"at,resident,answer_s\n0.5,a,1.5\n2,b,\n-7,a,0\n"


def check_callers(data: bytes) -> None:
    """A list of callers: each once, or refused."""
    fine, callers = attempt(lambda: read_callers(data))
    if fine:
        expect(len({each.identity for each in callers}) == len(callers), "a caller stands there twice")
        expect(all(each.contact or each.label for each in callers), "a caller without a name")


def log(kind: str) -> Callable[[bytes], None]:
    """A log, read strictly and with its bad lines left out: both find the same callers where none is bad."""

    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            path.write_bytes(data)
            fine, strict = attempt(lambda: read_log(LogFile(path, kind, NAMES), TODAY))
            able, found = attempt(lambda: read_log(LogFile(path, kind, NAMES, bad_lines=LENIENT), TODAY))
        expect(able or not fine, "a log is read strictly only")
        if able:
            expect(fine == (found.bad == 0) and (not fine or strict == found), "two readings of a log differ")
            for each in found.callers:
                expect(bool(each.contact or each.label), "a caller without a name")
                json.dumps([each.contact, each.label]).encode()

    return check


def check_trace(data: bytes) -> None:
    """A trace: calls in order, from 0 on, or refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.csv"
        path.write_bytes(data)
        fine, trace = attempt(lambda: read_csv(path))
    if fine:
        expect(isinstance(trace, Trace) and list(trace.calls) == sorted(trace.calls), "calls are not in order")
        expect(all(0 <= call.at < float("inf") and call.answer_s >= 0 for call in trace.calls), "a call at no time")


TARGETS = {
    "callers": Target(check_callers, lambda: [CSV]),
    "nginx": Target(log("nginx"), lambda: [NGINX]),
    "litellm": Target(log("litellm"), lambda: [json.dumps(SPEND).encode() + b"\n", SPEND_CSV]),
    "vllm": Target(log("vllm"), lambda: [VLLM]),
    "trace": Target(check_trace, lambda: [TRACE]),
}
