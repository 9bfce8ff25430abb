"""llama.cpp's own HTTP server, as the package xllamacpp brings it compiled: one model, one port.

`python llama_cpp_server.py FILE.gguf PORT NAME`. On SIGTERM it ends at once, whatever is being answered.
"""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main(file: str, port: str, name: str) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given = xllamacpp.CommonParams()
    given.model.path = file
    given.model_alias = [name]
    given.hostnames = ["127.0.0.1"]
    given.port = int(port)
    given.n_ctx = 16384  # among four
    given.n_parallel = 4
    given.cpuparams.n_threads = 1
    given.cpuparams_batch.n_threads = 1
    given.ui = False
    # Its own defaults narrow what may be drawn, before the temperature has its say.
    given.sampling.top_k, given.sampling.top_p, given.sampling.min_p = 0, 1.0, 0.0
    server = xllamacpp.Server(given)
    print(f"llama.cpp {xllamacpp.__version__} on {server.listening_address}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
