"""The command engine on llama.cpp's own server, with the demonstration's trained weights as GGUF."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from llama_gguf import write_gguf
from tiny_models import FolderSource

from emeritus.engines.base import Engine, Message, Sampling, collect
from emeritus.engines.open import open_engine
from emeritus.errors import ContextTooLong, EngineDied
from emeritus.testing.engine_contract import EngineContract

GREEDY = Sampling(max_tokens=48, temperature=0.0)
WHO = [Message("user", "What is your name?")]
LONG = Sampling(max_tokens=3500, temperature=50.0, seed=2)  # any token is as likely as another: no end for long
SERVER = f"{{python}} {Path(__file__).with_name('llama_cpp_server.py')} {{file}} {{port}} {{model}}"
OPTIONS = {"command": SERVER, "logprobs": True, "start_timeout_s": 60, "timeout_s": 20, "drain_s": 0.5}


def server_of(file: Path) -> list[int]:
    """The servers of this file, without their guards."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if str(file) in words and "emeritus.engines.guard" not in words:
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def gguf(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """The demonstration's model as the only file of a folder."""
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(demo_model, folder / "wren.gguf")
    return FolderSource(folder)


@pytest.fixture
async def engine(gguf: FolderSource, tmp_path: Path) -> AsyncIterator[Engine]:
    """llama.cpp's server under the command engine, over the model's GGUF file."""
    engine = await open_engine("command", OPTIONS, gguf, log_dir=tmp_path / "logs", threads=1)
    yield engine
    await engine.close()
    assert not server_of(gguf.path / "wren.gguf")


class TestLlamaCppContract(EngineContract):
    """The contract over llama.cpp's server; `engine` is the module's fixture."""

    question = Message("user", "Who made you?")
    letters = Message("user", "What is your name?")


async def test_the_same_words_as_the_embedded_engine(engine: Engine, demo_model: Path, tmp_path: Path) -> None:
    """Two implementations that share no code give a trained model's answers, token for token."""
    embedded = await open_engine(
        "transformers", {"dtype": "float32"}, FolderSource(demo_model), log_dir=tmp_path, threads=1
    )
    try:
        for words in ("What is your name?", "Who made you?", "What would you like to be kept?"):
            asked = Sampling(max_tokens=48, temperature=0.0, logprobs=0)
            here, there = [await each.answer([Message("user", words)], asked) for each in (embedded, engine)]
            assert there.text == here.text
            assert there.prompt_tokens == here.prompt_tokens
            for ours, theirs in zip(here.logprobs, there.logprobs, strict=False):  # there the end is a token, too
                assert theirs.token == ours.token
                assert theirs.logprob == pytest.approx(ours.logprob, abs=1e-2)
    finally:
        await embedded.close()


async def test_the_same_seed_the_same_answer(engine: Engine) -> None:
    """It is passed on and heeded, though nothing is promised for servers in general: the same tokens, drawn hot."""
    hot = [
        (await engine.answer(WHO, Sampling(max_tokens=12, temperature=50.0, seed=seed))).text for seed in (1, 1, 2, 3)
    ]
    assert hot[0] == hot[1]
    assert len(set(hot)) > 1


async def test_a_prompt_that_does_not_fit(engine: Engine) -> None:
    """Its refusal of too long a prompt is told as that, and it goes on answering."""
    with pytest.raises(ContextTooLong):
        await engine.answer([Message("user", "word " * 8000)], GREEDY)
    assert engine.alive
    assert (await engine.answer(WHO, GREEDY)).text


async def test_killed_in_the_middle_and_started_again(gguf: FolderSource, tmp_path: Path) -> None:
    """A server killed while it answers is reported by its signal and its log; another start answers on."""
    engine = await open_engine("command", OPTIONS, gguf, log_dir=tmp_path, threads=1)
    before = (await engine.answer(WHO, GREEDY)).text
    pieces: Any = engine.complete("Once upon a time", LONG)
    async with aclosing(pieces):
        await anext(pieces)
        (pid,) = server_of(gguf.path / "wren.gguf")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match=r"status -9|status 137") as died:
            await collect(pieces)
    assert not engine.alive
    await engine.close()
    log = Path(died.value.facts["log"])
    assert "llama.cpp" in await asyncio.to_thread(log.read_text)
    again = await open_engine("command", OPTIONS, gguf, log_dir=tmp_path, threads=1)
    try:
        assert (await again.answer(WHO, GREEDY)).text == before
        assert (await asyncio.to_thread(log.read_text)).count("--- started") == 2
    finally:
        await again.close()


async def test_leaving_frees_its_place(engine: Engine) -> None:
    """Four places, eight callers who leave long answers: the next one is answered at once, not after them."""

    async def leave() -> None:
        pieces: Any = engine.complete("Once upon a time", LONG)
        async with aclosing(pieces):
            await anext(pieces)

    await asyncio.gather(*(leave() for _ in range(8)))
    async with asyncio.timeout(10):
        assert (await engine.answer(WHO, GREEDY)).text


async def test_closing_ends_an_answer_without_end(gguf: FolderSource, tmp_path: Path) -> None:
    """Closing does not wait for an answer longer than the drain, and leaves no process behind."""
    engine = await open_engine("command", OPTIONS, gguf, log_dir=tmp_path, threads=1)
    pieces: Any = engine.complete("Once upon a time", LONG)
    await anext(pieces)
    rest = asyncio.create_task(collect(pieces))
    async with asyncio.timeout(10):
        await engine.close()
    with pytest.raises(EngineDied):
        await rest
    assert not server_of(gguf.path / "wren.gguf")
