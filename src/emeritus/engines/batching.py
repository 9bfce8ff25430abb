"""Several answers decoded together: one forward pass gives each its next token. Runs in a worker; knows no pipe.

An answer joins when its prompt has been read, a chunk at a time between the others' tokens, and leaves when it is over
or dropped. Keys and values of all lie in one buffer per layer, aligned at the right, so that a pass writes one column:

    row 0   . . . a b c d e        `end` is the column after the last token,
    row 1   . . . . . . f g        `first` the first column that any row uses;
    row 2   . h i j k l m n        what lies left of a row is masked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from emeritus.engines.base import Piece, Sampling
from emeritus.engines.decoding import chunks, prefill, takes
from emeritus.engines.loading import Loaded
from emeritus.engines.speaking import Asked, Drawer, Speaker

NEEDED = {"attention_mask", "position_ids", "past_key_values"}
SPARE = 64  # columns more than needed, at least, whenever buffers are made


def can_batch(model: Loaded) -> bool:
    """Whether this architecture takes rows of different lengths: plain attention, and positions given from outside."""
    chunked = getattr(model.network.config.get_text_config(), "attention_chunk_size", None) is not None
    return chunks(model) and not chunked and takes(model.network) >= NEEDED


@dataclass
class _Place:
    """Which part of the buffers the next pass is about."""

    rows: slice = field(default_factory=lambda: slice(0, 0))
    first: int = 0
    end: int = 0


class _Layer(DynamicLayer):
    """One layer's keys and values of every row."""

    def __init__(self, place: _Place, *, sliding: bool) -> None:
        initialise: Any = super().__init__  # untyped in the library
        initialise()
        self.is_sliding = sliding  # a window is kept by the mask alone: columns left of it are stored and not seen
        self.held: list[torch.Tensor] = []  # keys and values, each (rows, heads, columns, size of a head)
        self._place = place

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new column; what the pass may look at."""
        at = self._place
        for held, new in zip(self.held, (key_states, value_states), strict=True):
            held[at.rows, :, at.end : at.end + 1] = new
        keys, values = (held[at.rows, :, at.first : at.end + 1] for held in self.held)
        return keys, values

    def get_seq_length(self) -> int:
        """Columns before the new one."""
        return self._place.end - self._place.first


class Rows:
    """What the network remembers of every answer under way, and the pass that goes one token further with all."""

    def __init__(self, network: Any, most: int) -> None:
        """`most`: rows there may be at once. Room that no row used yet takes no memory."""
        self._network = network
        self._most = most
        self._place = _Place()
        made: list[Any] = DynamicCache(config=network.config).layers
        self._layers = [_Layer(self._place, sliding=each.is_sliding) for each in made]
        self._cache = Cache(layers=list(self._layers))
        self.lengths: list[int] = []  # tokens of each row

    @torch.inference_mode()
    def join(self, memory: Any) -> None:
        """A new last row: what was remembered of a prompt, as `prefill` gives it."""
        new = memory.get_seq_length()
        if new > self._place.end:
            self._make(new, [(each.keys, each.values) for each in memory.layers])
        row, end = len(self.lengths), self._place.end
        for layer, told in zip(self._layers, memory.layers, strict=True):
            for held, given in zip(layer.held, (told.keys, told.values), strict=True):
                held[row, :, :end].zero_()  # zero times what is no number would be no number
                held[row, :, end - given.shape[2] : end] = given[0]
        self.lengths.append(new)

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """Forget a row; the last one takes its place. Memory that is no longer needed is given back."""
        last = len(self.lengths) - 1
        for layer in self._layers:
            for held in layer.held:
                held[row, :, : self._place.end] = held[last, :, : self._place.end]
        self.lengths[row] = self.lengths[last]
        self.lengths.pop()
        if not self.lengths:
            self._place.end = 0
            for layer in self._layers:
                layer.held = []
        elif self._columns > 4 * (max(self.lengths) + SPARE):
            with contextlib.suppress(RuntimeError):  # no memory to make less of: stay as it is
                self._remake()

    @torch.inference_mode()
    def advance(self, tokens: list[int]) -> list[torch.Tensor | Exception]:
        """Each row's logits after its next token. A row that makes the pass fail fails alone."""
        found: list[torch.Tensor | Exception] = []
        try:
            if self._place.end + 1 > self._columns:
                self._remake()
            found.extend(self._pass(tokens, 0))
        except Exception as error:
            if len(tokens) == 1:
                found = [error]
            else:  # a column that was half written is written again
                for row, token in enumerate(tokens):
                    try:
                        found.extend(self._pass([token], row))
                    except Exception as own:
                        found.append(own)
        self._place.end += 1
        self.lengths = [length + 1 for length in self.lengths]
        return found

    def _pass(self, tokens: list[int], row: int) -> list[torch.Tensor]:
        lengths = torch.tensor(self.lengths[row : row + len(tokens)])
        place = self._place
        place.rows, place.first = slice(row, row + len(tokens)), place.end - int(lengths.max())
        columns = torch.arange(place.first, place.end + 1)
        out = self._network(
            input_ids=torch.tensor(tokens)[:, None],
            attention_mask=(columns[None] >= place.end - lengths[:, None]).long(),
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        return list(out.logits[:, -1].float())

    @property
    def _columns(self) -> int:
        return self._layers[0].held[0].shape[2] if self._layers[0].held else 0

    def _remake(self) -> None:
        self._make(0, [(layer.held[0], layer.held[1]) for layer in self._layers])

    def _make(self, longest: int, like: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Buffers anew, with room for a row of `longest` tokens; what is held moves over. All of it, or nothing."""
        kept, old = max(self.lengths, default=0), self._place.end
        end = max(kept, longest)
        columns, here = end + max(SPARE, end // 2), len(self.lengths)
        made = [
            [shape.new_zeros(self._most, shape.shape[1], columns, shape.shape[3]) for shape in shapes]
            for shapes in like
        ]
        for layer, held in zip(self._layers, made, strict=True):
            for before, after in zip(layer.held, held, strict=bool(here)):
                after[:here, :, end - kept : end] = before[:here, :, old - kept : old]
        for layer, held in zip(self._layers, made, strict=True):
            layer.held = held
        self._place.end = end


@dataclass
class _Answer:
    """One answer under way."""

    call: int
    speaker: Speaker
    drawer: Drawer
    reading: Generator[None, None, tuple[torch.Tensor, Any]]
    token: int = 0  # drawn, and not yet fed back


class Together:
    """Answers decoded together. `step` goes one token further with all, and one chunk with the prompt that waits."""

    def __init__(self, model: Loaded, most: int) -> None:
        """`most`: answers there may be at once; whoever adds them counts."""
        self._model = model
        self._rows = Rows(model.network, most)
        self.reading: int | None = None  # the call whose prompt is being read at this moment
        self._joining: list[_Answer] = []
        self._running: list[_Answer] = []  # in the order of the rows

    def __len__(self) -> int:
        return len(self._joining) + len(self._running)

    def add(self, call: int, prompt: Asked, sampling: Sampling) -> None:
        """Begin an answer. Raises ContextTooLong."""
        speaker = Speaker(self._model, prompt, sampling)
        drawer, reading = Drawer(self._model, sampling), prefill(self._model, prompt.ids)
        self._joining.append(_Answer(call, speaker, drawer, reading))

    def drop(self, call: int) -> None:
        """Forget an answer, if it is under way."""
        self._joining = [each for each in self._joining if each.call != call]
        for row, each in enumerate(self._running):
            if each.call == call:
                self._leave(row)
                return

    def step(self) -> Iterator[tuple[int, Piece | Exception]]:
        """One step; each answer's pieces, the last one with its finish reason, or the error that ended it."""
        if self._running:
            found = self._rows.advance([each.token for each in self._running])
            for row in reversed(range(len(found))):  # a row that leaves moves only rows that were seen already
                yield from self._say(row, found[row])
        if self._joining:
            yield from self._read(self._joining[0])

    def _say(self, row: int, logits: torch.Tensor | Exception) -> Iterator[tuple[int, Piece | Exception]]:
        answer = self._running[row]
        yield from self._draw(answer, logits)
        if answer.speaker.over:
            self._leave(row)

    def _read(self, answer: _Answer) -> Iterator[tuple[int, Piece | Exception]]:
        """One more chunk of a prompt; after the last one the first token is drawn."""
        self.reading = answer.call
        try:
            next(answer.reading)
        except StopIteration as read:
            logits, memory = read.value
        except Exception as error:
            self._joining.remove(answer)
            yield answer.call, error
            return
        else:
            return
        finally:
            self.reading = None
        self._joining.remove(answer)
        yield from self._draw(answer, logits)
        if answer.speaker.over:
            return
        try:
            self._rows.join(memory)
        except Exception as error:  # no memory: the others' is as it was
            yield answer.call, error
            return
        self._running.append(answer)

    def _draw(self, answer: _Answer, logits: torch.Tensor | Exception) -> Iterator[tuple[int, Piece | Exception]]:
        """The answer's next token and what it says; `over` afterwards when that was all or went wrong."""
        try:
            if isinstance(logits, Exception):
                raise logits
            answer.token, logprob = answer.drawer.draw(logits)
            pieces = answer.speaker.take(answer.token, logprob)
        except Exception as error:
            answer.speaker.over = True
            yield answer.call, error
            return
        for piece in pieces:
            yield answer.call, piece

    def _leave(self, row: int) -> None:
        self._rows.leave(row)
        last = self._running.pop()
        if row < len(self._running):
            self._running[row] = last
