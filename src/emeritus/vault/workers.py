"""How many threads encode, decode and hash at once: hashing and zlib release the interpreter's lock."""

from __future__ import annotations

import os

THREADS = min(8, os.cpu_count() or 1)  # capped, because memory grows with it: some 32 MiB each, 64 MiB in a deep scrub
