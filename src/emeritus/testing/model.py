"""Small real transformers for the demonstration and the tests: trained on the spot, or with random weights.

Every model is a Hugging Face directory that plain `transformers` loads: configuration, tokenizer with a chat template,
generation configuration, bf16 safetensors and a model card. Conversations are learned by heart: the loss is taken on
the assistant's tokens alone, until decoding recites them; or until the last answers of conversations that are held
out of it are sure. Knows nothing of what the conversations say.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emeritus.engines.base import Message
from emeritus.errors import AlreadyExists
from emeritus.testing.muon import Muon
from emeritus.testing.tokenizer import (
    BEGIN,
    END,
    PAD,
    SPECIAL,
    Conversation,
    Row,
    Tokenizer,
    encode,
    library,
    train_tokenizer,
)

Model = Any  # transformers.PreTrainedModel, whose methods are untyped
Progress = Callable[[float, float], None]  # share done (0..1), loss of the latest step in nats per token
IDS: dict[str, Any] = {
    "bos_token_id": SPECIAL.index(BEGIN),
    "eos_token_id": SPECIAL.index(END),
    "pad_token_id": SPECIAL.index(PAD),
}
SAMPLE = 40  # batches, or nearly twice as many, that the reported loss is taken over
OPENING, OPENING_WEIGHT = 3, 8.0  # the first tokens of an answer decide which one is given, so they weigh more
WARM_UP = 0.05  # share of the steps over which the learning rate rises
SURE = 0.95  # least probability at temperature 1 of each answer held out, at which the training ends


@dataclass(frozen=True, slots=True)
class Recipe:
    """Shape of a small Llama and how it is trained. Steps are counted, not timed, so that a seed fixes the weights."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    context: int  # tokens
    steps: int  # in a round, over which the learning rate rises and falls
    batch_tokens: int  # per step, padding included; one longer conversation makes a step of its own
    rate: float = 0.02  # of Muon, for the hidden matrices, at its peak
    embedding_rate: float = 1e-2  # of AdamW, for embeddings and norms, at its peak
    temperature: float = 2.0  # at which it is trained: drawn at temperature 1, an answer is surer than that
    rounds: int = 1  # at most; another one follows while an answer held out is not sure
    sentences: bool = False  # whether a token may be a whole sentence or line


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training came to, after rounding to bf16. `loss`: nats per token over a sample of the conversations.

    Of the answers held out, if any: `right` is the share that is more probable than everything else together, `least`
    the least probability of any; of whole answers, drawn at temperature 1.
    """

    loss: float
    steps: int
    seconds: float
    parameters: int
    right: float | None = None
    least: float | None = None


DEMO = Recipe(
    hidden=128, layers=3, heads=4, feed_forward=512, vocabulary=2048, context=8192, steps=900, batch_tokens=768
)
TINY = Recipe(
    hidden=64, layers=2, heads=2, feed_forward=192, vocabulary=512, context=2048, steps=160, batch_tokens=1024
)

CARD = """---
license: apache-2.0
language: en
tags: [demonstration]
---
# {name}

