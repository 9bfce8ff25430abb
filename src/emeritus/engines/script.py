"""What a scripted model says: rules matched against the conversation, a delay per token, faults on purpose. Pure.

A script is a TOML or JSON file:

    model = "scripted"
    default = "I have no answer for that."
    [[rules]]
    match = "(?i)preserve"        # searched in the last user message
    system = "formal"             # and in the system message, when given
    answer = ["One way.", "Another way."]   # several: temperature 0 takes the first, else the seed chooses
    fault = "die"                 # see Fault; after `after` tokens
    after = 3
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from emeritus.engines.base import FinishReason, Message, Perturbation, Piece, Sampling, Scored, TokenLogprob, Tool
from emeritus.engines.detokenise import StopGate
from emeritus.engines.options import Options
from emeritus.errors import BadSettings, ContextTooLong

# die: the process ends; half: the connection does; garbage: malformed JSON; the rest speak for themselves.
Fault = Literal["die", "half", "garbage", "refuse", "rate_limit", "server_error", "wrong_model"]


class Rule(Options):
    """One rule; the first that matches answers."""

    match: str = Field(default="", description="Regular expression searched in the last user message.")
    system: str | None = Field(default=None, description="Regular expression searched in the system message as well.")
    tool: str | None = Field(default=None, description="Regular expression searched in the names of the tools given.")
    answer: str | tuple[str, ...] = Field(default="", description="The answer, or several to choose from.")
    fault: Fault | None = Field(default=None, description="What goes wrong.")
    after: int = Field(default=0, ge=0, description="After how many tokens it goes wrong.")

    @field_validator("match", "system", "tool")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            with warnings.catch_warnings(action="error"):  # what will mean something else one day is refused today
                re.compile(value or "")
        except (re.error, OverflowError, RecursionError, Warning) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class Script(Options):
    """A whole script."""

    model: str = Field(default="scripted", min_length=1, description="The model's name.")
    rules: tuple[Rule, ...] = Field(default=(), description="Rules, in order.")
    default: str = Field(default="I have no answer for that.", description="The answer when no rule matches.")
    token_delay_s: float = Field(default=0.0, ge=0, description="Pause before each token, in seconds.")
    start_delay_s: float = Field(default=0.0, ge=0, description="Pause before the engine is ready, in seconds.")
    context: int = Field(default=4096, ge=1, description="Most tokens of prompt and answer together.")
    salt: str = Field(
        default="", description="Another salt gives other log-probabilities: a model that behaves differently."
    )

    rounding: str = Field(
        default="", description="Another rounding moves log-probabilities by millionths: an engine that was updated."
    )

    def rule_for(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Rule:
        """The rule that answers this conversation."""
        asked = next((each.content for each in reversed(messages) if each.role == "user"), "")
        told = "\n".join(each.content for each in messages if each.role == "system")
        named = "\n".join(str(each["function"]["name"]) for each in tools)
        for rule in self.rules:
            wanted = ((rule.match, asked), (rule.system, told), (rule.tool, named))
            if all(pattern is None or re.search(pattern, text) for pattern, text in wanted):
                return rule
        return Rule(answer=self.default)

    def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """A prompt's tokens: those of what was said, and of the tools written as JSON."""
        texts = [each.content for each in messages] + [json.dumps(dict(each)) for each in tools]
        return sum(len(tokens(text)) for text in texts)

    def pieces(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Iterator[Piece]:
        """The answer's pieces, one per token and the last with the usage. Raises ContextTooLong."""
        prompt = self.count(messages, tools)
        if prompt + sampling.max_tokens > self.context:
            raise ContextTooLong(
                f"{prompt} tokens of prompt and {sampling.max_tokens} of answer exceed the context of {self.context}",
                prompt_tokens=prompt,
                max_tokens=sampling.max_tokens,
                context=self.context,
            )
        said = tokens(_choose(self.rule_for(messages, tools).answer, sampling))
        finish: FinishReason = "length" if len(said) > sampling.max_tokens else "stop"
        gate: StopGate[TokenLogprob | None] = StopGate(sampling.stop)
        drawn = 0
        for drawn, token in enumerate(said[: sampling.max_tokens], start=1):
            logprob = None if sampling.logprobs is None else self._logprob(token, drawn, sampling.logprobs)
            text, items = gate.push(token, logprob)
            yield Piece(text, tuple(item for item in items if item is not None))
            if gate.stopped:
                finish = "stop"
                break
        text, items = ("", []) if gate.stopped else gate.flush()
        logprobs = tuple(item for item in items if item is not None)
        yield Piece(text, logprobs, finish, prompt, drawn, stop_sequence=gate.stopped_by)

    def score(self, text: str) -> Scored:
        """Deterministic numbers of the right shape."""
        found = tokens(text)
        ids = tuple(int.from_bytes(_digest(token)[:2]) for token in found)
        return Scored(ids, tuple(self._chance(token, at) for at, token in enumerate(found[1:])))

    def perturbed(self, text: str, change: Perturbation) -> Scored:
        """The score as though the weights had changed: each number moved by a plausible amount, the same every time."""
        scored = self.score(text)
        reach = {"rounding": 100.0 * change.size, "noise": 10.0 * change.size, "zero": 3.0, "int8": 0.1, "flip": 0.01}
        seed = f"{change.kind}/{change.size}/{change.seed}/{text}"
        moved = (value + reach[change.kind] * _sway(f"{seed}/{at}") for at, value in enumerate(scored.logprobs))
        return Scored(scored.token_ids, tuple(moved))

    def _chance(self, token: str, at: int) -> float:
        rounded = 5e-6 * _sway(f"{self.rounding}/{at}/{token}") if self.rounding else 0.0
        return -3.0 * _digest(f"{self.salt}/{at}/{token}")[0] / 255 + rounded

    def _logprob(self, token: str, at: int, alternatives: int) -> TokenLogprob:
        """The token is its own likeliest; the alternatives are made up and less likely."""
        own = self._chance(token, at)
        others = ((f"{token}~{n}", own - n) for n in range(1, alternatives))
        return TokenLogprob(token, own, ((token, own), *others) if alternatives else ())


def read_script(path: Path) -> Script:
    """A script from a .toml or .json file. Raises BadSettings naming file and field."""
    try:
        text = path.read_text(encoding="utf-8")
        given: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return Script.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"{path}, {where}: {first['msg']}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadSettings(f"{path} cannot be read: {error}") from error


def tokens(text: str) -> list[str]:
    """A word with the space before it is a token."""
    return re.findall(r"\s*\S+|\s+$", text)


def _choose(answer: str | tuple[str, ...], sampling: Sampling) -> str:
    if isinstance(answer, str):
        return answer
    if not answer:
        return ""
    if sampling.temperature == 0:
        return answer[0]
    return answer[int.from_bytes(_digest(f"seed {sampling.seed}")[:4]) % len(answer)]


def _sway(text: str) -> float:
    """Between -1 and 1."""
    return int.from_bytes(_digest(text)[:4]) / 2**31 - 1.0


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
