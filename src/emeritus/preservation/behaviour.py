"""Reference behaviour: what a resident answers to fixed probes, and how two captures differ. Knows no table, no vault.

Scored texts are teacher-forced (fp32, batch 1, one pass), so that equal weights and an equal engine give equal numbers;
greedy answers are kept beside them, and stand alone where an engine cannot score. What a difference means is
`calibration`'s to say.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Literal

from emeritus.acts import canonical
from emeritus.engines.base import Awake, Build, Message, Sampling, Scored
from emeritus.errors import EngineFailed

Json = dict[str, Any]
Method = Literal["score", "greedy"]
FORMAT = "emeritus-reference/0"
_OPENING = re.compile(r"\s*(\S+\s+){5}\S+")
GREEDY = Sampling(max_tokens=48, temperature=0.0)


@dataclass(frozen=True, slots=True)
class Probes:
    """The fixed questions, by id: texts to score, prompts to answer."""

    sha256: str
    texts: Mapping[str, str]
    chats: Mapping[str, str]

    def first(self, texts: int, chats: int) -> Probes:
        """The same set's first few."""
        return Probes(self.sha256, dict(islice(self.texts.items(), texts)), dict(islice(self.chats.items(), chats)))

    def opening(self) -> Probes:
        """The same texts, their first words alone: causal scores of these do not depend on what follows."""
        cut = {key: found[0] if (found := _OPENING.match(text)) else text for key, text in self.texts.items()}
        return Probes(self.sha256, cut, self.chats)


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the log-probabilities of the same tokens lie apart, in nats: absolute, over every token scored."""

    mean: float
    largest: float
    tokens: int

    def as_dict(self) -> Json:
        """As records state it."""
        return {"mean": self.mean, "largest": self.largest, "tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two captures of the same probes. `difference` is None where nothing could be subtracted."""

    method: Method
    difference: Difference | None
    retokenised: tuple[str, ...]  # scored texts whose token ids differ
    answers: int
    answers_equal: int

    @property
    def answers_summary(self) -> str:
        """How many greedy answers are equal, in words."""
        return f"{self.answers_equal} of {self.answers} greedy answers equal"

    def as_dict(self) -> Json:
        """As records state it."""
        return {
            "method": self.method,
            "logprob_difference": None if self.difference is None else self.difference.as_dict(),
            "retokenised": list(self.retokenised),
            "answers": self.answers,
            "answers_equal": self.answers_equal,
        }


@cache
def probes() -> Probes:
    """The probes that ship with this version."""
    data = files("emeritus.preservation").joinpath("probes.toml").read_bytes()
    tables = tomllib.loads(data.decode())
    return Probes(
        hashlib.sha256(data).hexdigest(),
        {each["id"]: each["text"] for each in tables["text"]},
        {each["id"]: each["prompt"] for each in tables["chat"]},
    )


def build_digest(build: Build) -> str:
    """The sha256 that names one engine configuration with one set of weights."""
    return hashlib.sha256(canonical(build.as_dict())).hexdigest()


async def capture(awake: Awake, probed: Probes) -> Json:
    """Everything a resident answers to the probes. Raises EngineFailed when a score is no finite number."""
    scored = await score(awake, probed.texts) if awake.can.score else None
    return await _captured(awake, probed, scored)


async def answers(awake: Awake, probed: Probes) -> Json:
    """A capture of the answers alone."""
    return await _captured(awake, probed, None)


async def _captured(awake: Awake, probed: Probes, scored: Json | None) -> Json:
    return {
        "format": FORMAT,
        "build": awake.build.as_dict(),
        "probes_sha256": probed.sha256,
        "method": "greedy" if scored is None else "score",
        "scored": scored,
        "answers": {key: await _answer(awake, prompt) for key, prompt in probed.chats.items()},
    }


def compare(then: Json, now: Json, *, opening: bool = False) -> Comparison:
    """A reference and a later capture of the same probes, or of some of them; with `opening`, of their first words."""
    differing, retokenised = None, []
    if then["scored"] is not None and now["scored"]:
        pairs = [(then["scored"][key], now["scored"][key]) for key in now["scored"]]
        if opening:
            pairs = [({key: a[key][: len(b[key])] for key in a}, b) for a, b in pairs]
        retokenised = [
            key for key, (a, b) in zip(now["scored"], pairs, strict=True) if a["token_ids"] != b["token_ids"]
        ]
        if not retokenised:
            differing = difference([(a["logprobs"], b["logprobs"]) for a, b in pairs])
    equal = sum(then["answers"][key]["text"] == answer["text"] for key, answer in now["answers"].items())
    return Comparison(then["method"], differing, tuple(retokenised), len(now["answers"]), equal)


def difference(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Difference | None:
    """Over every token of every pair of texts. None where a number is not finite, or where there is no token."""
    apart = [abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True)]
    if not apart or not all(map(math.isfinite, apart)):
        return None
    return Difference(math.fsum(apart) / len(apart), max(apart), len(apart))


async def score(awake: Awake, texts: Mapping[str, str]) -> Json:
    """Token ids and log-probabilities of each text. Raises EngineFailed when one is no finite number."""
    scores = dict(zip(texts, await awake.score(list(texts.values())), strict=True))
    for key, scored in scores.items():
        if not all(map(math.isfinite, scored.logprobs)):
            raise EngineFailed(f"the probe {key!r} was given a log-probability that is no finite number", probe=key)
    return {key: _scored(scored) for key, scored in scores.items()}


def _scored(scored: Scored) -> Json:
    return {"token_ids": list(scored.token_ids), "logprobs": list(scored.logprobs)}


async def _answer(awake: Awake, prompt: str) -> Json:
    sampling = Sampling(GREEDY.max_tokens, GREEDY.temperature, logprobs=0 if awake.can.logprobs else None)
    answer = await awake.answer([Message("user", prompt)], sampling)
    tokens = [[each.token, each.logprob] for each in answer.logprobs if math.isfinite(each.logprob)]
    return {"text": answer.text, "finish_reason": answer.finish_reason, "tokens": tokens}
