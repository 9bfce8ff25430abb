"""The embedded engine keeps the contract, and survives what befalls processes and folders."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from embedded import ASK, opened
from tiny_models import TOOLS_TEMPLATE, FolderSource

from emeritus.engines import zygote
from emeritus.engines.base import Answer, Engine, Message, Sampling
from emeritus.engines.open import open_engine
from emeritus.errors import (
    BadRequest,
    BadSettings,
    ContextTooLong,
    EngineDied,
    EngineFailed,
    MissingTokenizer,
    NotSupported,
)
from emeritus.testing.engine_contract import TOOL, EngineContract

GREEDY = Sampling(max_tokens=24, temperature=0.0)


class TestLlamaContract(EngineContract):
    """The contract on a bf16 Llama with a chat template."""

    @pytest.fixture
    async def engine(self, llama: FolderSource, tmp_path: Path) -> AsyncIterator[Engine]:
        """A worker with the Llama."""
        engine = await opened(llama, tmp_path)
        yield engine
        await engine.close()


class TestGPT2Contract(EngineContract):
    """The contract on an fp16 GPT-2, sharded, tied, without a chat template."""

    @pytest.fixture
    async def engine(self, gpt2: FolderSource, tmp_path: Path) -> AsyncIterator[Engine]:
        """A worker with the GPT-2."""
        engine = await opened(gpt2, tmp_path)
        yield engine
        await engine.close()


async def test_killed_worker(llama: FolderSource, tmp_path: Path) -> None:
    """A worker killed in the middle of answers ends each of them at once, and says how it died."""
    engine = await opened(llama, tmp_path)
    streams = [engine.stream(ASK, Sampling(max_tokens=400, temperature=1.0, seed=n)) for n in range(6)]
    firsts = [asyncio.ensure_future(anext(stream)) for stream in streams[:4]]
    await asyncio.wait(firsts)
    waiting = [asyncio.ensure_future(engine.answer(ASK, GREEDY)) for _ in range(3)]
    await asyncio.sleep(0)
    os.kill(engine.pid, signal.SIGKILL)
    started = time.monotonic()
    for call in waiting:
        with pytest.raises(EngineDied) as died:
            await asyncio.wait_for(call, 5)
        assert died.value.facts["status"] == -signal.SIGKILL

    async def drain() -> None:
        async for _ in streams[0]:
            pass

    with pytest.raises(EngineDied):
        await asyncio.wait_for(drain(), 5)
    assert time.monotonic() - started < 5
    assert not engine.alive
    with pytest.raises(EngineDied):
        await engine.answer(ASK, GREEDY)
    for stream in streams:
        await stream.aclose()
    await engine.close()


async def test_idle_death_is_noticed(llama: FolderSource, tmp_path: Path) -> None:
    """A worker that dies while nobody asks is seen to be dead."""
    engine = await opened(llama, tmp_path)
    os.kill(engine.pid, signal.SIGKILL)
    for _ in range(500):
        if not engine.alive:
            break
        await asyncio.sleep(0.01)
    assert not engine.alive
    await engine.close()


async def test_turns_are_fair(llama: FolderSource, tmp_path: Path) -> None:
    """A short answer asked for later ends before a long one that was already running."""
    engine = await opened(llama, tmp_path)
    ended: list[str] = []

    async def ask(name: str, tokens: int) -> Answer:
        answer: Answer = await engine.answer(ASK, Sampling(max_tokens=tokens, temperature=0.0))
        ended.append(name)
        return answer

    long = asyncio.create_task(ask("long", 300))
    await asyncio.sleep(0)  # its order is sent before the other's
    short, whole = await ask("short", 5), await long
    await engine.close()
    assert ended == ["short", "long"]
    assert whole.completion_tokens > 2 * short.completion_tokens  # or the test would prove nothing
    assert whole.text.startswith(short.text)


async def test_context(llama: FolderSource, tmp_path: Path) -> None:
    """Prompt and answer that do not fit together are refused with the numbers, and so is a text to score."""
    engine = await opened(llama, tmp_path)
    with pytest.raises(ContextTooLong) as refused:
        await engine.answer([Message("user", "x" * 500)], GREEDY)
    assert refused.value.facts == {"prompt_tokens": 503, "max_tokens": 24, "context": 512}
    with pytest.raises(ContextTooLong):
        await engine.score(["x" * 600])
    assert (await engine.answer(ASK, GREEDY)).text
    await engine.close()


async def test_no_tokenizer(llama: FolderSource, tmp_path: Path) -> None:
    """A model without a tokenizer is refused, and the message names the files looked for."""
    folder = tmp_path / "bare"
    shutil.copytree(llama.path, folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(MissingTokenizer, match=r"tokenizer\.json"):
        await opened(FolderSource(folder), tmp_path)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", lambda data: data[:1000]),
        ("config.json", lambda data: b"{"),
        ("config.json", lambda data: data.replace(b'"llama"', b'"unheard_of"')),
        ("tokenizer.json", lambda data: b"{}"),
    ],
)
async def test_damaged_folder(file: str, damage: Any, llama: FolderSource, tmp_path: Path) -> None:
    """A damaged or unknown model is one clear error; no process is left behind."""
    folder = tmp_path / "damaged"
    shutil.copytree(llama.path, folder)
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(EngineFailed, match="cannot be loaded"):
        await opened(FolderSource(folder), tmp_path)


async def test_absent_tensors(llama: FolderSource, tmp_path: Path) -> None:
    """A model that lacks a tensor is refused by name; random numbers never take its place."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lacking"
    shutil.copytree(llama.path, folder)
    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineFailed, match=r"lack 1 .* model\.layers\.1\.mlp\.up_proj\.weight"):
        await opened(FolderSource(folder), tmp_path)


