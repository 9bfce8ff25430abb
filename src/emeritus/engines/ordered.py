"""An engine that is asked by orders, each answered in lines: what is alike for a forked worker and for a replica afar.

Knows no transport: whoever derives from it sends an order and gives what comes back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from emeritus.engines.base import (
    Answer,
    Capabilities,
    Message,
    Perturbation,
    Piece,
    Sampling,
    Scored,
    Tool,
    check_messages,
    check_request,
    check_sampling,
    collect,
    need,
)
from emeritus.engines.lines import read_piece, read_scored
from emeritus.errors import EngineDied

Json = dict[str, Any]


class Ordered(ABC):
    """The askable half of `Awake` and `Perturbable`, over orders and lines."""

    @property
    @abstractmethod
    def can(self) -> Capabilities:
        """What whoever answers can do."""

    @abstractmethod
    def _call(self, order: Json) -> AsyncGenerator[Json, None]:
        """Send the order; every line of its answer but the last. Raises what the other side raised, and EngineDied."""

    async def stream(
        self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()
    ) -> AsyncGenerator[Piece, None]:
        """An answer, piece by piece; see `Awake`."""
        check_request(messages, sampling, tools)
        order = {"do": "stream", "sampling": sampling.as_dict(), **self._asked(messages, tools)}
        async with aclosing(self._told(order, "piece")) as pieces:
            async for piece in pieces:
                yield read_piece(piece)

    async def answer(self, messages: Sequence[Message], sampling: Sampling, tools: Sequence[Tool] = ()) -> Answer:
        """The whole answer; see `Awake`."""
        return await collect(self.stream(messages, sampling, tools))

    async def complete(self, text: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """What follows a raw text; see `Awake`."""
        check_sampling(sampling)
        order = {"do": "complete", "text": text, "sampling": sampling.as_dict()}
        async with aclosing(self._told(order, "piece")) as pieces:
            async for piece in pieces:
                yield read_piece(piece)

    async def count(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Tokens of the prompt; see `Awake`. Waits for no answer that is under way."""
        check_messages(messages, tools)
        async with aclosing(self._told({"do": "count", **self._asked(messages, tools)}, "counted")) as counts:
            found = [int(count) async for count in counts]
        if not found:
            raise EngineDied("a prompt was not counted")
        return found[0]

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """Score raw texts in fp32, one pass each; see `Awake`. Holds four bytes per parameter more while it runs."""
        async with aclosing(self._told({"do": "score", "texts": list(texts)}, "scored")) as scores:
            return [read_scored(score) async for score in scores]

    async def perturbed(
        self, texts: Sequence[str], perturbations: Sequence[Perturbation]
    ) -> AsyncGenerator[list[Scored], None]:
        """Scores under each perturbation; see `Perturbable`. Holds four bytes per parameter more while it runs."""
        order = {"do": "perturbed", "texts": list(texts), "perturbations": [asdict(each) for each in perturbations]}
        async with aclosing(self._told(order, "perturbed")) as scores:
            async for found in scores:
                yield [read_scored(each) for each in found]

    async def _told(self, order: Json, what: str) -> AsyncGenerator[Any, None]:
        """What each line of an answer says of `what`. Raises EngineDied where one says something else."""
        async with aclosing(self._call(order)) as lines:
            async for line in lines:
                if what not in line:
                    raise EngineDied(f"asked to {order['do']}, the engine said no {what!r} but {sorted(line)}")
                yield line[what]

    def _asked(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Json:
        """The part of an order about what is asked."""
        if tools:
            need(self.can, "tools")
        return {"messages": [each.as_dict() for each in messages], "tools": [dict(each) for each in tools]}
