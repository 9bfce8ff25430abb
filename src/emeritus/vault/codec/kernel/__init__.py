"""The compiled kernel, or None where it was not built: every function of it has a NumPy twin that gives the same bytes.

Only the codec's modules import this; each says in one place which of the two it calls. EMERITUS_NO_KERNEL=1 leaves it
out, to try the twins or to work around a wrong build.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import Any

kernel: Any = None
if not os.environ.get("EMERITUS_NO_KERNEL"):
    with contextlib.suppress(ImportError):
        kernel = importlib.import_module("emeritus.vault.codec._kernel")


def level() -> str:
    """The instruction set in use: avx512, avx2, neon, scalar; or numpy, where the kernel was not built."""
    return str(kernel.level()) if kernel is not None else "numpy"
