"""Memory on machines that lend it: fresh memory that is really there, and how much a process held at most."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def have_memory(size: int) -> None:
    """Touch so many bytes of fresh memory, in large pages, and give them back: a host that lent them out returns them.

    Large free pages are what a host takes back, within seconds of their being free; without this whoever comes next
    waits for it, and what is measured is by whose turn that fell on.
    """
    import numpy as np

    from emeritus.vault.pages import pages

    np.frombuffer(pages(size), np.uint8)[::4096] = 1


def peak_mb() -> float:
    """The most memory this process has held since its program began, in MB (10^6 bytes).

    Of Linux's own book where there is one: `ru_maxrss` begins with what the parent held when it started the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6
