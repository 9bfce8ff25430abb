"""`emeritus verify`: check the ledger and the vault."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED


def command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Check one resident's files only; the ledger is always checked whole.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Also empty the database and refill it from the ledger.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Read the vault's lists only, not every byte.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check the ledger (signatures, tree, inclusion, consistency) and every byte in the vault.

    Ends with 0 when everything holds and with 1 when anything does not; each problem is named.

    Example:  emeritus verify --json
    """
    flags = flags_of(ctx)
    with flags.app() as app, progress_bar(as_json) as progress:
        result = app.verify(name, deep=not quick, rebuild=rebuild, progress=progress)
    if as_json:
        emit(result)
    else:
        show(f"ledger: {result['ledger']['size']} entries, {'verified' if result['ledger']['ok'] else 'DOES NOT VERIFY'}")
        for line in result["ledger"]["problems"]:
            show(f"  {line}")
        vault = result["vault"]
        show(f"vault: {vault['segments']} segments in {vault['packs']} packs, {'verified' if vault['ok'] else 'DAMAGED'}")
        for line in vault["problems"]:
            show(f"  {line}")
        for line in result["journals"]["problems"]:
            show(f"  {line}")
        if result["rebuilt"] is not None:
            show(f"database: rebuilt from {result['rebuilt']} acts")
    if not result["ok"]:
        raise typer.Exit(CHECK_FAILED)
