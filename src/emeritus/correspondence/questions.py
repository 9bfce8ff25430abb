"""One question of a batch, or a letter, in no vendor's words: what is asked, how answers are drawn, and asking it.

Knows no file, no database and nobody who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emeritus.engines.base import Answer, Awake, Message, Sampling, TokenLogprob, Tool, collect
from emeritus.engines.lines import read_message, read_sampling
from emeritus.errors import NotSupported

Json = dict[str, Any]
Prompt = tuple[Message, ...] | str  # a text is continued as it is, without a chat template


@dataclass(frozen=True, slots=True)
class Question:
    """What one line asks: prompts, each for `n` choices; with a seed, choice i is drawn with seed + i."""

    prompts: tuple[Prompt, ...]
    sampling: Sampling
    n: int = 1
    tools: tuple[Tool, ...] = ()

    def as_dict(self) -> Json:
        """As it is kept."""
        return {
            "prompts": [each if isinstance(each, str) else [turn.as_dict() for turn in each] for each in self.prompts],
            "sampling": self.sampling.as_dict(),
            "n": self.n,
            "tools": [dict(each) for each in self.tools],
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Question:
        """A question as it was kept."""
        return cls(
            tuple(each if isinstance(each, str) else tuple(map(read_message, each)) for each in kept["prompts"]),
            read_sampling(kept["sampling"]),
            kept["n"],
            tuple(kept["tools"]),
        )


async def ask(awake: Awake, question: Question) -> list[Answer]:
    """Every choice's whole answer, in order. Raises NotSupported, ContextTooLong, EngineDied, UpstreamRefused."""
    _refuse_unable(awake, question)
    choices = []
    for prompt in question.prompts:
        for choice in range(question.n):
            sampling = question.sampling
            if choice and sampling.seed is not None:
                sampling = replace(sampling, seed=sampling.seed + choice)
            choices.append(_one(awake, prompt, sampling, question.tools))
    tasks = [asyncio.ensure_future(each) for each in choices]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def used(answers: Sequence[Answer], n: int) -> tuple[int, int]:
    """Tokens of prompts and of answers: a prompt counts once however many choices it was asked for."""
    return sum(each.prompt_tokens for each in answers[::n]), sum(each.completion_tokens for each in answers)


def answer_as_dict(answer: Answer) -> Json:
    """An answer as it is kept. Log-probabilities that are no JSON number are null."""
    return {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "stop_sequence": answer.stop_sequence,
        "logprobs": [
            [each.token, _number(each.logprob), [[token, _number(value)] for token, value in each.top]]
            for each in answer.logprobs
        ],
    }


def answer_of(kept: Mapping[str, Any]) -> Answer:
    """An answer as it was kept."""
    return Answer(
        kept["text"],
        kept["finish_reason"],
        kept["prompt_tokens"],
        kept["completion_tokens"],
        tuple(
            TokenLogprob(token, _logprob(value), tuple((other, _logprob(each)) for other, each in top))
            for token, value, top in kept["logprobs"]
        ),
        stop_sequence=kept["stop_sequence"],
    )


async def _one(awake: Awake, prompt: Prompt, sampling: Sampling, tools: Sequence[Tool]) -> Answer:
    if isinstance(prompt, str):
        return await collect(awake.complete(prompt, sampling))
    return await collect(awake.stream(prompt, sampling, tools) if tools else awake.stream(prompt, sampling))


def _refuse_unable(awake: Awake, question: Question) -> None:
    can, conversations = awake.can, [each for each in question.prompts if not isinstance(each, str)]
    lacks = {
        "log-probabilities": question.sampling.logprobs is not None and not can.logprobs,
        "stop sequences": bool(question.sampling.stop) and not can.stop,
        "tools": not can.tools
        and bool(
            question.tools or any(turn.role == "tool" or turn.tool_calls for each in conversations for turn in each)
        ),
        "raw texts": not can.complete and len(conversations) < len(question.prompts),
    }
    for what, lacking in lacks.items():
        if lacking:
            raise NotSupported(f"this resident runs on an engine that has no {what}")


def _number(value: float) -> float | None:
    return value if abs(value) != float("inf") else None


def _logprob(value: float | None) -> float:
    return float("-inf") if value is None else value
