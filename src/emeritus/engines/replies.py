"""What one call has been told and has not read yet. Bounded: a reader that is slow holds up nobody and costs little.

The worker is never slowed down, because an answer that is done takes no memory there; pieces that nobody has read yet
are joined here, so what is held is the answer's text once. Knows no socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from emeritus.errors import EmeritusError

Json = dict[str, Any]
MOST = 64  # pieces kept apart; more than that are joined to the last one


class Replies:
    """A queue of one call's replies, for one reader."""

    def __init__(self) -> None:
        self._held: deque[Json | EmeritusError] = deque()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, reply: Json | EmeritusError) -> None:
        """Take a reply in, at once."""
        last, more = (_text(self._held[-1]), _text(reply)) if len(self._held) >= MOST else (None, None)
        if last is None or more is None:
            self._held.append(reply)
        else:
            last["text"] += more["text"]
            last["logprobs"] += more["logprobs"]
        self._news.set()

    async def get(self) -> Json | EmeritusError:
        """The next one, once there is one."""
        while not self._held:
            self._news.clear()
            await self._news.wait()
        return self._held.popleft()


def _text(reply: Json | EmeritusError) -> Json | None:
    """The piece, if it is one in the middle of an answer."""
    if isinstance(reply, EmeritusError) or "piece" not in reply or reply["piece"]["finish_reason"] is not None:
        return None
    piece: Json = reply["piece"]
    return piece
