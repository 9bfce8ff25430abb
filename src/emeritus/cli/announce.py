"""`emeritus announce`: say when a model retires, and tell those who call it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    retires: Annotated[str, typer.Option("--retires", metavar="DATE", help="Day of retirement, YYYY-MM-DD.")] = "",
    deprecated: Annotated[str | None, typer.Option(metavar="DATE", help="Day from which it is deprecated. Default: today.")] = None,
    access: Annotated[str, typer.Option(help="Access afterwards: open, entitled, by request or none.")] = "by request",
    reason: Annotated[str, typer.Option(help="Why it retires; shown publicly.")] = "",
    replacement: Annotated[str | None, typer.Option(help="What callers may use instead.")] = None,
    callers: Annotated[Path | None, typer.Option(help="CSV of those who call it: contact,label,requests,last_used.")] = None,
    waive_notice: Annotated[
        str | None, typer.Option(metavar="REASON", help="Waive the notice period, publicly, for this reason.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Announce a retirement: dates on the three axes (offering, access, preservation), and a notice to each actual caller.

    Running it again sends nothing twice.

    Example:  emeritus announce my-model --retires 2027-03-01 --reason "Its successor serves all traffic" --callers callers.csv
    """
    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        result = app.retirement.announce(
            name,
            actor,
            {
                "retires": retires,
                "deprecated": deprecated,
                "access": access,
                "reason": reason,
                "replacement": replacement,
                "waive_notice": waive_notice,
            },
            callers,
        )
    if as_json:
        emit(result)
        return
    show(f"Announced: {name} retires on {result['retires']}; access afterwards: {result['access']}.")
    show(f"  callers known: {result['callers']}; notices sent: {result['sent']}, without a contact: {result['no_contact']}")
    if result["outbox"]:
        show(f"  no mail server is set, so the messages lie in {result['outbox']}")
