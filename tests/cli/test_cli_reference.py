"""The generated documents, the tables of codes, and the help every command gives."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from emeritus import errors
from emeritus.cli.exits import EXIT_CODES, exit_code
from emeritus.cli.main import COMMANDS, app, split_settings
from emeritus.cli.reference import PAGES
from emeritus.settings import Settings
from emeritus.statuses import HTTP_STATUS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_current(name: str) -> None:
    """The generated pages say what the code says; `python -m emeritus.cli.reference` rewrites them."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_error_has_a_code_of_its_own_a_remedy_an_exit_code_and_a_status() -> None:
    """No class of errors.py is missing from a table, and no code is used twice."""
    classes = errors.walk()
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    for cls in classes:
        assert cls.title
        assert cls.default_remedy
        assert exit_code(cls("x")) in EXIT_CODES.values()
        assert any(base in HTTP_STATUS for base in cls.__mro__)


def commands() -> list[list[str]]:
    """Every command's path."""
    groups = {str(group.name): group.typer_instance for group in app.registered_groups}
    found = []
    for name, _, _ in COMMANDS:
        group = groups.get(name)
        found += [[name]] if group is None else [[name, str(each.name)] for each in group.registered_commands]
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(path: list[str]) -> None:
    """Help says what the command does and shows a call of it."""
    from typer.testing import CliRunner

    said = CliRunner().invoke(app, [*path, "--help"], prog_name="emeritus")
    assert said.exit_code == 0
    assert "Example:  emeritus " in said.output


def test_help_answers_in_under_300_ms() -> None:
    """Processor time of a start: other programs on the machine do not count, and nothing in a start waits."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "emeritus.cli.main", "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3


def test_every_setting_is_a_flag_before_the_command() -> None:
    """Flags are generated from the settings; the root's own and unknown ones are left to typer."""
    for name in Settings.model_fields:
        if name == "home":
            continue
        flag = f"--{name.replace('_', '-')}"
        assert split_settings([flag, "x", "serve"]) == ({name: "x"}, ["serve"])
        assert split_settings([f"{flag}=x", "serve", flag, "y"]) == ({name: "x"}, ["serve", flag, "y"])
    assert split_settings(["--home", "h", "--port", "1", "status"]) == ({"port": "1"}, ["--home", "h", "status"])
    assert split_settings(["--nonsense", "1"]) == ({}, ["--nonsense", "1"])
