"""`emeritus report`: write the post-deployment report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Also write report.html, .md and .json there.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the post-deployment report from the records, and keep it in the vault beside the weights.

    Example:  emeritus report my-model --to ./report
    """
    with flags_of(ctx).app() as app:
        result = app.retirement.report(name, actor_from(person))
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            for file, digest in result["files"].items():
                (to / file).write_bytes(app.acts.payload(digest))
    if as_json:
        emit(result)
        return
    show(f"Report {result['version']} on {name}: {', '.join(sorted(result['files']))}; kept in the vault")
    show(f"Next: emeritus retire {name} --check")
