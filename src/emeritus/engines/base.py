"""The words engines and their users share: messages, sampling, pieces, answers, and the two protocols between rooms.

`Awake` is a resident that answers; `WeightSource` is where an engine finds its files. Both live here, on the ground
floor, so that features can hand them to each other without importing each other.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from emeritus.errors import BadRequest, EngineDied, NotSupported

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length"]
Damage = Literal["rounding", "noise", "zero", "int8", "flip"]
Tool = Mapping[str, Any]  # OpenAI's definition: {"type": "function", "function": {"name", "description", "parameters"}}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `tool`: what a function gave back, to be rendered where `Capabilities.tools`."""

    role: Role
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()  # of an assistant turn, as OpenAI writes them
    tool_call_id: str | None = None  # of a tool turn: which call it answers

    def as_dict(self) -> dict[str, Any]:
        """As OpenAI writes a message; absent fields are left out."""
        fields: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            fields["tool_calls"] = [dict(each) for each in self.tool_calls]
        if self.tool_call_id is not None:
            fields["tool_call_id"] = self.tool_call_id
        return fields


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is drawn. `temperature` 0 is greedy. `logprobs`: alternatives per token (None: nothing)."""

    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As journals record it."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": list(self.stop),
            "logprobs": self.logprobs,
        }


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token: its text, natural-log probability, and the most likely alternatives (text, logprob)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One increment of a streamed answer. The last piece carries `finish_reason` and usage; its text may be empty."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    raw: bytes = (
        b""  # what arrived over the wire for this piece, where the engine is a server; empty for embedded engines
    )
    stop_sequence: str | None = None  # on the last piece: the one of `Sampling.stop` that ended the answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `raw`: the response as the server sent it; for embedded engines, the answer as canonical JSON."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    raw: bytes = b""
    stop_sequence: str | None = None  # the one of `Sampling.stop` that ended it, where the engine tells


@dataclass(frozen=True, slots=True)
class Build:
    """What exactly answered: engine, versions, dtype, threads, instruction set, switches. Digest it to compare two."""

    engine: str
    versions: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    weights_digest: str | None = None  # sha256 over the sorted weight files' sha256, None when the weights are not held

    def as_dict(self) -> dict[str, Any]:
        """As journals and statements record it."""
        return {
            "engine": self.engine,
            "versions": dict(self.versions),
            "config": dict(self.config),
            "weights_digest": self.weights_digest,
        }


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; users ask before they call. A contract test may skip only what is False here.

    Asking for log-probabilities, a score, tools, a completion or a count that is False here raises NotSupported. A seed
    is passed on wherever the engine has a place for it and binds nothing unless `seed` is True.
    """

    logprobs: bool = False  # log-probabilities of generated tokens
    score: bool = False  # teacher-forced log-probabilities of given text
    seed: bool = False  # the same seed gives the same answer
    stop: bool = True
    stop_sequence: bool = False  # always tells which stop sequence ended an answer
    tools: bool = False  # tool definitions reach the model: its chat template has a place for them
    complete: bool = False  # raw text is continued, without a chat template
    count: bool = False  # a prompt's tokens are counted without an answer
    perturb: bool = False  # score as though the weights had changed a little: see `Perturbable`


@dataclass(frozen=True, slots=True)
class Scored:
    """Teacher-forced scoring of one probe: token ids and each one's natural-log probability given those before it.

    `logprobs[0]` belongs to `token_ids[1]`; so len(logprobs) == len(token_ids) - 1.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One small change to the weights, in memory and for one scoring. `seed` fixes what is random in it.

    rounding: each weight times 1 + `size` z, z standard normal; at 2^-24 as though rounded another way (fp32).
    noise: each weight plus `size` z times the root mean square of its tensor.
    zero: one tensor, chosen at random, all zeros.
    int8: each matrix rounded to 255 steps per row (absolute maximum); nothing in it is random.
    flip: one bit of the exponent of one weight, both chosen at random, as the weights are stored.
    """

    kind: Damage
    size: float = 0.0
    seed: int = 0


class Perturbable(Protocol):
    """What an engine offers beside `Awake` where `can.perturb`: how would these texts score with other weights?"""

    def perturbed(
        self, texts: Sequence[str], perturbations: Sequence[Perturbation]
    ) -> AsyncGenerator[list[Scored], None]:
        """The texts' scores under each perturbation alone, in that order; leaving the iteration ends the work.

        The weights that answer other calls stay as they are. A score may be no finite number: the change broke it.
        """


