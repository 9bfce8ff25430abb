"""Runs one command in a process group of its own, and ends that group when asked or when the asker is gone.

`python -m emeritus.engines.guard [--grace S] [--log FILE] -- COMMAND...`: the command runs until it ends (its status is
passed on) or until this program's standard input ends, which also happens when the parent is killed. Then the whole
group gets SIGTERM, and SIGKILL after the grace. So no server outlives the process that started it. Its output goes to
the log, which is kept from growing without end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from emeritus.engines.log_file import keep_log

GRACE_S = 5.0
FLUSH_S = 2.0  # after the command's end: how long its last words may take to reach the log


def main(arguments: list[str]) -> int:
    """Run the command; its exit status, 128 + signal when a signal ended it, 127 when it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m emeritus.engines.guard")
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--log", type=Path, help="the file that output is appended to")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    keeping = None
    output: int | None = None
    if chosen.log is not None:
        source, output = os.pipe()
        keeping = threading.Thread(target=keep_log, args=(source, chosen.log), daemon=True)
        keeping.start()
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    if output is not None:
        os.close(output)
    ended_read, ended_write = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(ended_write)

    threading.Thread(target=wait, daemon=True).start()
    select.select([0, ended_read], [], [])
    end_group(child.pid, chosen.grace)
    status = child.wait()
    if keeping is not None:
        keeping.join(FLUSH_S)
    return status if status >= 0 else 128 - status


def end_group(group: int, grace_s: float = GRACE_S) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after the grace; helpers of a dead server too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            os.killpg(group, 0)  # raises once the group is empty
            time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
