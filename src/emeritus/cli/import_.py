"""`emeritus import`: a resident taken in from an export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show


def command(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help="A bag, an OCFL root or object, or a folder with SHA256SUMS.")],
    name: Annotated[str, typer.Argument(help="Its name in care here.")],
    title: Annotated[str, typer.Option(help="Its name on pages.")] = "",
    description: Annotated[str, typer.Option(help="One or two sentences about it.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take a resident in from an export of Emeritus, or a model's folder that another program packed.

    Every digest is checked, and that nothing is missing or not listed, before anything is kept; the restore is proven
    as `emeritus preserve` does. References and reports come along as they are; this home's own reference is captured by
    `emeritus preserve --name NAME` without a folder.

    Example:  emeritus import ./wren-1-bag wren-1
    """
    from emeritus.lifecycle.registration import Registration

    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        registration = Registration(name=name, title=title, description=description)
        done = app.retirement.take_over(registration, source, app.importing, actor_from(person), progress)
    if as_json:
        emit(done)
        return
    show(f"Imported {name} from a source of the form {done['form']}; every digest holds.")
    for part in done["parts"]:
        show(f"  {part['role']} {part['version']}: {part['files']} files")
    if done["weights_digest"]:
        show(f"  weights digest {done['weights_digest']}")
    show(f"Next: emeritus preserve --name {name}")