async def test_unwritable_log(llama: FolderSource, tmp_path: Path) -> None:
    """A log that cannot be written is an error that names it."""
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(EngineFailed, match="cannot be written"):
        await opened(llama, tmp_path)


async def test_code_in_the_folder_never_runs(llama: FolderSource, tmp_path: Path) -> None:
    """A model that asks for its own code to be run is loaded without it, or not at all."""
    import json

    folder = tmp_path / "custom"
    shutil.copytree(llama.path, folder)
    marker = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineFailed):
        await opened(FolderSource(folder), tmp_path)
    assert not marker.exists()


async def test_template_refuses(llama: FolderSource, tmp_path: Path) -> None:
    """What a model's own template refuses is a bad request in the template's words."""
    folder = tmp_path / "strict"
    shutil.copytree(llama.path, folder)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system messages here') }}")
    engine = await opened(FolderSource(folder), tmp_path)
    with pytest.raises(BadRequest, match="no system messages here"):
        await engine.answer(ASK, GREEDY)
    await engine.close()


async def test_tools_reach_the_template(llama: FolderSource, tmp_path: Path) -> None:
    """A template that has a place for tools is given them, calls with their arguments and results; others refuse."""
    folder = tmp_path / "tooled"
    shutil.copytree(llama.path, folder)
    (folder / "chat_template.jinja").write_text(TOOLS_TEMPLATE)
    bare, engine = await opened(llama, tmp_path), await opened(FolderSource(folder), tmp_path)
    assert (bare.can.tools, engine.can.tools) == (False, True)
    call = {"id": "1", "type": "function", "function": {"name": "lookup", "arguments": '{"word": "owl"}'}}
    turns = [Message("user", "?"), Message("assistant", "", (call,)), Message("tool", "a bird", tool_call_id="1")]
    counted = [await engine.count(turns[:1]), await engine.count(turns[:1], [TOOL]), await engine.count(turns)]
    assert counted == [4, 4 + 1 + len("lookup"), 4 + 2 + len("lookup=owl") + 2 + len("a bird")]
    assert (await engine.answer(turns, GREEDY, [TOOL])).prompt_tokens == counted[2] + 1 + len("lookup")
    with pytest.raises(NotSupported):
        await bare.answer(turns[:1], GREEDY, [TOOL])
    await bare.close()
    await engine.close()


async def test_tools_without_a_template(gpt2: FolderSource, tmp_path: Path) -> None:
    """Without a chat template there is no place for tools or what they gave back."""
    engine = await opened(gpt2, tmp_path)
    for tools, last in (([TOOL], Message("user", "?")), ([], Message("tool", "a bird", tool_call_id="1"))):
        with pytest.raises(NotSupported):
            await engine.count([last], tools)
    await engine.close()


async def test_needs_weights(tmp_path: Path) -> None:
    """Without a source of weights there is nothing to run."""
    with pytest.raises(BadSettings):
        await open_engine("transformers", {}, None, log_dir=tmp_path)


async def test_one_zygote(llama: FolderSource, gpt2: FolderSource, tmp_path: Path) -> None:
    """Two models' workers come from the same zygote, and a zygote that died is replaced."""
    first, second = await opened(llama, tmp_path), await opened(gpt2, tmp_path)
    starter = zygote.shared()
    parents = {parent_of(each.pid) for each in (first, second)}
    assert parents == {starter._process.pid}
    assert len(os.listdir(f"/proc/{starter._process.pid}/task")) == 1  # or its forks would not be sound
    await first.close()
    await second.close()
    starter._process.kill()
    starter._process.wait()
    third = await opened(llama, tmp_path)
    assert (await third.answer(ASK, GREEDY)).text
    assert zygote.shared() is not starter
    await third.close()


def parent_of(pid: int) -> int:
    """A process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
