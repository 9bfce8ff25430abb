"""`emeritus settings`: the settings in force and where each can be set."""

from __future__ import annotations

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show


def command(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Show every setting, its value in force, and its flag.

    Example:  emeritus --port 9000 settings
    """
    settings = flags_of(ctx).settings()
    values = settings.model_dump(mode="json")  # secrets come out masked
    if as_json:
        emit(values)
        return
    for name, field in type(settings).model_fields.items():
        show(f"--{name.replace('_', '-')} {values[name] if str(values[name]) else '(empty)'}")
        show(f"      {field.description}")
