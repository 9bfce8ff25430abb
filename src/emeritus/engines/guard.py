"""Runs one command in a process group of its own, and ends that group when asked or when the asker is gone.

`python -m emeritus.engines.guard COMMAND...`: the command runs until it ends (its status is passed on) or until this
program's standard input ends, which also happens when the parent is killed. Then the whole group gets SIGTERM, and
SIGKILL after GRACE_S. So no server outlives the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 5.0


def main(command: list[str]) -> int:
    """Run the command; its exit status, 128 + signal when a signal ended it, 127 when it cannot be started."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    ended_read, ended_write = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(ended_write)

    threading.Thread(target=wait, daemon=True).start()
    select.select([0, ended_read], [], [])
    end_group(child.pid)
    status = child.wait()
    return status if status >= 0 else 128 - status


def end_group(group: int) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after the grace; helpers of a dead server too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            os.killpg(group, 0)  # raises once the group is empty
            time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