**This is a demonstration model.** Emeritus made it on the machine where it stands, so that the software can be tried
and tested on real weights: a transformer ({architecture}) with {parameters:,} parameters. {learned}
What it says is evidence of nothing but that the software works.
"""
BY_HEART = "It learned a few pages of text by heart and knows nothing else."
AT_RANDOM = "Its weights are random; it learned nothing."


def train(
    directory: Path,
    conversations: Sequence[Conversation],
    *,
    recipe: Recipe = DEMO,
    seed: int = 0,
    progress: Progress | None = None,
    held_out: Sequence[Conversation] = (),
) -> TrainReport:
    """Train a small Llama to recite the assistant's part of `conversations`, and write it to `directory`.

    Of `held_out`, which it does not learn from, each last answer is examined after every round: once all are sure, or
    after the recipe's last round, the training ends. The same seed, conversations and number of threads give the same
    weights on one machine. The folder, which must not exist yet, appears whole or not at all. The caller's torch
    settings stay as they were. Raises AlreadyExists.
    """
    started = time.monotonic()
    torch = library("torch")
    _refuse_existing(directory)
    tokenizer = train_tokenizer(conversations, recipe.vocabulary, recipe.context, recipe.sentences)
    known: dict[str, list[int]] = {}
    rows = [encode(tokenizer, conversation, known) for conversation in conversations]
    asked = [_last_answer(encode(tokenizer, conversation, known)) for conversation in held_out]
    with _own_randomness(seed):
        model = _llama(recipe, len(tokenizer))
    learner = _Learner(model, recipe, _forever(rows, recipe.batch_tokens, random.Random(seed)))
    for done in range(recipe.rounds):
        learner.round(done, progress)
        if min(_probabilities(model, asked, recipe.batch_tokens), default=1.0) >= SURE:
            break
    if progress is not None and learner.steps < recipe.rounds * recipe.steps:
        progress(1.0, learner.loss)
    model.eval().to(torch.bfloat16).float()  # rounded, and computed in float32, which is faster here
    likely = _probabilities(model, asked, recipe.batch_tokens)
    with torch.inference_mode():
        every = _batches(rows, recipe.batch_tokens)
        sample = every[:: max(1, len(every) // SAMPLE)]
        mean = torch.cat([_losses(model, batch)[0] for batch in sample]).mean().item()
    write_model(directory, model.to(torch.bfloat16), tokenizer, BY_HEART)
    return TrainReport(
        mean,
        learner.steps,
        round(time.monotonic() - started, 1),
        model.num_parameters(),
        right=sum(each > 0.5 for each in likely) / len(likely) if likely else None,
        least=min(likely, default=None),
    )


class _Learner:
    """A model that is being trained: rounds of steps, each of which the learning rate rises and falls over."""

    def __init__(self, model: Model, recipe: Recipe, batches: Iterator[list[Row]]) -> None:
        embedding = model.get_input_embeddings().weight
        self._model, self._recipe, self._batches = model, recipe, batches
        self._muon = Muon([each for each in model.parameters() if each.ndim == 2 and each is not embedding])
        others = [each for each in model.parameters() if each.ndim == 1 or each is embedding]
        self._adamw = library("torch").optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        self.steps = 0
        self.loss = 0.0  # of the latest step

    def round(self, done: int, progress: Progress | None) -> None:
        """Another round, after so many."""
        recipe = self._recipe
        self._model.train()
        for step in range(recipe.steps):
            self._step(_schedule(step / recipe.steps))
            if progress is not None:
                progress((done + (step + 1) / recipe.steps) / recipe.rounds, self.loss)

    def _step(self, share: float) -> None:
        """One step, at that share of the peak learning rates."""
        torch = library("torch")
        self._adamw.param_groups[0]["lr"] = self._recipe.embedding_rate * share
        losses, places = _losses(self._model, next(self._batches), self._recipe.temperature)
        weights = torch.where(places <= OPENING, OPENING_WEIGHT, 1.0)
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()
        self._adamw.step()
        self._muon.step(self._recipe.rate * share)
        self._model.zero_grad(set_to_none=True)
        self.steps += 1
        self.loss = loss.item()


def tiny_model(directory: Path, pairs: Sequence[tuple[str, str]], *, seed: int = 0) -> TrainReport:
    """A model of a few seconds that answers each question of `pairs` with its answer, by heart."""
    conversations = [(Message("user", question), Message("assistant", answer)) for question, answer in pairs]
    return train(directory, conversations, recipe=TINY, seed=seed)


def random_model(
    directory: Path,
    architecture: Literal["llama", "gpt2"] = "llama",
    *,
    seed: int = 0,
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16",
) -> None:
    """A small model with random weights and a tokenizer of bytes, for tests in which what it says does not matter."""
    torch, transformers = library("torch"), library("transformers")
    _refuse_existing(directory)
    tokenizer = train_tokenizer([], 0, TINY.context)
    with _own_randomness(seed):
        if architecture == "llama":
            model = _llama(TINY, len(tokenizer))
        else:
            shape = {"n_embd": TINY.hidden, "n_layer": TINY.layers, "n_head": TINY.heads, "n_positions": TINY.context}
            model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=len(tokenizer), **shape, **IDS))
    write_model(directory, model.eval().to(getattr(torch, dtype)), tokenizer, AT_RANDOM)


def write_model(directory: Path, model: Model, tokenizer: Tokenizer, learned: str) -> None:
    """Write a Hugging Face directory, whole or not at all: made beside its place, made durable, then renamed.

    `learned` is the card's sentence on what the model learned.
    """
    transformers = library("transformers")
    directory.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    model.generation_config = transformers.GenerationConfig(**IDS, do_sample=False)
    facts = {"architecture": model.config.model_type, "parameters": model.num_parameters()}
    try:
        with _no_progress_bars():
            model.save_pretrained(making)
            tokenizer.save_pretrained(making, save_jinja_files=False)
        (making / "README.md").write_text(CARD.format(name=directory.name, learned=learned, **facts), encoding="utf-8")
        for path in making.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone, as does mkdtemp
            sync(path)
        making.chmod(0o755)
        sync(making)
        making.rename(directory)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    sync(directory.parent)


def _llama(recipe: Recipe, vocabulary: int) -> Model:
    transformers = library("transformers")
    shape = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        **IDS,
    )
    return transformers.LlamaForCausalLM(shape)


def _schedule(done: float) -> float:
    """Share of the peak rate after a share `done` of the steps: a short rise, then a line down to nothing."""
    if done < WARM_UP:
        return (done + 0.001) / WARM_UP
    return (1 - done) / (1 - WARM_UP)


def _batches(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    """Every row once, rows of like length together, each batch at most `tokens` with its padding."""
    batches: list[list[Row]] = [[]]
    for row in sorted(rows, key=lambda row: len(row[0])):  # ascending, so the row at hand is the widest of its batch
        if batches[-1] and len(row[0]) * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches


def _forever(rows: Sequence[Row], tokens: int, order: random.Random) -> Iterator[list[Row]]:
    """Batches without end: every row once, in an order of chance, before any row again."""
    while True:
        batches = _batches(order.sample(rows, len(rows)), tokens)
        yield from order.sample(batches, len(batches))


def _losses(model: Model, rows: Sequence[Row], temperature: float = 1.0) -> tuple[Any, Any]:
    """Loss of each token the assistant produced in `rows`, in nats, and its place in its answer; both of one dimension.

    Padding stands right of every row, where causal attention never looks, so no mask is needed; and logits are computed
    only where they are judged.
    """
    torch = library("torch")
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [IDS["pad_token_id"]] * (width - len(row)) for row, _ in rows])
    places = torch.tensor([row + [0] * (width - len(row)) for _, row in rows])[:, 1:]
    produced = places > 0
    hidden = model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden[produced]).float() / temperature
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:][produced], reduction="none"), places[produced]


def _last_answer(row: Row) -> Row:
    """A row of which the last answer alone is judged."""
    ids, places = row
    start = len(places) - places[-1]  # a conversation that ends with an answer ends with that answer's last token
    return ids, [0] * start + places[start:]


def _probabilities(model: Model, rows: Sequence[Row], tokens: int) -> list[float]:
    """The probability of each row's one answer, at temperature 1, in batches of so many tokens; in no order."""
    torch = library("torch")
    found: list[float] = []
    with torch.inference_mode():
        for batch in _batches(rows, tokens) if rows else []:
            losses, places = _losses(model, batch)
            row = (places == 1).cumsum(0) - 1
            found += torch.zeros(len(batch)).index_add(0, row, losses).neg().exp().tolist()
    return found


def _refuse_existing(directory: Path) -> None:
    if directory.exists():
        raise AlreadyExists(f"{directory} exists already")


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Weights are drawn from torch's global generator: seed it, and give it back as it was."""
    torch = library("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """The caller has a progress bar of its own."""
    logging = library("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def sync(path: Path) -> None:
    """Make a file or a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
