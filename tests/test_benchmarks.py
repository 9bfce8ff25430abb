"""The runner of the benchmarks, at a size that takes seconds: a figure, its bound, whether it is met."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks` from the repository's root."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_metrics_are_measured_against_their_bounds_and_written(tmp_path: Path) -> None:
    """At a hundredth of the size the analysis is quick enough; figures are flat, details say how large it was."""
    file, details = tmp_path / "figures.json", tmp_path / "details.json"
    given = ("--json", str(file), "--details", str(details))
    done = bench("interview", "--only", "analysis_s_10k", "--scale", "0.01", *given)
    assert done.returncode == 0, done.stderr
    written = json.loads(details.read_text())
    (metric,) = written["metrics"]
    assert json.loads(file.read_text()) == {"analysis_s_10k": metric["value"]}
    picture = ElementTree.fromstring((tmp_path / "figures.svg").read_text())
    assert any("analysis_s_10k" in (each.text or "") for each in picture.iter())
    assert metric["name"] == "analysis_s_10k"
    assert 0 < metric["value"] <= metric["high"] == 30
    assert metric["met"] is written["met"] is True
    assert written["scale"] == 0.01
    assert metric["beside"]["turns"] == 40
    assert "analysis_s_10k" in done.stdout
    assert "yes" in done.stdout


def test_a_metric_that_is_not_met_or_not_known_is_no_success() -> None:
    """A bound missed is said and ends with 1; an unknown name is refused with those there are."""
    from benchmarks.metric import Metric, table

    missed = Metric("x", 0.2, high=0.1)
    assert not missed.met
    assert "NO" in table([missed])
    assert not Metric.missing("y", "it is not there").met
    unknown = bench("interview", "--only", "nothing")
    assert unknown.returncode == 2
    assert "flag_power" in unknown.stderr


def test_gigabytes_do_not_stay_where_a_benchmark_is_ended(tmp_path: Path) -> None:
    """Asked to end, it removes the folder it measures in."""
    code = (
        "import time; from benchmarks.vault_pipeline import folder_on\n"
        "with folder_on(None, 1) as folder: (folder / 'x').touch(); print(flush=True); time.sleep(60)"
    )
    place = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", code], env=place, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [each.name for folder in tmp_path.iterdir() for each in folder.iterdir()] == ["x"]
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
