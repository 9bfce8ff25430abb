"""From drawn tokens to an answer's pieces, and what a prompt is in tokens. Runs in a worker; knows no forward pass.

Whoever computes logits (one answer alone in `decoding`, several together in `batching`) draws with a `Drawer` and hands
each token to the answer's `Speaker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def check_length(model: Loaded, prompt: int, answer: int) -> None:
    """Raises ContextTooLong when so many tokens of prompt and answer do not fit the model."""
    if model.context is not None and prompt + answer > model.context:
        raise ContextTooLong(
            f"{prompt} tokens of prompt and {answer} of answer do not fit the model's context of {model.context}",
            prompt_tokens=prompt,
            max_tokens=answer,
            context=model.context,
        )


class Speaker:
    """One answer's text: takes its tokens as they are drawn, and is `over` once one of them ended it."""

    def __init__(self, model: Loaded, prompt: Asked, sampling: Sampling) -> None:
        """Raises ContextTooLong."""
        check_length(model, len(prompt.ids), sampling.max_tokens)
        self.prompt = prompt
        self.over = False
        self._sampling = sampling
        self._end_ids = model.end_ids
        self._text = Detokeniser(lambda some: str(model.tokenizer.decode(some, skip_special_tokens=True)))
        self._gate: StopGate[TokenLogprob | None] = StopGate((*sampling.stop, *prompt.stops))
        self._drawn = 0

    def take(self, token: int, logprob: TokenLogprob | None) -> list[Piece]:
        """What this token makes certain: often nothing. The last piece carries the reason and the usage."""
        self._drawn += 1
        if token in self._end_ids:
            return self._end("stop")
        out, items = self._gate.push(self._text.push(token), logprob)
        pieces = [_piece(out, items)] if out or items else []
        if self._gate.stopped:
            return pieces + self._end("stop")
        return pieces + (self._end("length") if self._drawn == self._sampling.max_tokens else [])

    def _end(self, finish: FinishReason) -> list[Piece]:
        self.over = True
        pieces = []
        gate = self._gate
        if not gate.stopped:
            tail, items = gate.push(self._text.flush(), None)
            rest, more = ("", []) if gate.stopped else gate.flush()
            pieces.append(_piece(tail + rest, [*items, *more]))
        if gate.stopped:
            finish = "stop"
        by = gate.stopped_by if gate.stopped_by in self._sampling.stop else None
        return [*pieces, Piece("", (), finish, len(self.prompt.ids), self._drawn, stop_sequence=by)]


def _piece(text: str, items: Sequence[TokenLogprob | None]) -> Piece:
    return Piece(text, tuple(item for item in items if item is not None))


class Drawer:
    """Draws one answer's tokens from their logits, with a generator of its own."""

    def __init__(self, model: Loaded, sampling: Sampling) -> None:
        self._model = model
        self._sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed % 2**63)

    def draw(self, logits: torch.Tensor) -> tuple[int, TokenLogprob | None]:
        """An id from one position's logits, with its log-probability when asked for. Raises EngineFailed."""
        logits = logits.float()
        token = draw(logits, self._sampling, self._generator)
        alternatives = self._sampling.logprobs
        return token, None if alternatives is None else _logprob(self._model, logits, token, alternatives)


def draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
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
