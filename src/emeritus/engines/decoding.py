"""One answer, token by token, and one text's score. Runs in a worker process; knows no pipe and no other request.

`decode` is a generator, so that its caller can take turns between answers and drop one between two tokens. Batch is
always 1: a batch of several moves bf16 log-probabilities by hundredths of a nat.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from emeritus.engines.base import FinishReason, Message, Piece, Sampling, TokenLogprob, Tool
from emeritus.engines.detokenise import Detokeniser, StopGate
from emeritus.engines.loading import Loaded
from emeritus.engines.prompt import Prompt, render
from emeritus.errors import BadRequest, ContextTooLong, EngineFailed


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt as token ids, and what ends the answer beside the end token and the caller's stop sequences."""

    ids: list[int]
    stops: tuple[str, ...] = ()


def asked(model: Loaded, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Asked:
    """Messages as the model reads them. Raises BadRequest when the chat template refuses them, NotSupported."""
    prompt: Prompt = render(model.tokenizer, messages, tools)
    ids: list[int] = model.tokenizer(prompt.text, add_special_tokens=prompt.add_special_tokens)["input_ids"]
    return Asked(ids, prompt.stops)


def raw(model: Loaded, text: str) -> Asked:
    """A text as the model reads it, with the tokenizer's own special tokens. Raises BadRequest when nothing is left."""
    ids: list[int] = model.tokenizer(text)["input_ids"]
    if not ids:
        raise BadRequest("the text has no tokens", field="text")
    return Asked(ids)


def decode(model: Loaded, prompt: Asked, sampling: Sampling) -> Iterator[Piece | None]:
    """The answer's pieces; None where a token made no text certain yet. The first step checks and draws nothing.

    Raises ContextTooLong before anything runs.
    """
    ids = prompt.ids
    _check_length(model, len(ids), sampling.max_tokens)
    yield None
    text = Detokeniser(lambda some: str(model.tokenizer.decode(some, skip_special_tokens=True)))
    gate: StopGate[TokenLogprob | None] = StopGate((*sampling.stop, *prompt.stops))
    drawn = 0
    finish: FinishReason = "length"
    for token, logprob in _tokens(model, ids, sampling):
        drawn += 1
        if token in model.end_ids:
            finish = "stop"
            break
        out, items = gate.push(text.push(token), logprob)
        yield _piece(out, items) if out or items else None
        if gate.stopped:
            finish = "stop"
            break
    if not gate.stopped:
        tail, items = gate.push(text.flush(), None)
        rest, more = ("", []) if gate.stopped else gate.flush()
        yield _piece(tail + rest, [*items, *more])
    by = gate.stopped_by if gate.stopped_by in sampling.stop else None
    yield Piece("", (), "stop" if gate.stopped else finish, len(ids), drawn, stop_sequence=by)


def score(model: Loaded, network: Any, text: str) -> tuple[list[int], list[float]]:
    """Token ids of a raw text (no chat template, the tokenizer's own special tokens) and log p of each after the first.

    `network` is the model in fp32. Raises ContextTooLong.
    """
    ids: list[int] = model.tokenizer(text)["input_ids"]
    _check_length(model, len(ids), 0)
    if len(ids) < 2:
        return ids, []
    with torch.inference_mode():
        tokens = torch.tensor([ids])
        logits = network(input_ids=tokens, use_cache=False).logits[0, :-1].float()
        chosen = torch.log_softmax(logits, dim=-1).gather(1, tokens[0, 1:, None])
    return ids, [float(each) for each in chosen[:, 0]]


def _check_length(model: Loaded, prompt: int, answer: int) -> None:
    if model.context is not None and prompt + answer > model.context:
        raise ContextTooLong(
            f"{prompt} tokens of prompt and {answer} of answer do not fit the model's context of {model.context}",
            prompt_tokens=prompt,
            max_tokens=answer,
            context=model.context,
        )


def _piece(text: str, items: Sequence[TokenLogprob | None]) -> Piece:
    return Piece(text, tuple(item for item in items if item is not None))


def _tokens(model: Loaded, prompt: Sequence[int], sampling: Sampling) -> Iterator[tuple[int, TokenLogprob | None]]:
    """Ids drawn one after another, each with its log-probability when asked for."""
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed % 2**63)
    # A prompt's other positions are not needed; their logits would take vocabulary × length × 4 bytes.
    last_only = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.network.forward).parameters else {}
    fed, cache = torch.tensor([list(prompt)]), None
    for _ in range(sampling.max_tokens):
        with torch.inference_mode():
            out = model.network(input_ids=fed, past_key_values=cache, use_cache=True, **last_only)
            logits = out.logits[0, -1].float()
            token = _draw(logits, sampling, generator)
            logprob = None if sampling.logprobs is None else _logprob(model, logits, token, sampling.logprobs)
        yield token, logprob
        cache = getattr(out, "past_key_values", None)
        new = torch.tensor([[token]])
        # A network without such a cache (a recurrent one) is given the whole text again: slower, and right.
        fed = new if cache is not None else torch.cat([fed, new], dim=1)


def _draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One id from fp32 logits: the likeliest at temperature 0, else from the smallest set that holds `top_p`."""
    if bool(torch.isnan(logits).any()):
        raise EngineFailed(
            "the network's output is not a number",
            remedy="Its stored type may overflow: set the option dtype to float32.",
        )
    if sampling.temperature == 0:
        return int(logits.argmax())
    chances = torch.softmax((logits - logits.max()) / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered, where = chances.sort(descending=True, stable=True)
        beyond = ordered.cumsum(0) - ordered >= sampling.top_p
        chances = chances.clone()
        chances[where[beyond]] = 0
    return int(torch.multinomial(chances, 1, generator=generator))


def _logprob(model: Loaded, logits: torch.Tensor, token: int, alternatives: int) -> TokenLogprob:
    """Natural-log probabilities before temperature and top_p, as the model gave them."""
    logprobs = torch.log_softmax(logits, dim=-1)
    values, ids = logprobs.topk(min(alternatives, len(logprobs)))
    top = tuple((_spell(model, int(i)), float(v)) for i, v in zip(ids, values, strict=True))
    return TokenLogprob(_spell(model, token), float(logprobs[token]), top)


def _spell(model: Loaded, token: int) -> str:
    """One id as text; a part of a character shows as the replacement character."""
    return str(model.tokenizer.decode([token], skip_special_tokens=False))
