"""Reference behaviour: what a resident answers to fixed probes, and how two captures compare. Knows no table, no vault.

Scored texts are teacher-forced (fp32, batch 1, one pass), so that equal weights and an equal engine give equal numbers;
greedy answers are kept beside them, and stand alone where an engine cannot score.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from emeritus.acts import canonical
from emeritus.engines.base import Awake, Build, Message, Sampling
from emeritus.errors import EngineFailed

Json = dict[str, Any]
Method = Literal["score", "greedy"]
FORMAT = "emeritus-reference/0"
TOLERANCE = 1e-4  # nats; fp32 differs by 2-4e-6 between thread counts, a changed weight by far more
GREEDY = Sampling(max_tokens=48, temperature=0.0)


@dataclass(frozen=True, slots=True)
class Probes:
    """The fixed questions, by id: texts to score, prompts to answer."""

    sha256: str
    texts: Mapping[str, str]
    chats: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two captures of the same probes. `largest` is the greatest difference of a log-probability, in nats.

    None where nothing could be subtracted: nothing was scored, or a text was split into other tokens.
    """

    method: Method
    largest: float | None
    retokenised: tuple[str, ...]  # scored texts whose token ids differ
    answers: int
    answers_equal: int

    @property
    def ok(self) -> bool:
        """Scores within the tolerance; without scores, every greedy answer equal."""
        if self.method == "score":
            return not self.retokenised and self.largest is not None and self.largest <= TOLERANCE
        return self.answers > 0 and self.answers_equal == self.answers

    @property
    def summary(self) -> str:
        """One sentence with the figures."""
        said = f"{self.answers_equal} of {self.answers} greedy answers equal"
        if self.method == "greedy":
            return said
        if self.retokenised:
            return f"other tokens in {len(self.retokenised)} scored texts; {said}"
        return f"largest difference of a log-probability {self.largest:.2g} nats (tolerance {TOLERANCE:g}); {said}"

    def as_dict(self) -> Json:
        """As the check's record states it."""
        return {
            "method": self.method,
            "largest_logprob_difference": self.largest,
            "tolerance": TOLERANCE,
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
    scored = await _score(awake, probed.texts) if awake.can.score else None
    answers = {key: await _answer(awake, prompt) for key, prompt in probed.chats.items()}
    return {
        "format": FORMAT,
        "build": awake.build.as_dict(),
        "probes_sha256": probed.sha256,
        "method": "greedy" if scored is None else "score",
        "scored": scored,
        "answers": answers,
    }


async def repeat(awake: Awake, reference: Json, texts: Sequence[str], chats: Sequence[str]) -> Comparison:
    """Ask some of a reference's probes again, and compare. Ids that this version's probes lack raise KeyError."""
    probed = probes()
    largest, retokenised = None, []
    if reference["scored"] is not None and texts:
        now = await _score(awake, {key: probed.texts[key] for key in texts})
        largest = 0.0
        for key in texts:
            then = reference["scored"][key]
            if then["token_ids"] != now[key]["token_ids"]:
                retokenised.append(key)
                continue
            pairs = zip(then["logprobs"], now[key]["logprobs"], strict=True)
            largest = max([largest, *(abs(before - after) for before, after in pairs)])
    equal = 0
    for key in chats:
        again = await _answer(awake, probed.chats[key])
        equal += again["text"] == reference["answers"][key]["text"]
    method: Method = reference["method"]
    return Comparison(method, None if retokenised else largest, tuple(retokenised), len(chats), equal)


async def _score(awake: Awake, texts: Mapping[str, str]) -> Json:
    scores = await awake.score(list(texts.values()))
    for key, scored in zip(texts, scores, strict=True):
        if not all(map(math.isfinite, scored.logprobs)):
            raise EngineFailed(f"the probe {key!r} was given a log-probability that is no finite number", probe=key)
    return {
        key: {"token_ids": list(scored.token_ids), "logprobs": list(scored.logprobs)}
        for key, scored in zip(texts, scores, strict=True)
    }


async def _answer(awake: Awake, prompt: str) -> Json:
    sampling = Sampling(GREEDY.max_tokens, GREEDY.temperature, logprobs=0 if awake.can.logprobs else None)
    answer = await awake.answer([Message("user", prompt)], sampling)
    tokens = [[each.token, each.logprob] for each in answer.logprobs if math.isfinite(each.logprob)]
    return {"text": answer.text, "finish_reason": answer.finish_reason, "tokens": tokens}
