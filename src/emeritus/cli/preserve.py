"""`emeritus preserve`: take a model into care."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show


def command(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(help="The model's folder. Left out for a model held elsewhere.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Its name in care: lowercase letters, digits, '.', '_', '-'.")
    ] = "",
    title: Annotated[str, typer.Option(help="Its name on pages.")] = "",
    description: Annotated[str, typer.Option(help="One or two sentences about it.")] = "",
    reference: Annotated[
        bool, typer.Option(help="Also revive it from the vault and capture its reference behaviour.")
    ] = True,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Preserve a model: archive every file, prove the restore, revive it from the vault, capture its behaviour.

    Interrupted at any point, the same command goes on. For a model behind an API (`emeritus register`), leave DIR out:
    its behaviour is captured and kept, and its pages say that the weights are not held.

    Example:  emeritus preserve ./my-model --name my-model --title "My Model"
    """
    from emeritus.errors import InputError

    if not name:
        raise InputError("no name was given", remedy="Add --name NAME: the resident's name in care.")
    from emeritus.cli.summary import resident_summary
    from emeritus.lifecycle.registration import Registration

    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        actor = actor_from(person)
        if directory is not None:
            registration = Registration(name=name, title=title, description=description)
            app.retirement.take_in(registration, directory, actor, progress)
        else:
            app.lifecycle.resident(name)  # NotFound names the remedy
        kept = resident_summary(app, name)
        if not as_json:
            _show_kept(name, kept)  # before the reference: what is kept stays kept when the model cannot be woken here
        if reference:
            app.run(app.retirement.capture_reference(name, actor, progress))
        result = resident_summary(app, name)
    if as_json:
        emit(result)
        return
    if reference:
        show(
            f"  reference behaviour captured ({result['reference']['method']}, {result['reference']['probes']} probes)"
        )
        for line in _calibrated(result["calibration"]):
            show(line)
    show(f"Next: emeritus announce {name} --retires DATE --reason REASON --callers callers.csv")


def _calibrated(made: dict[str, Any] | None) -> list[str]:
    if made is None:
        return []
    between = f"{made['configurations']} configuration{'' if made['configurations'] == 1 else 's'}"
    return [f"  drills calibrated on {between}: false alarms in at most {made['false_alarm_rate']:.0%}"]


def _show_kept(name: str, result: dict[str, Any]) -> None:
    if not result["weights_held"]:
        show(f"{name}: its weights are not held; its behaviour is what is kept")
        return
    kept = result["preserved"]["weights"]
    share = kept["stored_bytes"] / max(kept["bytes"], 1)
    show(f"Preserved {name}: {kept['files']} files")
    show(f"  {kept['bytes']:,} bytes kept in {kept['stored_bytes']:,} ({share:.1%})")
    show("  restore proven: every file came back byte for byte")
