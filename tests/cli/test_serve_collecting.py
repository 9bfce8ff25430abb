"""The garbage collector of a running server looks seldom, and yet what calls leave in cycles does not gather."""

from __future__ import annotations

import subprocess
import sys

# Calls some of which outlast a collection and that leave a cycle, as those do whose caller left while a resident woke.
CALLS = """
import gc
from collections import deque

import emeritus.gateway.app
from emeritus.cli.serve import collect_seldom

class Left:
    alive = 0
    def __init__(self):
        Left.alive += 1
        self.parts = [[self] for _ in range(30)]
    def __del__(self):
        Left.alive -= 1

def looks():
    return sum(each["collections"] for each in gc.get_stats())

collect_seldom()
running, most, before = deque(), 0, looks()
for _ in range(30_000):
    running.append(Left())
    if len(running) > 150:
        running.popleft()
    most = max(most, Left.alive - len(running))
print(most, gc.get_freeze_count(), looks() - before)
"""


def test_what_calls_leave_in_cycles_does_not_gather() -> None:
    """Of thirty thousand, 1,800 at most wait to be collected; and it is looked some dozen times, not thousands."""
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True, timeout=60)
    most, frozen, looks = (int(each) for each in done.stdout.split())
    assert most < 1_800
    assert frozen > 50_000
    assert looks < 100
