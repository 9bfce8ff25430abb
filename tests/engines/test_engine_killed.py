"""A worker that gets too little memory, or is killed for it: one clear error at once, and everything given back."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tiny_models import TEMPLATE, FolderSource, byte_tokenizer

from emeritus.blobs.local import LocalStore
from emeritus.engines import transformers, zygote
from emeritus.engines.base import Message, Sampling
from emeritus.engines.open import open_engine
from emeritus.errors import EngineDied, EngineFailed, OutOfMemory
from emeritus.preservation.cache import Cache
from emeritus.preservation.siblings import Bases
from emeritus.preservation.sources import VaultSource
from emeritus.vault.vault import Vault

ASK = [Message("user", "Why?")]
SHORT = Sampling(max_tokens=2, temperature=0.0)
LONG = Sampling(max_tokens=30, temperature=0.0)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """A model of 24 million parameters, nearly all of them in its vocabulary: 96 MB once they are fp32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("wide")
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": True}
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=256, intermediate_size=64, vocab_size=94_000, dtype="bfloat16", **shape)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    byte_tokenizer(folder, TEMPLATE)
    return FolderSource(folder)


def data_bytes(pid: int) -> int:
    """Memory of its own that a process has asked for."""
    found = re.search(r"^VmData:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


@pytest.fixture
async def limited() -> AsyncIterator[None]:
    """Workers forked meanwhile may have 90 MB of memory of their own: the system refuses more."""
    starter = zygote.shared()
    await asyncio.to_thread(starter.end, 1 << 22)  # answers once it has imported everything; nobody has that number
    pid = starter._process.pid
    before = resource.prlimit(pid, resource.RLIMIT_DATA)
    resource.prlimit(pid, resource.RLIMIT_DATA, (data_bytes(pid) + (90 << 20), before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_DATA, before)


async def test_refused_memory_while_loading(limited: None, wide: FolderSource, tmp_path: Path) -> None:
    """A model that does not fit is an error that says so; one that does fit loads and answers under the same limit."""
    with pytest.raises(EngineFailed, match="memory") as told:
        await open_engine("transformers", {"dtype": "float32"}, wide, log_dir=tmp_path, threads=1)
    assert "Free memory" in told.value.remedy
    engine = await open_engine("transformers", {}, wide, log_dir=tmp_path, threads=1)  # mapped: clean pages are no data
    try:
        assert (await engine.answer(ASK, SHORT)).completion_tokens == 2
    finally:
        await engine.close()


@pytest.mark.parametrize("batching", ["turns", "together"])
async def test_refused_memory_while_answering(batching: str, limited: None, wide: FolderSource, tmp_path: Path) -> None:
    """What takes too much memory is refused with its own code; an answer beside it and the next ones go on."""
    engine = await open_engine("transformers", {"batching": batching}, wide, log_dir=tmp_path, threads=1)
    try:
        alone = await engine.answer(ASK, LONG)
        beside = asyncio.create_task(engine.answer(ASK, LONG))
        for _ in range(2):
            with pytest.raises(OutOfMemory) as told:  # 94,000 numbers for each of the text's tokens
                await engine.score(["x" * 300])
            assert "Retry-After" in told.value.remedy
        assert (await beside).text == alone.text
        assert (await engine.answer(ASK, LONG)).text == alone.text
        assert engine.alive
    finally:
        await engine.close()


async def test_killed_while_loading(llama: FolderSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that the system kills while it loads is an error at once; the next load works."""
    fork, killed = transformers._fork, []

    def fork_and_kill(*given: object) -> int:
        pid = fork(*given)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        return pid

    monkeypatch.setattr(transformers, "_fork", fork_and_kill)
    async with asyncio.timeout(30):
        with pytest.raises(EngineDied, match="memory runs out"):
            await open_engine("transformers", {}, llama, log_dir=tmp_path, threads=1)
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0], 0)  # reaped, too
    monkeypatch.setattr(transformers, "_fork", fork)
    engine = await open_engine("transformers", {}, llama, log_dir=tmp_path, threads=1)
    try:
        assert (await engine.answer(ASK, SHORT)).completion_tokens == 2
    finally:
        await engine.close()


def held() -> list[str]:
    """What this process holds open of memory without a name."""
    links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [each for each in links if "memfd:emeritus" in each]


async def test_a_killed_base_gives_its_memory_back(llama: FolderSource, tmp_path: Path) -> None:
    """Weights lent to siblings go when the worker is killed, without anybody closing its engine first."""
    vault = Vault.create(LocalStore(tmp_path / "vault"))
    vault.preserve(llama.path, "wren")
    bases = Bases()
    source = VaultSource(vault, "wren", Cache(tmp_path / "cache"), "memory", bases=bases)
    engine = await open_engine("transformers", {}, source, log_dir=tmp_path, threads=1)
    del source
    try:
        assert held()
        assert bases._places
        os.kill(engine.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            await engine._listening  # has heard that the worker ended
        assert not engine.alive
        gc.collect()
        assert held() == []
        assert not bases._places
    finally:
        await engine.close()
