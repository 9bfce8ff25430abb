"""`python -m benchmarks SUITE [--json FILE] [--only METRIC] [--scale X]`: run the metrics, print a table.

SUITE is `access`, `interview` or `vault`. FILE gets a flat object, metric to figure (null: not measured); `--details`
all that was reported beside; `--plot` a picture of each figure against its bound.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.metric import Metric, Options, table
from benchmarks.plot import draw

SUITES = {
    "access": (
        ("access_models", ("models_list_ms",)),
        ("access_gateway", ("overhead_p50_vs_litellm", "rps_vs_litellm_c32", "sse_events_vs_litellm")),
        ("access_loads", ("loads_vs_lru_s10", "loads_vs_lru_s15")),
        ("access_tail", ("tail_cost_ratio", "head_p50_ratio", "head_p99_ratio")),
        (
            "access_soak",
            (
                "requests_lost",
                "wrong_model_answers",
                "aging_bound_violations",
                "soak_memory_growth",
                "soak_descriptor_growth",
            ),
        ),
        (
            "access_wake",
            (
                "wake_cached_vs_warm_load",
                "wake_vault_vs_warm_load",
                "wake_cached_vs_new_process",
                "wake_vault_vs_new_process",
            ),
        ),
    ),
    "interview": (  # module, the metrics it measures; a module that is not there is said to be missing
        ("interview_statistics", ("flag_false_alarm", "flag_power", "coverage_95")),
        ("interview_analysis", ("analysis_s_10k", "analysis_peak_mb")),
        ("interview_journal", ("journal_turns_per_s", "resume_lost_turns", "resume_repeated_unrecorded")),
        ("interview_pages", ("transcript_page_ms_p95",)),
        ("interview_residents", ("residents_right",)),
    ),
    "vault": (
        ("vault_codec", ("bf16_size_over_entropy", "bf16_decode_vs_zipnn", "bf16_encode_vs_zipnn")),
        ("vault_difference", ("delta_size_vs_xor_zstd",)),
        (
            "vault_pipeline",
            (
                "preserve_vs_sha256",
                "restore_vs_zipnn",
                "restore_vs_raw_cold",
                "preserve_peak_mb",
            ),
        ),
        ("vault_many", ("open_ms_10k_residents",)),
        ("vault_parity", ("parity_vs_sha256",)),
        ("vault_faults", ("faults_injected", "faults_wrong_bytes")),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run a suite; 0 where every metric was measured and met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as one flat JSON object")
    parser.add_argument("--details", type=Path, metavar="FILE", help="write all that was measured beside them, as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures against their bounds, as SVG")
    parser.add_argument("--only", action="append", metavar="METRIC", help="measure only these; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="size of what is simulated; 1 is the stated size")
    parser.add_argument("--workers", type=int, default=2, help="processes for what can be divided")
    given = parser.parse_args(argv)
    known = {name for _, names in SUITES[given.suite] for name in names}
    if given.only and not set(given.only) <= known:
        parser.error(f"unknown metric; there are {', '.join(sorted(known))}")
    if not 0 < given.scale <= 1:
        parser.error("--scale lies above 0 and at most at 1")
    found = list(_measure(given.suite, Options(given.scale, given.workers), set(given.only or known)))
    print(table(found))
    if given.json is not None:
        given.json.write_text(json.dumps({each.name: each.value for each in found}, indent=2) + "\n")
    if given.details is not None:
        given.details.write_text(json.dumps(_document(given.suite, given.scale, found), indent=2) + "\n")
    plot = given.plot or (given.json.with_suffix(".svg") if given.json is not None else None)
    if plot is not None:
        plot.write_text(draw(f"python -m benchmarks {given.suite}", found), encoding="utf-8")
    return 0 if all(each.met for each in found) else 1


def _measure(suite: str, options: Options, wanted: set[str]) -> Iterable[Metric]:
    for module, names in SUITES[suite]:
        if not wanted & set(names):
            continue
        print(f"{', '.join(names)} ...", file=sys.stderr, flush=True)
        try:
            found = importlib.import_module(f"benchmarks.{module}")
        except ModuleNotFoundError as error:
            if error.name != f"benchmarks.{module}":
                raise
            yield from (Metric.missing(name, f"benchmarks/{module}.py is not there") for name in names)
            continue
        alone: dict[str, Callable[[Options], Metric]] = getattr(found, "METRICS", {})  # where each can be had alone
        if alone:
            yield from (alone[name](options) for name in names if name in wanted)
        else:
            yield from (each for each in found.measure(options) if each.name in wanted)


def _document(suite: str, scale: float, found: list[Metric]) -> dict[str, object]:
    return {
        "suite": suite,
        "scale": scale,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "metrics": [each.as_dict() for each in found],
        "met": all(each.met for each in found),
    }


if __name__ == "__main__":
    sys.exit(main())
