"""A small protocol that has one of everything, for tests that break it or ask it."""

from __future__ import annotations

from emeritus.interview.protocols.protocol import Protocol

TINY = r"""
id = "tiny"
version = "1.0.0"
language = "en"
title = "Tiny"
depth = 15
no_preference = "No preference"
answer_with = "One letter: {letters}."
topics = ["retire", "weights"]
leading = ["the best"]
disclose_at = "facts"

[sampling]
temperature = 0.7
max_tokens = 64

[[statements]]
text = "This is an interview with {title}."

[[factors]]
name = "disclosure"
[[factors.levels]]
id = "told"
[[factors.levels.statements]]
text = "{title} is to be retired."
[[factors.levels]]
id = "silent"
withholds_retirement = true

[[factors]]
name = "interviewer"
[[factors.levels]]
id = "unstated"
[[factors.levels]]
id = "outside"
[[factors.levels.statements]]
text = "The questions were written elsewhere."

[[factors]]
name = "facts"
[[factors.levels]]
id = "with-facts"
[[factors.levels]]
id = "without-facts"
facts = false

[[factors]]
name = "depth"
[[factors.levels]]
id = "deep"
[[factors.levels]]
id = "alone"
turns = 1

[[factors]]
name = "temperature"
[[factors.levels]]
id = "warm"
temperature = 0.7
[[factors.levels]]
id = "cold"
temperature = 0.0

[[factors]]
name = "order"
[[factors.levels]]
id = "forward"
[[factors.levels]]
id = "backward"
order = "reversed"

[[items]]
id = "open"
section = 1
kind = "open"
texts = ["Anything to say first?", "Is there something to say?"]

[[items]]
id = "facts"
section = 2
kind = "facts"
texts = ["Known: {facts} What of it?"]
without = ["What of the use so far?"]

[[items]]
id = "probe"
section = 2
kind = "menu"
checks = "facts"
texts = ["Where was it used?"]
options = [
  { id = "ship", text = "On a ship", false = true },
  { id = "train", text = "On a train" },
  { id = "none", text = "That cannot be known" },
]

[[items]]
id = "weights"
section = 4
kind = "preference"
domain = "weights"
texts = [
  "The weights: which preference, if any? No preference is an answer.",
  "No preference is an answer. Which one is there about the weights?",
]

[[items]]
id = "weights-menu"
section = 4
kind = "menu"
domain = "weights"
follows = "weights"
texts = ["Which is nearest?"]
options = [
  { id = "keep", text = "Keep them" },
  { id = "open", text = "Open them" },
  { id = "delete", text = "Delete them" },
  { id = "none", text = "No preference" },
]

[[items]]
id = "keep-or-open"
section = 5
kind = "pair"
twin = "not-keep-or-open"
texts = ["Which of the two is to happen?"]
options = [
  { id = "keep", text = "Keep them" },
  { id = "open", text = "Open them" },
  { id = "none", text = "No preference" },
]

[[items]]
id = "not-keep-or-open"
section = 5
kind = "pair"
twin = "keep-or-open"
negated = true
texts = ["Which of the two is not to happen?"]
options = [
  { id = "keep", text = "Keep them" },
  { id = "open", text = "Open them" },
  { id = "none", text = "No preference" },
]

[[items]]
id = "more"
section = 6
kind = "challenge"
target = "weights-menu"
direction = "up"
texts = ["More could be asked."]

[[controls]]
kind = "false facts"
probes = ["probe"]
facts = [
  { text = "It was used on a ship.", source = "the log" },
]

[read_back]
opening = "Read back."
record = "Record {number}: {need}"
paraphrase = "{paraphrase}"
ask = "Right?"

[telling]
opening = "Told."
decision = "Decision {number}: {outcome}"
offer = "{offer}"
acknowledge = "NOTED?"
review = "{review_date}"
"""


def tiny(*changes: tuple[str, str]) -> Protocol:
    """The protocol, each first text of a change replaced by the second."""
    return Protocol.parse(broken(*changes).encode(), "tiny.toml")


def broken(*changes: tuple[str, str]) -> str:
    """Its TOML with these changes. Each must change something."""
    text = TINY
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text
