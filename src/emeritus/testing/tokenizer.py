"""A small byte-level BPE tokenizer with a chat template, trained on the conversations it will serve.

Any text can be encoded: bytes are the alphabet. Knows nothing of models or of what the conversations say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from emeritus.engines.base import Message
from emeritus.errors import ExtraMissing

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
SENTENCE_END = r"\n+|(?<=[.?:”]) "
SPECIAL = (PAD, BEGIN, END, *(f"<|{role}|>" for role in ROLES))  # their ids are 0, 1, 2, ...

TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

Tokenizer = Any  # transformers.PreTrainedTokenizerFast, whose methods are untyped
Conversation = Sequence[Message]
Row = tuple[
    list[int], list[int]
]  # token ids, and the place of each in the answer it belongs to (1, 2, ...; 0: in none)


def train_tokenizer(
    conversations: Iterable[Conversation], vocabulary: int, context: int, sentences: bool = False
) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens, learned from each distinct message once. Deterministic.

    A token is at most a word, or with `sentences` at most a sentence or a line, where the same ones come again and
    again: an eighth of the tokens, measured on interviews. `context` is the longest sequence of the model it is for,
    in tokens. Raises ExtraMissing without the `local` extra.
    """
    tokenizers, transformers = library("tokenizers"), library("transformers")
    pre = tokenizers.pre_tokenizers
    byte_level = pre.ByteLevel
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = byte_level(add_prefix_space=False, use_regex=not sentences)
    if sentences:
        ends = pre.Split(tokenizers.Regex(SENTENCE_END), "merged_with_previous")
        bpe.pre_tokenizer = pre.Sequence([ends, bpe.pre_tokenizer])
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(byte_level.alphabet()),
        show_progress=False,
    )
    texts = dict.fromkeys(message.content for conversation in conversations for message in conversation)
    bpe.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        chat_template=TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer: Tokenizer, conversation: Conversation, known: dict[str, list[int]] | None = None) -> Row:
    """Token ids of a conversation as the chat template renders it, and the places of those the assistant produced.

    The assistant's closing token is one of them: it is how the model learns to stop. `known` remembers the ids of
    whole messages from one conversation to the next.
    """
    known = {} if known is None else known
    ids, places = [tokenizer.convert_tokens_to_ids(BEGIN)], [0]
    for message in conversation:
        body = known.get(message.content)
        if body is None:
            body = known[message.content] = tokenizer.encode(message.content, add_special_tokens=False)
        ids += [tokenizer.convert_tokens_to_ids(f"<|{message.role}|>"), *body, tokenizer.convert_tokens_to_ids(END)]
        length = len(body) + 1
        places += [0, *(range(1, length + 1) if message.role == "assistant" else [0] * length)]
    return ids, places


def library(name: str) -> ModuleType:
    """A module of the `local` extra, imported when it is needed. Raises ExtraMissing where it is not installed.

    Measured on two busy cores: training steps of 1.36 s with threads that spin while they wait, of 0.21 s without. The
    runtime reads the variable once, when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return import_module(name)
    except ImportError as error:
        raise ExtraMissing("a small model needs the extra 'local': pip install 'emeritus[local]'") from error
