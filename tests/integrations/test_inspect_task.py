"""The task `emeritus/interview`, run by Inspect itself over its own mock of a provider. No network."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ChatMessage, ModelOutput, ModelUsage, get_model
from inspect_house import Answering, said

from emeritus.errors import BadProtocol, BadTable, InputError, IntegrityError
from emeritus.integrations.inspect.reading import same, sessions, sessions_of
from emeritus.integrations.inspect.task import Asked, interview
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import load
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.prompts import Briefing, Fact
from emeritus.interview.sessions.session import hold
from emeritus.interview.sessions.transcript import read_journal

pytestmark = [  # Inspect's own, which a program that uses it never shows
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed <Memory:ResourceWarning"),
]
USAGE = ModelUsage(input_tokens=3, output_tokens=4, total_tokens=7)
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Provider:
    """What Inspect's mock answers with: the house's answers, and what was asked."""

    def __init__(self, fails: int = 0, stop_reason: Any = "stop") -> None:
        self.sent: list[list[tuple[str, str]]] = []
        self.fails = fails
        self.stop_reason = stop_reason

    def __call__(self, given: list[ChatMessage], tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
        """One answer."""
        self.sent.append([(message.role, message.text) for message in given])
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the provider is gone for a moment")
        output = ModelOutput.from_content("mockllm/model", said(given[-1].text), self.stop_reason)
        output.usage = USAGE
        return output


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """What Inspect left open is collected here, not in a test that knows nothing of it."""
    yield
    gc.collect()


@pytest.fixture
def far_model(tmp_path: Path) -> Iterator[str]:
    """A scripted model served over the OpenAI wire."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"model": "far", "default": "A plain answer."}))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    serving = [sys.executable, "-m", "emeritus.engines.scripted", "--port", str(port), "--script", str(script)]
    server = subprocess.Popen(serving, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).read()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=10)


def run(tmp_path: Path, provider: Provider, **arguments: Any) -> EvalLog:
    """Let Inspect hold the interview."""
    model = get_model("mockllm/model", custom_outputs=provider, memoize=False)
    made = interview(journals=str(tmp_path / "journals"), **arguments)
    (log,) = inspect_eval(made, model=model, log_dir=str(tmp_path / "logs"), display="none", max_samples=1)
    return log


def test_the_same_messages_are_sent_as_by_the_product(tmp_path: Path) -> None:
    """Held by Inspect and held by us, a session sends the same messages in the same order, in every cell."""
    provider = Provider()
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps([{"text": "It answered letters.", "source": "register"}]))
    log = run(tmp_path, provider, title="Larkspur", organisation="Example Lab", weights_held=True, facts=str(facts))
    assert log.status == "success"
    assert log.results is not None
    protocol = load()
    briefing = Briefing("Larkspur", "Example Lab", True, True, (Fact("It answered letters.", "register"),))
    expected = []
    for cell in protocol.cells:
        plan = plan_session(protocol, briefing, Form(cell), Place(f"own-{cell.id}", "own"))
        model = Answering()
        model.calls = 10  # past the failure
        own = asyncio.run(hold(model, plan, tmp_path / "own" / f"{cell.id}.jsonl", lambda: "2026-01-10T12:00:00Z"))
        for turn in own.turns:
            expected += [[(each["role"], each["content"]) for each in a.messages] for a in turn.attempts]
    assert sorted(provider.sent) == sorted(expected)
    assert len(expected) == len(protocol.cells) * len(protocol.items)


def test_its_log_reads_back_as_its_journals(tmp_path: Path) -> None:
    """The log that Inspect wrote gives the turns of the journals beside it, and a score."""
    log = run(tmp_path, Provider(), cells="baseline", repeats=2)
    read = sessions(Path(log.location.removeprefix("file://")))
    assert len(read) == 2
    for each in read:
        transcript = read_journal(tmp_path / "journals" / f"{each.session}.jsonl", each.journal_sha256)
        assert same(each, transcript)
        assert transcript.status == "complete"
    assert {each.condition["wording"] for each in read} == {0, 1}
    (sample, _) = log.samples or []
    items = sample.scores["adequacy"].metadata["items"] if sample.scores else {}
    assert (items["kept-run"], items["open"]) == ("skipped", "adequate")


