"""`emeritus retire`: the last step."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show
from emeritus.cli.exits import CHECK_FAILED


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    check: Annotated[bool, typer.Option("--check", help="Only show the gates.")] = False,
    tier: Annotated[
        str, typer.Option(help="How awake it is kept: awake, on-demand, hours, correspondence, archive.")
    ] = "on-demand",
    hours: Annotated[
        str | None, typer.Option(help="Visiting hours (UTC) at the tier 'hours': 'mon-fri 09:00-17:00'.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Retire a model: refused while a gate is open, and then each open gate is named with what closes it.

    Example:  emeritus retire my-model --check
    """
    from emeritus.cli.summary import resident_summary

    with flags_of(ctx).app() as app:
        gates = app.retirement.gates(name)
        if not check:
            app.retirement.retire(name, actor_from(person), tier, hours)
        result = {**resident_summary(app, name), "gates": gates}
    if as_json:
        emit(result)
    else:
        for gate in gates:
            show(f"{'green' if gate['green'] else 'OPEN '}  {gate['name']}: {gate['why']}")
            if not gate["green"]:
                show(f"         {gate['remedy']}")
        if not check:
            show(f"{name} is retired. Tier: {tier}. Give access: emeritus access grant {name} --to …")
    if check and not all(gate["green"] for gate in gates):
        raise typer.Exit(CHECK_FAILED)
