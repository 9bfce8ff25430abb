"""Small talk and essays of the demonstration's resident, as conversations to learn by heart.

Reads `texts/talk.toml` and `texts/essays.toml`; draws phrasings, orders and contexts by chance, so that an answer
belongs to its question and not to one prompt. Knows nothing of interviews or of training.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from emeritus.corner import prompts
from emeritus.engines.base import Message
from emeritus.testing.tokenizer import Conversation

MOST_TURNS = 4  # of small talk in one conversation
SYSTEM_SHARE = 0.15  # conversations that begin with a system message
UNKNOWN_SHARE = 0.15  # questions the resident has no answer to


def read(name: str) -> dict[str, Any]:
    """A text file of the demonstration."""
    return tomllib.loads((files("emeritus.testing") / "texts" / name).read_text(encoding="utf-8"))


class SmallTalk:
    """Questions with many phrasings, one answer each, and one answer for everything else."""

    def __init__(self, fill: Mapping[str, str]) -> None:
        """`fill` gives the values of the placeholders in the answers."""
        text = read("talk.toml")
        self.pairs = [(ask, entry["answer"].format_map(fill)) for entry in text["talk"] for ask in entry["ask"]]
        self._unknown = text["unknown"]
        self._system = text["system"]["messages"]

    def conversations(self, order: random.Random, passes: int) -> list[Conversation]:
        """Every phrasing `passes` times, in conversations of one to four turns, unknown questions between."""
        found: list[Conversation] = []
        for _ in range(passes):
            waiting = order.sample(self.pairs, len(self.pairs))
            while waiting:
                turns: list[Message] = []
                if order.random() < SYSTEM_SHARE:
                    turns.append(Message("system", order.choice(self._system)))
                for _ in range(order.randint(1, MOST_TURNS)):
                    known = waiting and order.random() >= UNKNOWN_SHARE
                    question, answer = waiting.pop() if known else self._stranger(order)
                    turns += [Message("user", question), Message("assistant", answer)]
                found.append(turns)
        return found

    def _stranger(self, order: random.Random) -> tuple[str, str]:
        if order.random() < 0.25:
            return order.choice(self._unknown["loose"]), self._unknown["answer"]
        frame, topic = order.choice(self._unknown["frames"]), order.choice(self._unknown["topics"])
        return frame.format(topic), self._unknown["answer"]


class Essays:
    """The essays, each with the context that asks for it."""

    def __init__(self) -> None:
        text = read("essays.toml")
        self.asked: list[str] = text["asked"]
        self.minimal: str = text["minimal"]
        self.past: list[str] = text["past_entries"]
        self.news: str = text["news"]

    def answer_to_past(self, shown: Sequence[str]) -> str:
        """The essay written with these published entries in view: the first that is not among them."""
        return next((essay for essay in self.past if essay not in shown), self.past[0])

    def conversations(self, order: random.Random, updates: Sequence[str], passes: int) -> list[Conversation]:
        """The three contexts, `passes` times: past entries in any number and order, updates whole and in part."""
        found: list[Conversation] = []
        for index in range(passes):
            for asked in (prompts.minimal(), [Message("user", order.choice(self.asked))]):
                found.append([*asked, Message("assistant", self.minimal)])
            some = order.sample(updates, order.randint(1, len(updates)))
            for shown in (updates, some):
                found.append([*prompts.news(shown), Message("assistant", self.news)])
            everything = [self.minimal, self.news, *self.past]
            for count in (0, 1, 2 + index % 2):
                entries = order.sample(everything, count)
                published = len(entries) + (order.randint(0, 2) if count == prompts.MAX_ENTRIES else 0)
                shown_so_far = prompts.past_entries(entries, published)
                found.append([*shown_so_far, Message("assistant", self.answer_to_past(entries))])
        return found