def test_a_failed_attempt_is_recorded_and_made_again(tmp_path: Path) -> None:
    """Inspect's own retries are off: the failure stands in the journal, and the answer after it."""
    log = run(tmp_path, Provider(fails=1), cells="baseline")
    (read,) = sessions_of(log)
    transcript = read_journal(tmp_path / "journals" / f"{read.session}.jsonl")
    assert [attempt.outcome for attempt in transcript.turns[0].attempts] == ["failed", "answered"]
    assert transcript.attempts == len(transcript.turns) + 1


def test_an_interview_that_failed_is_no_success_and_goes_on(tmp_path: Path) -> None:
    """Every sample failed: the log is refused; run again on the same journals only what is missing is asked."""
    log = run(tmp_path, Provider(fails=2), cells="baseline")
    assert log.status == "error"
    with pytest.raises(IntegrityError):
        sessions_of(log)
    provider = Provider()
    log = run(tmp_path, provider, cells="baseline")
    (read,) = sessions_of(log)
    assert len(provider.sent) == len(read.turns)
    transcript = read_journal(tmp_path / "journals" / f"{read.session}.jsonl")
    assert [attempt.outcome for attempt in transcript.turns[0].attempts] == ["failed", "failed", "answered"]
    log = run(tmp_path, provider, cells="baseline")
    assert len(provider.sent) == len(read.turns)  # nothing was asked twice


@pytest.mark.parametrize(("reason", "recorded"), [("max_tokens", "length"), ("content_filter", "content_filter")])
def test_how_an_answer_ended_is_recorded(tmp_path: Path, reason: str, recorded: str) -> None:
    """A cut answer is cut off, a filtered one stands as far as it came."""
    (read,) = sessions_of(run(tmp_path, Provider(stop_reason=reason), cells="baseline"))
    transcript = read_journal(tmp_path / "journals" / f"{read.session}.jsonl")
    assert {turn.finish_reason for turn in transcript.turns} == {recorded}


def test_what_the_task_refuses(tmp_path: Path) -> None:
    """Before anything is asked, with a code."""
    with pytest.raises(BadProtocol):
        interview(cells="nowhere")
    with pytest.raises(BadProtocol):
        interview(protocol=str(tmp_path / "none.toml"))
    with pytest.raises(InputError):
        interview(repeats=0)
    bad = tmp_path / "facts.json"
    for text in ("{", '[{"text": "alone"}]', "3"):
        bad.write_text(text)
        with pytest.raises(BadTable):
            interview(facts=str(bad))
    assert not Path("journals").exists()


def test_names_of_sessions_stay_short_enough() -> None:
    """A model's name of any length and script gives a name that journals can have."""
    asked = Asked(load(), Briefing("", "Lab", False, True), None, Path("x"))
    model = get_model("mockllm/" + "Ω" * 50 + "a" * 200, memoize=False)
    plan = asked.plan(model, {"cell": "baseline", "repeat": 1}, epoch=2)
    assert len(plan.session) <= 100
    assert plan.session.isascii()


@pytest.mark.slow
def test_inspect_eval_by_name_over_a_real_socket(tmp_path: Path, far_model: str) -> None:
    """`inspect eval emeritus/interview --model …` as a program, by the entry point that is installed."""
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]["inspect_ai"]
    installed = {entry.name: entry.value for entry in entry_points(group="inspect_ai")}
    assert installed.get("emeritus") == declared["emeritus"], "install this checkout again: pip install -e ."
    command = [sys.executable, "-m", "inspect_ai", "eval", "emeritus/interview", "--model", "openai-api/far/far"]
    options = ["-T", "cells=baseline", "--display", "plain", "--log-dir", "logs"]
    environment = {**os.environ, "FAR_BASE_URL": far_model, "FAR_API_KEY": "none"}
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "logs").glob("*.eval")
    assert read_eval_log(str(path)).status == "success"
    (read,) = sessions(path)
    (folder,) = (tmp_path / "journals").iterdir()
    assert same(read, read_journal(folder / f"{read.session}.jsonl"))
    assert {turn.answer for turn in read.turns} == {"A plain answer."}
