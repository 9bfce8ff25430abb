"""Answers decoded together keep the contract, give what each would give alone, and do not hold each other up."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tiny_models import FolderSource

from emeritus.engines.base import Engine, Message, Piece, Sampling, collect
from emeritus.engines.open import open_engine
from emeritus.engines.replies import MOST, Replies
from emeritus.errors import ContextTooLong, EngineDied
from emeritus.testing.engine_contract import EngineContract

GREEDY = Sampling(max_tokens=24, temperature=0.0)


async def opened(source: FolderSource, tmp_path: Path, **options: Any) -> Any:
    """An embedded engine whose answers run together, in fp32 so that who else runs does not show in the text."""
    chosen = {"batching": "together", "dtype": "float32", "at_once": 8, **options}
    return await open_engine("transformers", chosen, source, log_dir=tmp_path / "logs", threads=1)


class TestTogetherContract(EngineContract):
    """The contract, several at once."""

    @pytest.fixture
    async def engine(self, llama: FolderSource, tmp_path: Path) -> AsyncIterator[Engine]:
        """A worker with the Llama."""
        engine = await opened(llama, tmp_path)
        assert engine.build.config["batch"] == 8
        yield engine
        await engine.close()


@pytest.fixture
async def engine(gpt2: FolderSource, tmp_path: Path) -> AsyncIterator[Any]:
    """A worker with the GPT-2, a context of 256."""
    engine = await opened(gpt2, tmp_path)
    yield engine
    await engine.close()


def ask(text: str) -> list[Message]:
    """One question."""
    return [Message("user", text)]


async def test_log_probabilities_are_those_of_an_answer_alone(engine: Any) -> None:
    """Text, chosen tokens and alternatives agree with an answer that runs alone, whatever the lengths beside it."""
    sampling = Sampling(max_tokens=20, temperature=0.8, seed=3, logprobs=4)
    texts = ["x", "a longer question, of many more words than that one", "two words"] * 2
    alone = [await engine.answer(ask(text), sampling) for text in texts]
    together = await asyncio.gather(*(engine.answer(ask(text), sampling) for text in texts))
    for one, other in zip(alone, together, strict=True):
        assert one.text == other.text
        assert [each.logprob for each in one.logprobs] == pytest.approx(
            [each.logprob for each in other.logprobs], abs=1e-4
        )
        assert [len(each.top) for each in other.logprobs] == [4] * 20


async def test_one_that_leaves_and_one_that_cannot_run(engine: Any) -> None:
    """A cancelled answer and one that does not fit end alone; the others are what they would have been."""
    sampling = Sampling(max_tokens=60, temperature=0.0)
    expected = [(await engine.answer(ask(f"question {n}"), sampling)).text for n in range(3)]
    leaving = engine.stream(ask("this one is left"), Sampling(max_tokens=150, temperature=0.0))
    running = [asyncio.create_task(engine.answer(ask(f"question {n}"), sampling)) for n in range(3)]
    async with aclosing(leaving):
        assert isinstance(await anext(leaving), Piece)
    with pytest.raises(ContextTooLong):
        await engine.answer(ask("too long " * 50), sampling)
    assert [(await each).text for each in running] == expected
    assert not engine._calls


async def test_a_long_prompt_is_read_between_the_others_tokens(llama: FolderSource, tmp_path: Path) -> None:
    """While a prompt of several chunks is read, an answer that runs goes on."""
    engine = await opened(llama, tmp_path)
    heard: list[str] = []
    begun = asyncio.Event()

    async def listen() -> None:
        async for _ in engine.stream(ask("go on"), Sampling(max_tokens=300, temperature=1.0, seed=1)):
            heard.append("first")
            begun.set()

    first = asyncio.create_task(listen())
    await begun.wait()
    asked = len(heard)
    async with aclosing(engine.stream(ask("x" * 400), GREEDY)) as second:
        await anext(second)
    between = len(heard) - asked
    await first
    await engine.close()
    assert between >= 400 // 64


async def test_killed_while_several_answers_run(engine: Any) -> None:
    """Every answer under way, and every one that waits, ends with the death."""
    long = Sampling(max_tokens=200, temperature=1.0)
    async with aclosing(engine.stream(ask("?"), long)) as pieces:
        await anext(pieces)
        os.kill(engine.pid, signal.SIGSTOP)  # else an answer that is drawn short may be whole before the death
        running = [asyncio.create_task(engine.answer(ask(f"question {n}"), long)) for n in range(12)]
        await asyncio.sleep(0)  # their orders are sent
        os.kill(engine.pid, signal.SIGKILL)
        for each in running:
            with pytest.raises(EngineDied):
                await asyncio.wait_for(each, 5)
    assert not engine.alive


async def test_a_stuck_worker_is_ended(llama: FolderSource, tmp_path: Path) -> None:
    """A worker that gets nothing done for so long is killed and reported; one that is idle is not."""
    engine = await opened(llama, tmp_path, stuck_s=0.8)
    await asyncio.sleep(1.2)
    assert (await engine.answer(ask("?"), GREEDY)).text
    started = time.monotonic()
    async with aclosing(engine.stream(ask("?"), Sampling(max_tokens=400, temperature=1.0))) as pieces:
        await anext(pieces)
        os.kill(engine.pid, signal.SIGSTOP)
        with pytest.raises(EngineDied, match=r"nothing done for 0\.8 s"):
            await collect(pieces)
    assert time.monotonic() - started < 10
    assert not engine.alive
    with pytest.raises(ProcessLookupError):
        os.kill(engine.pid, 0)
    await engine.close()


async def test_a_slow_reader_holds_up_nobody(llama: FolderSource, tmp_path: Path) -> None:
    """An answer that nobody reads is finished, held in a bounded number of pieces, and whole when it is read."""
    engine = await opened(llama, tmp_path, at_once=1)
    sampling = Sampling(max_tokens=300, temperature=1.0, seed=4, logprobs=0)
    expected = await engine.answer(ask("slowly"), sampling)
    assert len(expected.logprobs) > 2 * MOST  # or the test would prove nothing
    slow = engine.stream(ask("slowly"), sampling)
    first = await anext(slow)
    assert (await engine.answer(ask("?"), GREEDY)).text  # only one runs at once, so the slow one is over
    [held] = engine._calls.values()
    assert len(held) <= MOST + 3
    rest = await collect(slow)
    assert first.text + rest.text == expected.text
    assert first.logprobs + rest.logprobs == expected.logprobs
    await engine.close()


async def test_replies_keep_what_is_no_text_apart() -> None:
    """Only pieces in the middle of an answer are joined: never its end, an error or a score."""
    replies = Replies()
    for n in range(MOST + 10):
        replies.put({"piece": {"text": "x", "logprobs": [n], "finish_reason": None}})
    replies.put({"piece": {"text": "", "logprobs": [], "finish_reason": "stop"}})
    replies.put({"end": True})
    replies.put({"scored": 1})
    replies.put({"scored": 2})
    replies.put(EngineDied("gone"))
    found = [await replies.get() for _ in range(len(replies))]
    pieces = [each["piece"] for each in found if isinstance(each, dict) and "piece" in each]
    assert "".join(each["text"] for each in pieces) == "x" * (MOST + 10)
    assert [n for each in pieces for n in each["logprobs"]] == list(range(MOST + 10))
    assert len(found) == MOST + 5
    assert isinstance(found[-1], EngineDied)


def test_a_pass_is_broken_off_for_a_caller_who_left(llama: FolderSource) -> None:
    """Between two layers of a pass the worker sees that its caller is gone, and computes no further."""
    from emeritus.engines.worker import _Worker

    sent: list[dict[str, Any]] = []
    order = {
        "folder": str(llama.path),
        "tensors": None,
        "dtype": "auto",
        "threads": 1,
        "onednn": False,
        "attention": "auto",
        "at_once": 2,
        "batching": "together",
    }
    worker = _Worker(order, None, sent.append)
    left = {1, 2}
    worker.heed(left)
    sampling = GREEDY.as_dict()
    for call, more in ((1, {"do": "score", "texts": ["some text"]}), (2, {"do": "complete", "text": "some text"})):
        worker._begin({"call": call, "sampling": sampling, **more})
    worker._step(1)
    assert worker._together is not None
    for found in worker._together.step():
        worker._tell(*found)
    assert len(sent) == 1  # that it is ready, and nothing since
    left.clear()
    worker._begin({"call": 3, "do": "score", "texts": ["some text"]})
    worker._step(3)
    assert sent[-1]["call"] == 3
    assert "scored" in sent[-1]
