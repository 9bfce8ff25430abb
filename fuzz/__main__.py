"""`python -m fuzz TARGET --seconds N`: one target, by the best engine there is. README.md says what each needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fuzz import codec_targets, corpus, engines, kernel_engine
from fuzz.targets import TARGETS


def main() -> int:
    """The command; 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Run one target, or list them.")
    parser.add_argument("target", nargs="?", help="one of the targets, or kernel-NAME")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--engine", choices=["auto", "mutate", "atheris"], default="auto", help="of Python's targets")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what reached new code, and minimise it")
    parser.add_argument("--seeds", action="store_true", help="write the targets' own inputs to the corpus, and end")
    given = parser.parse_args()
    if given.seeds:
        for name, target in TARGETS.items():
            corpus.write(name, target.seeds())
        for name, inputs in codec_targets.kernel_seeds().items():
            corpus.write(name, inputs)
        return 0
    if given.target is None:
        print("\n".join([*TARGETS, *kernel_engine.PARTS]))
        return 0
    if given.target in kernel_engine.PARTS:
        return kernel_engine.fuzz(given.target, given.seconds, given.keep)
    if given.target not in TARGETS:
        parser.error(f"no target is named {given.target!r}")
    if given.engine == "atheris" or (given.engine == "auto" and engines.has_atheris()):
        return engines.atheris_run(given.target, given.seconds, given.keep)
    done = engines.mutations(given.target, given.seconds, given.seed)
    print(f"{given.target}: {done.executions} executions in {done.seconds:.1f} s, {len(done.faults)} faults")
    for data, error in done.faults:
        path = Path(f"crash-{given.target}-{corpus.name_of(data)}")
        path.write_bytes(data)
        print(f"{path}: {error!r}", file=sys.stderr)
    return 1 if done.faults else 0


if __name__ == "__main__":
    sys.exit(main())
