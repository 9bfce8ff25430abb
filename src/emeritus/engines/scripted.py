"""A working fake: an engine that answers by rules, with latency, log-probabilities and faults on purpose.

`python -m emeritus.engines.scripted --port 8000 --script FILE` is the same fake as an OpenAI- and Anthropic-compatible
server, so that `command` and `upstream` are tested over real sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import Field

from emeritus.engines.base import (
    Answer,
    Build,
    Capabilities,
    Message,
    Perturbation,
    Piece,
    Sampling,
    Scored,
    Tool,
    WeightSource,
    check_messages,
    check_request,
    check_sampling,
    collect,
)
from emeritus.engines.options import read_options
from emeritus.engines.script import Script, read_script
from emeritus.errors import EngineDied, UpstreamRefused

REFUSALS = {
    "refuse": "the scripted model refuses this request",
    "rate_limit": "the scripted model is asked too often",
    "server_error": "the scripted model's server failed",
    "garbage": "the scripted model sent something unreadable",
    "wrong_model": "another scripted model answered",
}


class ScriptedOptions(Script):
    """A script's fields in place, or a file that holds them."""

    script: Path | None = Field(
        default=None, description="A .toml or .json script; the other options are then ignored."
    )


async def open_engine(options: Any, source: WeightSource | None, *, log_dir: Path, threads: int) -> ScriptedEngine:
    """See `engines.open.open_engine`."""
    chosen = read_options(ScriptedOptions, "scripted", options)
    script = chosen if chosen.script is None else read_script(chosen.script)
    await asyncio.sleep(script.start_delay_s)
    return ScriptedEngine(script, None if source is None else source.weights_digest)


def other_configuration(build: Build) -> tuple[dict[str, Any], int]:
    """The same script, rounded another way."""
    return {"rounding": f"{build.config.get('rounding', '')}'"}, 0


class ScriptedEngine:
    """The fake, in this process."""

    def __init__(self, script: Script, weights_digest: str | None = None) -> None:
        self._script = script
        self._weights_digest = weights_digest
        self._alive = True

    @property
    def build(self) -> Build:
        """What answers: openly a script."""
        config = {"model": self._script.model, "salt": self._script.salt}
        if self._script.rounding:
            config["rounding"] = self._script.rounding
        return Build("scripted", {}, config, self._weights_digest)

    @property
    def can(self) -> Capabilities:
        """Everything."""
        return Capabilities(
            logprobs=True,
            score=True,
            seed=True,
            stop_sequence=True,
            tools=True,
            complete=True,
            count=True,
            perturb=True,
        )

    @property
    def alive(self) -> bool:
        """False once closed or dead by a scripted fault."""
        return self._alive

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """An answer, piece by piece; see `Awake`."""
        check_request(messages, sampling, tools)
        rule = self._script.rule_for(messages, tools)
        for said, piece in enumerate(self._script.pieces(messages, sampling, tools)):
            await asyncio.sleep(self._script.token_delay_s)
            if not self._alive:
                raise EngineDied("the scripted engine is closed")
            if rule.fault is not None and (said >= rule.after or piece.finish_reason):
                self._fail(rule.fault)
            if piece.text or piece.logprobs or piece.finish_reason:
                yield piece

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer; see `Awake`."""
        return await collect(self.stream(messages, sampling, tools))

    async def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What the script answers to that text; see `Awake`."""
        check_sampling(sampling)
        async with aclosing(self.stream([Message("user", text)], sampling)) as pieces:
            async for piece in pieces:
                yield piece

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Its own kind of tokens; see `Awake`."""
        check_messages(messages, tools)
        if not self._alive:
            raise EngineDied("the scripted engine is closed")
        return self._script.count(messages, tools)

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Deterministic numbers; see `Awake`."""
        if not self._alive:
            raise EngineDied("the scripted engine is closed")
        return [self._script.score(text) for text in texts]

    async def perturbed(
        self, texts: Sequence[str], perturbations: Sequence[Perturbation]
    ) -> AsyncGenerator[list[Scored], None]:
        """Numbers moved by each perturbation; see `Perturbable`."""
        for each in perturbations:
            if not self._alive:
                raise EngineDied("the scripted engine is closed")
            yield [self._script.perturbed(text, each) for text in texts]

    async def close(self) -> None:
        """Nothing to free."""
        self._alive = False

    def _fail(self, fault: str) -> None:
        if fault in ("die", "half"):
            self._alive = fault == "half"
            raise EngineDied(f"the scripted engine ended its answer on purpose ({fault})")
        raise UpstreamRefused(REFUSALS[fault], fault=fault)


if __name__ == "__main__":
    from emeritus.engines.scripted_server import main

    main()
