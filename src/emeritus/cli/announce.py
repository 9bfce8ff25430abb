"""`emeritus announce`: say when a model retires, and tell those who call it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    retires: Annotated[
        str, typer.Option("--retires", metavar="DATE", help="When it retires: 2027-03-01, 2027-03, 2027-Q1 or 2027.")
    ] = "",
    deprecated: Annotated[
        str | None, typer.Option(metavar="DATE", help="Day from which it is deprecated. Default: today.")
    ] = None,
    access: Annotated[str, typer.Option(help="Access afterwards: open, entitled, by request or none.")] = "by request",
    reason: Annotated[str, typer.Option(help="Why it retires; shown publicly.")] = "",
    replacement: Annotated[str | None, typer.Option(help="What callers may use instead.")] = None,
    callers: Annotated[
        Path | None, typer.Option(help="CSV of those who call it; its first line: contact,label,requests,last_used.")
    ] = None,
    waive_notice: Annotated[
        str | None, typer.Option(metavar="REASON", help="Waive the notice period, publicly, for this reason.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Announce a retirement: dates on the three axes (offering, access, preservation) and a notice to each caller.

    Running it again sends nothing twice. To rehearse in a day: --retires TODAY --waive-notice "a rehearsal"; the
    waiver is public.

    Example:  emeritus announce my-model --retires 2027-03-01 --reason "Little used" --callers callers.csv
    """
    from dataclasses import asdict

    from emeritus.errors import InputError
    from emeritus.lifecycle.axes import parse_when
    from emeritus.lifecycle.service import Announcement

    if not retires:
        raise InputError("no date of retirement was given", remedy="Add --retires DATE, e.g. --retires 2027-03-01.")
    with flags_of(ctx).app() as app:
        announcement = Announcement(
            deprecated=parse_when(deprecated or app.acts.now[:10]),
            retired=parse_when(retires),
            reason=reason,
            access=access,
            replacement=replacement,
            waive_notice=waive_notice,
        )
        files = {callers.name: _read(callers)} if callers else {}
        result = app.retirement.announce(name, announcement, actor_from(person), files)
        delivered = app.run(app.outbox.deliver())
        outbox = None if app.settings.smtp_url.get_secret_value() else str(app.settings.home / "outbox")
        result |= {"retires": retires, "access": access, "outbox": outbox, "delivery": asdict(delivered)}
    if as_json:
        emit(result)
        return
    show(f"Announced: {name} retires on {retires}; access afterwards: {access}.")
    told = f"callers told, in all: {result['sent']}"
    show(f"  {told}; failed: {result['failed']}; without an address: {result['no_contact']}")
    if outbox and result["sent"]:
        show(f"  no mail server is set (--smtp-url), so the messages lie in {outbox}")
    show(f"Next: emeritus interview run {name}   (emeritus status {name} shows what is open)")


def _read(path: Path) -> bytes:
    from emeritus.errors import BadTable

    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "Give the path of a CSV file, or leave --callers out."
        raise BadTable(f"{path} cannot be read: {error.strerror}", remedy=remedy) from error