class Awake(Protocol):
    """A resident that answers. Calls may run concurrently; the engine orders them. Closing is the owner's business."""

    @property
    def build(self) -> Build:
        """What answers."""

    @property
    def can(self) -> Capabilities:
        """What it can do."""

    def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """An answer, piece by piece. Leaving the iteration cancels it.

        `tools` are shown to the model; whatever it produces in reply, calls included, is the answer's text. Raises
        BadRequest, NotSupported, ContextTooLong, EngineDied, UpstreamRefused.
        """

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer at once."""

    def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What follows a raw text (no chat template), piece by piece, as `stream` does. The text is not repeated.

        Raises NotSupported unless `can.complete`.
        """

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """How many tokens of prompt these messages make; nothing is drawn. Raises NotSupported unless `can.count`."""

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Score raw texts (no chat template) in fp32, batch 1. Raises NotSupported unless `can.score`."""


class Engine(Awake, Protocol):
    """An `Awake` together with its owner's handle."""

    @property
    def alive(self) -> bool:
        """Whether another call can succeed: False once closed or once its process ended. Never raises, asks nobody."""

    async def close(self) -> None:
        """End it and free what it holds. Safe to repeat."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor and where it lies in shared memory; `dtype` is safetensors' name, `offset` and `length` are bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


class SharedWeights:
    """A model's tensors in memory without a name, to be mapped by other processes; freed when nobody holds it."""

    def __init__(self, folder: Path, descriptor: int, tensors: Sequence[Placed]) -> None:
        self.folder = folder  # every file of the resident that holds no weights
        self.descriptor = descriptor  # ours: whoever sends it away closes this end
        self.tensors = tuple(tensors)

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def __del__(self) -> None:
        self.close()


class WeightSource(Protocol):
    """Where an engine finds a resident's files; the vault's side provides it."""

    @property
    def weights_digest(self) -> str:
        """sha256 (hex) that names the weights."""

    def folder(self) -> Path:
        """A local folder with the resident's files, every byte verified. May take long; blocking."""

    def folder_unproven(self) -> tuple[Path, Callable[[], None]]:
        """The folder before its weights are verified, and what verifies them; both blocking.

        Nothing computed from it may be told before the second has returned. It raises IntegrityError where the bytes
        are not the kept ones: `folder` then gives others.
        """

    def light_folder(self) -> Path:
        """The same without the weights, for engines that read these from the vault themselves. Blocking."""

    def shared(self) -> SharedWeights | None:
        """The weights in memory, every byte verified; None where `folder` is the better way. May take long; blocking.

        An engine that cannot map memory never asks.
        """


@runtime_checkable
class Elsewhere(Protocol):
    """What a `WeightSource` offers beside where another machine can make the same source for itself."""

    def elsewhere(self) -> dict[str, Any]:
        """As JSON: "opens", the function ("module:name") that takes this and a folder; "vault", the vault's address;
        and whatever else the function needs. No secrets.
        """


def check_request(messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> None:
    """What every engine refuses before it runs anything. Raises BadRequest naming the field."""
    check_messages(messages, tools)
    check_sampling(sampling)


def check_messages(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> None:
    """The part of `check_request` about what is asked. Raises BadRequest naming the field."""
    if not messages:
        raise BadRequest("there are no messages", field="messages")
    for tool in tools:
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, Mapping) or not function.get("name"):
            raise BadRequest('a tool is no {"type": "function", "function": {"name": …}}', field="tools")


def check_sampling(sampling: Sampling) -> None:
    """The part of `check_request` about how it is drawn. Raises BadRequest naming the field."""
    if sampling.max_tokens < 1:
        raise BadRequest("max_tokens must be at least 1", field="max_tokens")
    if not 0 <= sampling.temperature <= 100:
        raise BadRequest("temperature must lie between 0 and 100", field="temperature")
    if not 0 < sampling.top_p <= 1:
        raise BadRequest("top_p must be above 0 and at most 1", field="top_p")
    if "" in sampling.stop:
        raise BadRequest("a stop sequence is empty", field="stop")
    if sampling.logprobs is not None and not 0 <= sampling.logprobs <= 100:
        raise BadRequest("logprobs must lie between 0 and 100", field="logprobs")


def need(can: Capabilities, capability: Literal["tools", "complete", "count"]) -> None:
    """Raises NotSupported unless the engine can do it."""
    if not getattr(can, capability):
        raise unsupported(capability)


def unsupported(capability: Literal["tools", "complete", "count"]) -> NotSupported:
    """The error for what an engine cannot do, in the same words for all of them."""
    what = {
        "tools": "showing tool definitions to the model",
        "complete": "continuing a raw text without a chat template",
        "count": "counting a prompt's tokens",
    }
    return NotSupported(f"this resident's engine does not offer it: {what[capability]}", capability=capability)


async def collect(pieces: AsyncIterator[Piece]) -> Answer:
    """Gather a stream into one answer; without bytes from a server, `raw` is the answer as canonical JSON.

    Raises EngineDied for a stream that stops without an end.
    """
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    raw: list[bytes] = []
    reason: FinishReason | None = None
    prompt = completion = 0
    stop: str | None = None
    async for piece in pieces:
        texts.append(piece.text)
        logprobs.extend(piece.logprobs)
        raw.append(piece.raw)
        if piece.finish_reason is not None:
            reason, prompt, completion = piece.finish_reason, piece.prompt_tokens, piece.completion_tokens
            stop = piece.stop_sequence
    if reason is None:
        raise EngineDied("it stopped answering without an end")
    answer = Answer("".join(texts), reason, prompt, completion, tuple(logprobs), b"".join(raw), stop)
    return answer if answer.raw else replace(answer, raw=_as_json(answer))


def _as_json(answer: Answer) -> bytes:
    """Canonical JSON of an answer: sorted keys, no spaces, UTF-8."""
    fields: dict[str, Any] = {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "logprobs": [
            {"token": t.token, "logprob": t.logprob, "top": [list(pair) for pair in t.top]} for t in answer.logprobs
        ],
    }
    if answer.stop_sequence is not None:
        fields["stop_sequence"] = answer.stop_sequence
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
