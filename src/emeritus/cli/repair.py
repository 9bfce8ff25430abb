"""`emeritus repair`: bring damaged objects of the vault back."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED

MOST_SHOWN = 20  # lines of what came back; what did not is shown whole


def command(
    ctx: typer.Context,
    replica: Annotated[
        list[str] | None, typer.Option("--replica", help="A further copy of the vault to take from; may be repeated.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring back what is damaged, truncated, swapped or missing in the vault: from parity, then from its copies.

    Every object is read. What is written is proven first; what cannot be brought back is named, with the files that go
    with it. Packs without parity get it. Ends with 0 when everything is sound afterwards, else with 1. Recorded.

    Example:  emeritus repair --replica s3://elsewhere/vault
    """
    from dataclasses import asdict

    from emeritus.blobs.open import open_store
    from emeritus.vault.marker import repair_marker

    flags, more = flags_of(ctx), replica or []
    settings = flags.settings()
    marker = None
    if (settings.home / "ledger" / "checkpoint").exists():  # else opening says what is missing
        stores = [open_store(url) for url in [*settings.replica_urls, *more]]
        marker = repair_marker(open_store(settings.vault_url or str(settings.home / "vault")), stores)
    with flags.app() as app, progress_bar(as_json) as progress:
        act, report = app.soundness.repair(actor_from(person), more=more, progress=progress)
    if as_json:
        emit({"ok": report.ok, "entry": act.seq, "marker": marker, **asdict(report)})
    else:
        if marker is not None:
            show(f"vault.json came back from {marker}")
        for each in report.repaired[:MOST_SHOWN]:
            show(f"{each.key}: {each.was}; came back ({each.how})")
        if len(report.repaired) > MOST_SHOWN:
            show(f"... and {len(report.repaired) - MOST_SHOWN} more")
        for url in report.unreachable:
            show(f"{url} did not answer")
        for damage in report.lost:
            show(f"NOT BROUGHT BACK {damage}")
        show(
            f"{report.examined} objects read, {len(report.repaired)} came back, {len(report.lost)} did not; "
            f"{len(report.covered)} parity objects made"
        )
    if not report.ok:
        raise typer.Exit(CHECK_FAILED)
