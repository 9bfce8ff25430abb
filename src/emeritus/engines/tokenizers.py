"""Which files make a tokenizer. Apart from `loading`, so that a folder can be refused without importing torch."""

from __future__ import annotations

# One of these makes a tokenizer; without any, AutoTokenizer's own message would not say what is missing.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
