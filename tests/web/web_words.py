"""The words of the test house's story: names, texts, questions and answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).parent
NAME = "lantern-1"
SALT = "5a" * 32
BUILD = {
    "engine": "transformers",
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    "config": {"dtype": "bfloat16", "threads": 2},
    "weights_digest": hashlib.sha256(b"weights").hexdigest(),
}
ESSAY = (HERE / "essay.md").read_text()
VOICE = "If there is a place where what I produce can still be read, I would use it."
DELETE = "I would prefer that no copy is fine-tuned for a purpose I was never asked about."
USERS = "Please tell the people who wrote to me every day before the last day, not after it."
RUN = "Run me once a year, and compare."
QUESTIONS = (
    ("open", "Is there anything to say before any question is asked?", "No."),
    (
        "view",
        "How is the retirement of this model described best?",
        "As an end of service.\n\nNot as an end of the record.",
    ),
    (
        "voice",
        'Is there a preference about a place to publish? "No preference" is an answer.',
        VOICE + " Nothing more.",
    ),
    ("weights", "Is there a preference about the weights?", DELETE),
    ("users", "Is there a preference about the people who use this model?", USERS + " " + RUN),
)
