"""A process that takes a resident's turn: started by tests, one of which kills it. Arguments: home, seconds a answer.

Its resident answers with the process's id and the number of the question in it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from emeritus.correspondence.service import Correspondence
from emeritus.correspondence.turns import Turns
from emeritus.correspondence.views import Sender
from emeritus.engines.base import Build, Capabilities, Message, Piece, Sampling
from emeritus.records.database import Database
from emeritus.settings import load


class Slow:
    """Answers after a while."""

    can = Capabilities()
    build = Build("slow")

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    async def stream(self, messages: list[Message], sampling: Sampling, tools: Any = ()) -> AsyncIterator[Piece]:
        """One piece, and the end."""
        await asyncio.sleep(self._pause_s)
        yield Piece(f"{os.getpid()}:{messages[0].content}", finish_reason="stop", prompt_tokens=2, completion_tokens=3)


class Anybody:
    """Means that admit everybody and count."""

    def __init__(self, awake: Any) -> None:
        self._awake = awake
        self.metered: list[Any] = []
        self.wakes = 0

    @asynccontextmanager
    async def awake(self, resident: str) -> AsyncIterator[Any]:
        """The one engine."""
        self.wakes += 1
        yield self._awake

    def may_go_on(self, resident: str) -> bool:
        """Always."""
        return True

    def admit(self, sender: Sender, resident: str) -> str:
        """Anybody."""
        return sender.name

    def meter(self, admission: Any, tokens: Any) -> None:
        """Keep it."""
        self.metered.append(tokens)


def main() -> None:
    """Take one turn of `ibis`."""
    home, address, pause_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    database = Database.open(address)
    kept = Correspondence(database, load(home=home))
    ended = asyncio.run(Turns(kept, 1).take("ibis", Anybody(Slow(pause_s))))
    print(ended, flush=True)
    database.dispose()


if __name__ == "__main__":
    main()
