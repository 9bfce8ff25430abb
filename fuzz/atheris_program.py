"""The process that atheris runs in: `python -m fuzz.atheris_program SCRIPT TARGET [libFuzzer's options]`."""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Instrument our own modules while they are imported, then fuzz; does not return."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["emeritus", "tomllib", "json"]):
        targets = importlib.import_module("fuzz.targets").TARGETS
    sys.argv[0] = sys.argv.pop(1)  # libFuzzer starts this anew to merge
    target = targets[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
