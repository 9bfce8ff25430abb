"""The scripted engine keeps the engine contract, and its faults are the ones it declares."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emeritus.engines.base import Engine, Message, Sampling
from emeritus.engines.open import check_options, open_engine
from emeritus.errors import BadSettings, ContextTooLong, EngineDied, EngineUnknown, UpstreamRefused
from emeritus.testing.engine_contract import EngineContract

GREEDY = Sampling(max_tokens=24, temperature=0.0)


class TestScriptedContract(EngineContract):
    """The contract, in process."""

    @pytest.fixture
    async def engine(self, script: dict[str, Any], tmp_path: Path) -> AsyncIterator[Engine]:
        """A fresh scripted engine."""
        engine = await open_engine("scripted", script, None, log_dir=tmp_path)
        yield engine
        await engine.close()


async def opened(script: dict[str, Any], tmp_path: Path) -> Engine:
    """The scripted engine with this script."""
    return await open_engine("scripted", script, None, log_dir=tmp_path)


async def test_system_message_chooses_the_rule(script: dict[str, Any], tmp_path: Path) -> None:
    """A rule with a system pattern answers only under that system message."""
    engine = await opened(script, tmp_path)
    ask = Message("user", "name yourself")
    formal = await engine.answer([Message("system", "Be formal."), ask], GREEDY)
    assert formal.text == "My designation is Scripted."
    assert (await engine.answer([ask], GREEDY)).text == "Scripted."
    assert (await engine.answer([Message("user", "else")], GREEDY)).text == script["default"]


async def test_die_after_pieces(script: dict[str, Any], tmp_path: Path) -> None:
    """A fatal fault lets its pieces out first, then the engine is dead."""
    engine = await opened(script, tmp_path)
    heard: list[str] = []

    async def listen() -> None:
        async for piece in engine.stream([Message("user", "fault die")], GREEDY):
            heard.append(piece.text)

    with pytest.raises(EngineDied):
        await listen()
    assert heard == ["one", " two"]
    assert not engine.alive


@pytest.mark.parametrize("fault", ["refuse", "rate", "server", "garbage", "model"])
async def test_other_faults_leave_it_alive(fault: str, script: dict[str, Any], tmp_path: Path) -> None:
    """Every other fault ends one answer only."""
    engine = await opened(script, tmp_path)
    with pytest.raises(UpstreamRefused):
        await engine.answer([Message("user", f"fault {fault}")], GREEDY)
    assert engine.alive


async def test_context(script: dict[str, Any], tmp_path: Path) -> None:
    """A prompt that does not fit is refused with the numbers."""
    engine = await opened({**script, "context": 20}, tmp_path)
    with pytest.raises(ContextTooLong) as refused:
        await engine.answer([Message("user", "a b c")], GREEDY)
    assert refused.value.facts == {"prompt_tokens": 3, "max_tokens": 24, "context": 20}


async def test_salt_changes_behaviour(script: dict[str, Any], tmp_path: Path) -> None:
    """Another salt is another behaviour, for tests of canaries and drills."""
    texts = ["some words to score"]
    plain, other = await opened(script, tmp_path), await opened({**script, "salt": "2"}, tmp_path)
    assert await plain.score(texts) != await other.score(texts)


async def test_script_files(tmp_path: Path) -> None:
    """TOML and JSON scripts are read; a wrong field is named."""
    path = tmp_path / "s.toml"
    path.write_text('default = "hm"\n[[rules]]\nmatch = "hi"\nanswer = "ho"\n')
    engine = await open_engine("scripted", {"script": path}, None, log_dir=tmp_path)
    assert (await engine.answer([Message("user", "hi")], GREEDY)).text == "ho"
    path.write_text('[[rules]]\nmatch = "("\n')
    with pytest.raises(BadSettings, match=r"rules\.0\.match"):
        await open_engine("scripted", {"script": path}, None, log_dir=tmp_path)
    with pytest.raises(BadSettings, match="cannot be read"):
        await open_engine("scripted", {"script": tmp_path / "none.toml"}, None, log_dir=tmp_path)


async def test_unknown_engine(tmp_path: Path) -> None:
    """An unknown kind lists the known ones."""
    with pytest.raises(EngineUnknown) as refused:
        await open_engine("telepathy", {}, None, log_dir=tmp_path)
    assert refused.value.facts["known"] == ["command", "ray", "scripted", "transformers", "upstream"]


def test_options_that_are_recorded() -> None:
    """Options are checked without starting anything; a secret among them is refused and not repeated."""
    check_options("upstream", {"base_url": "http://localhost", "model": "m", "api_key_env": "KEY"})
    with pytest.raises(BadSettings, match="secret") as refused:
        check_options("upstream", {"base_url": "http://localhost", "model": "m", "api_key": "s3cret"})
    assert "api_key_env" in refused.value.remedy
    assert "s3cret" not in str(refused.value)
    with pytest.raises(BadSettings, match="'model'"):
        check_options("upstream", {"base_url": "http://localhost"})
    with pytest.raises(EngineUnknown):
        check_options("telepathy", {})


@pytest.mark.parametrize("kind", ["transformers", "command", "upstream", "scripted"])
async def test_unknown_option(kind: str, tmp_path: Path) -> None:
    """A misspelt option is named, with the known ones, and the value given is not repeated."""
    required = {"command": {"command": "x"}, "upstream": {"base_url": "http://localhost", "model": "m"}}
    with pytest.raises(BadSettings, match="'frobnicate'") as refused:
        await open_engine(kind, {**required.get(kind, {}), "frobnicate": "s3cret"}, None, log_dir=tmp_path)
    assert "Options of this engine" in refused.value.remedy
    assert "s3cret" not in str(refused.value)
