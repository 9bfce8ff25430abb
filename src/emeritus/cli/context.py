"""What every command shares: the flags given before it, the opened app, how results and progress are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.settings import Settings

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="PERSON", help="Who acts; recorded in the ledger. Default: your login name."),
]

Progress = Callable[[str, int, int], None]


@dataclass
class Flags:
    """Settings given as flags before the command, by setting name."""

    values: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        """The settings in force."""
        from emeritus.settings import load

        return load(**self.values)

    @contextmanager
    def app(self, *, catch_up: bool = True) -> Iterator[App]:
        """The opened home; closed at the end."""
        from emeritus.app import App

        app = App.open(self.settings(), catch_up=catch_up)
        try:
            yield app
        finally:
            app.close()


def flags_of(ctx: typer.Context) -> Flags:
    """The flags the root command put aside."""
    found = ctx.find_object(Flags)
    return found if found is not None else Flags()


def actor_from(person: str | None, role: str = "steward") -> Actor:
    """The person who acts: `--as`, else the login name. Raises PersonNeeded when there is neither."""
    import getpass

    from emeritus.acts import Actor
    from emeritus.errors import PersonNeeded

    try:
        name = (getpass.getuser() if person is None else person).strip()
    except (KeyError, OSError) as error:  # no login name in some containers
        raise PersonNeeded("nobody is named as the one who acts") from error
    if not name:
        raise PersonNeeded("nobody is named as the one who acts")
    return Actor(name=name, role=role)


def show(text: str = "") -> None:
    """A line for people, on standard output."""
    typer.echo(text)


def emit(value: object) -> None:
    """A JSON document for programs, on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Progress]:
    """A callback (what, done, total) that draws a bar for each `what`; silent where standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=max(total, 1))
            bars.update(tasks[what], completed=done, total=max(total, 1))

        yield update
