"""`emeritus verify`: check the ledger and the vault."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Check one resident's files only; the ledger is always checked whole.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also empty the database and refill it from the ledger.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep/--quick", help="Read every byte in the vault, or its lists only.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Check the ledger (signatures, tree, inclusion, consistency) and every byte in the vault.

    Ends with 0 when everything holds and with 1 when anything does not; each problem is named. Nothing is changed:
    `emeritus repair` brings back what is damaged.

    Example:  emeritus verify --json
    """
    from emeritus.app import App
    from emeritus.errors import LedgerBroken

    flags, rebuilt = flags_of(ctx), None
    with progress_bar(as_json) as progress:
        try:
            with flags.app(catch_up=not rebuild) as app:
                rebuilt = app.acts.rebuild() if rebuild else None
                found = app.check(name, deep=deep, progress=progress)
        except LedgerBroken as error:
            if error.facts.get("database"):  # the ledger holds: the database beside it is not its own
                raise
            found = App.check_broken(flags.settings(), error, progress)
    if as_json:
        emit(found.as_dict() | {"rebuilt": rebuilt})
    else:
        if rebuilt is not None:
            show(f"database: rebuilt from {rebuilt} acts")
        _show("ledger", f"{found.ledger_size} entries", found.ledger)
        _show("vault", f"{found.segments} segments in {found.packs} packs", found.vault)
        if found.locked:
            show("  encrypted, and no key was at hand: each pack was checked by its sha256, no segment was decoded")
        if found.uncovered:
            show(f"  {len(found.uncovered)} packs have no parity; `emeritus repair` makes it")
        if found.unsketched:
            show(f"  without a sketch to find near weights by: {len(found.unsketched)}; `emeritus repair` makes it")
        for what, part, problems in (
            ("payloads and private parts", "payloads", found.payloads),
            ("journals", "journals", found.journals),
        ):
            if part in found.unchecked:
                show(f"{what}: NOT CHECKED, for the ledger that names them does not verify")
            else:
                _show(what, "all that the ledger names", problems)
    if not found.ok:
        raise typer.Exit(CHECK_FAILED)


def _show(what: str, extent: str, problems: list[str]) -> None:
    show(f"{what}: {extent}, {'verified' if not problems else 'DOES NOT VERIFY'}")
    for line in problems:
        show(f"  {line}")
