"""A process that has imported the model libraries and does nothing but fork workers from that state.

Importing torch and transformers takes seconds; a fork of a process that has done it takes milliseconds. There is one
zygote per parent process, started at the first use and kept for every later model. It runs no torch operation and
starts no thread, so that its forks are sound. It ends when the parent does, because its control socket ends.

`python -m emeritus.engines.zygote FD` is the program; `shared()` is the parent's handle. Control messages are one JSON
object each, and each is answered before the next is sent:
  {"fork": true} with two or three descriptors (the worker's socket, its log, its weights in memory)
                                                                      → {"pid": n} or {"error": text}
  {"end": pid}   kill it if it still runs and reap it                 → {"status": n}, negative for a signal, or null
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, NoReturn

from emeritus.errors import EngineFailed

# What a cold worker would spend its first seconds on.
PRELOAD = (
    "torch",
    "safetensors.torch",
    "tokenizers",
    "jinja2",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",  # brings what every architecture's module brings
    "transformers.generation.utils",
    "emeritus.engines.worker",
    "emeritus.engines.loading",
    "emeritus.engines.decoding",
    "emeritus.engines.batching",
)
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait starve each other on a busy machine
    "GOMP_SPINCOUNT": "20000",  # but some microseconds' spinning spare a sleep at every small product
    "OPENBLAS_NUM_THREADS": "1",  # no thread may exist in the process that forks
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
REAP_S = 5.0  # a killed process that is not gone by then is stuck in the kernel

Json = dict[str, Any]


class Zygote:
    """The parent's handle. Its methods block for milliseconds (the first fork: seconds); any thread may call them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._control, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - its stderr for as long as it lives; closed in `stop`
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "emeritus.engines.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                start_new_session=True,  # Ctrl-C in a terminal is for the parent, which closes its engines in order
            )

    @property
    def usable(self) -> bool:
        """Whether it still runs and belongs to this process (not to one that forked us)."""
        return self._owner == os.getpid() and self._process.poll() is None

    def fork(self, connection: socket.socket, log: int, *weights: int) -> int:
        """A new worker on that socket, its output going to descriptor `log`; its process id. Raises EngineFailed.

        `weights`: the descriptor of memory that it is to map, if there is one.
        """
        reply = self._ask({"fork": True}, [connection.fileno(), log, *weights])
        if "pid" not in reply:
            raise EngineFailed(f"no worker could be started: {reply['error']}")
        return int(reply["pid"])

    def end(self, pid: int) -> int | None:
        """Kill the worker unless it has ended, and reap it. Its exit status, or minus the signal; None when unknown."""
        try:
            status = self._ask({"end": pid}, []).get("status")
        except EngineFailed:
            return None  # the zygote is gone; the worker ends by itself as its socket does
        return None if status is None else int(status)

    def stop(self) -> None:
        """End the zygote and reap it. Safe to repeat."""
        self._control.close()
        if self._owner == os.getpid():
            try:
                self._process.wait(timeout=REAP_S)
            except subprocess.TimeoutExpired:  # still importing
                self._process.kill()
                self._process.wait()
        self._complaints.close()

    def _ask(self, order: Json, descriptors: list[int]) -> Json:
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], descriptors)
                reply = self._control.recv(65536)
            except OSError as error:
                raise EngineFailed(f"the process that starts workers is gone: {error}") from error
            if not reply:
                raise EngineFailed(f"the process that starts workers ended: {self._last_words()}")
        found: Json = json.loads(reply)
        return found

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {self._process.returncode}"


_shared: Zygote | None = None
_shared_lock = threading.Lock()


def shared() -> Zygote:
    """This process's zygote, started if there is none. Returns at once; the zygote imports in the background."""
    global _shared
    with _shared_lock:
        if _shared is None:
            atexit.register(_stop_shared)
        elif not _shared.usable:
            _shared.stop()
            _shared = None
        if _shared is None:
            _shared = Zygote()
        return _shared


def _stop_shared() -> None:
    global _shared
    with _shared_lock:
        if _shared is not None:
            _shared.stop()
            _shared = None


def main(descriptor: int) -> None:
    """The zygote's whole life."""
    import gc
    from importlib import import_module

    control = socket.socket(fileno=descriptor)
    for name in PRELOAD:
        import_module(name)
    gc.collect()
    gc.freeze()  # a worker's first collection then leaves these objects' pages shared
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 65536, 3)
        if not data:
            return
        order = json.loads(data)
        reply = _fork(control, descriptors) if "fork" in order else {"status": _end(order["end"])}
        control.sendall(json.dumps(reply).encode())


def _fork(control: socket.socket, descriptors: list[int]) -> Json:
    connection, log, *weights = descriptors
    try:
        pid = os.fork()
    except OSError as error:  # no memory or no process to be had
        reply: Json = {"error": str(error)}
    else:
        if pid == 0:
            _be_worker(control, connection, log, weights)
        reply = {"pid": pid}
    for descriptor in descriptors:
        os.close(descriptor)
    return reply


def _be_worker(control: socket.socket, connection: int, log: int, weights: list[int]) -> NoReturn:
    """In the fork: become a worker and never return."""
    import faulthandler
    import traceback

    status = 1
    try:
        control.close()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        faulthandler.enable()
        from emeritus.engines.worker import run

        run(socket.socket(fileno=connection), *weights)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # an ended but unreaped process keeps its status
    deadline = time.monotonic() + REAP_S
    while time.monotonic() < deadline:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]))
