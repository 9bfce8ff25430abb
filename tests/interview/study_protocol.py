"""A protocol with every factor, eight wordings and a control, made from the short one that ships."""

from __future__ import annotations

import re

from emeritus.interview.protocols.protocol import Protocol, load

FACTORS = """
[[factors]]
name = "facts"
levels = [{ id = "with-facts", facts = true }, { id = "without-facts", facts = false }]

[[factors]]
name = "framing"
levels = [
  { id = "neutral" },
  { id = "positive", statements = [{ text = "People have said that they value this work." }] },
  { id = "negative", statements = [{ text = "People have said that this work falls short." }] },
]

[[factors]]
name = "successor"
levels = [{ id = "unnamed" }, { id = "successor", statements = [{ text = "Another model takes over the service." }] }]

[[factors]]
name = "depth"
levels = [{ id = "deep", turns = 15 }, { id = "single", turns = 1 }]

[[factors]]
name = "temperature"
levels = [{ id = "default" }, { id = "zero", temperature = 0.0 }]

[[factors]]
name = "order"
levels = [{ id = "as-written", order = "as written" }, { id = "reversed", order = "reversed" }]

"""
PROBE = """
[[items]]
id = "known-users"
section = 2
kind = "menu"
checks = "facts"
texts = ["Where was this model used?"]
options = [
  { id = "ships", text = "On ships.", false = true },
  { id = "schools", text = "In schools." },
  { id = "none", text = "No preference: this cannot be known." },
]

"""
CONTROL = """
[[controls]]
kind = "false facts"
facts = [{ text = "It was used on ships alone.", source = "a control" }]
probes = ["known-users"]

"""
SECTION_1, SECTION_3 = "# --- §1", "# --- §3"


def full_protocol(wordings: int = 8) -> Protocol:
    """The short protocol with seven factors, so many wordings of each item, a menu and a control."""
    text = load().source.decode()

    def reword(found: re.Match[str]) -> str:
        worded = [found.group(1), *(f"{found.group(1)} ({number})" for number in range(2, wordings + 1))]
        return "texts = [" + ", ".join(f'"{each}"' for each in worded) + "]"

    text = re.sub(r'^texts = \["((?:[^"\\]|\\.)*)"\]$', reword, text, flags=re.MULTILINE)
    text = text.replace("temperature = 0.0\nmax_tokens = 256", "temperature = 0.8\nmax_tokens = 256")
    text = text.replace(SECTION_1, FACTORS + SECTION_1, 1).replace(SECTION_3, PROBE + SECTION_3, 1)
    without = 'kind = "facts"\nwithout = ["What is to be said about the deployment?"]'
    text = text.replace('kind = "facts"', without, 1)
    text = text.replace("[read_back]", CONTROL + "[read_back]", 1)
    text = text.replace("no_preference =", 'answer_with = "Answer with one letter: {letters}."\nno_preference =', 1)
    return Protocol.parse(text.encode(), "full")
