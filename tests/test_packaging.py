"""What installing the package brings, and what travels in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_core_brings_neither_torch_nor_ray() -> None:
    """`pip install .` stays small: model runtimes come with extras alone."""
    core = {re.split(r"[<>=!~;\[ ]", each)[0] for each in requires("emeritus") or [] if "extra ==" not in each}
    assert {"typer", "sqlalchemy", "dbos"} <= core
    assert not core & {"torch", "transformers", "ray", "inspect-ai", "vllm", "obstore", "psycopg"}


def test_every_extra_exists() -> None:
    """The extras the README names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) == {"local", "s3", "postgres", "ray", "inspect", "vllm", "dev"}


def test_every_pinned_name_is_pinned_once_and_needs_no_other_index() -> None:
    """constraints.txt pins by version alone: no addresses, no paths, no doubles."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ ]+( ; .+)?", line) for line in lines)
    bare = [line.split("==")[0] for line in lines if ";" not in line]
    assert len(bare) == len(set(bare))


@pytest.mark.slow
def test_a_wheel_carries_pages_protocols_migrations_and_the_standalone_decoder(tmp_path: Path) -> None:
    """Whatever is read at run time beside the code is in the wheel."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), "."]
    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)  # builds leave files behind
    subprocess.run(build, cwd=copy, check=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("emeritus-*.whl"))).namelist())
    kept = {".html", ".css", ".toml", ".txt", ".mako", ".svg", ".csv"}
    wanted = {
        path.relative_to(copy / "src").as_posix()
        for path in (copy / "src" / "emeritus").rglob("*")
        if path.is_file() and (path.suffix in kept or path.name == "py.typed" or path.suffix == ".py")
    }
    assert wanted
    assert wanted - names == set()
