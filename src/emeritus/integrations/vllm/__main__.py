"""Prepare a folder for vLLM and print the command that serves it."""

from __future__ import annotations

import sys

from emeritus.errors import EmeritusError
from emeritus.integrations.vllm import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EmeritusError as error:
        sys.exit(f"{error.code} {error.message}\n{error.remedy}")
