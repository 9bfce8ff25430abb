"""A port for a server that is about to be started, which nobody else will be given meanwhile. Knows no server.

Asking the system for any free port and letting go of it again is a race: it may hand the same one out at once, to
whatever connects somewhere. So a port is chosen below those that the system hands out, tried, and held by a name that
only one process can have: a Unix socket without a file, which is gone when its holder is. Where there are no such
sockets (macOS), only this process's own ports are kept apart.
"""

from __future__ import annotations

import random
import socket
import sys
from contextlib import closing
from pathlib import Path

from emeritus.errors import EngineFailed

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 18000
TRIES = 500
_ours: set[int] = set()


class Port:
    """A port of this machine, ours until it is closed."""

    def __init__(self) -> None:
        """Raises EngineFailed when none is to be had."""
        first = _first_ephemeral()
        for _ in range(TRIES):
            number = random.randrange(LOWEST, first)
            if number not in _ours and self._take(number):
                return
        raise EngineFailed(f"no free port was found between {LOWEST} and {first}")

    def close(self) -> None:
        """Let others have it. Safe to repeat."""
        _ours.discard(self.number)
        if self._name is not None:
            self._name.close()

    def _take(self, number: int) -> bool:
        name: socket.socket | None = None
        try:
            if sys.platform == "linux":
                name = socket.socket(socket.AF_UNIX)
                name.bind(f"\0emeritus-port-{number}")
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed connections linger
                probe.bind(("127.0.0.1", number))
        except OSError:
            if name is not None:
                name.close()
            return False
        self.number, self._name = number, name
        _ours.add(number)
        return True


def _first_ephemeral() -> int:
    try:
        first = int(RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first = 32768
    return first if first > LOWEST + TRIES else 65536
