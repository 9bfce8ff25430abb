"""`emeritus replicate`: keep copies of the vault in other stores."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED


def command(
    ctx: typer.Context,
    address: Annotated[
        list[str] | None, typer.Argument(help="A folder, s3://, gs:// or az://. Default: the setting `replicas`.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep/--quick", help="Read what the copy has, or compare the lengths of packs only.")
    ] = True,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Also remove there what `emeritus prune` removed here, and what nothing there needs."
        ),
    ] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy every object of the vault that is missing or different there; what is damaged here is never copied.

    Interrupted, the same command goes on. Without --prune nothing is deleted there: weights that were removed from the
    vault stay in its copies until then. Ends with 1 when a copy does not hold everything; nothing is removed from it.

    Example:  emeritus replicate s3://elsewhere/vault
    """
    from dataclasses import asdict

    from emeritus.blobs.open import open_store
    from emeritus.errors import InputError

    flags = flags_of(ctx)
    addresses = address or flags.settings().replica_urls
    if not addresses:
        raise InputError(
            "no address was given, and the setting `replicas` names none",
            remedy="Name one: `emeritus replicate FOLDER`, or set `replicas` in emeritus.toml.",
        )
    found = []
    with flags.app() as app, progress_bar(as_json) as progress:
        actor = actor_from(person)
        for each in addresses:
            act, report, removed = app.soundness.replicate(
                actor,
                open_store(each),
                deep=deep,
                progress=progress,
                prune=app.removals.prune_copy if prune else None,
            )
            gone = None if removed is None else [key for key, _ in removed.objects]
            found.append(
                {
                    "ok": report.ok,
                    "entry": act.seq,
                    **asdict(report),
                    "problems": list(report.problems),
                    "removed": gone,
                }
            )
            if not as_json:
                copied = f"{len(report.copied)} objects copied ({report.bytes_copied:,} bytes)"
                show(f"{each}: {copied}, {report.same} were there")
                if removed is not None:
                    show(f"  {len(removed.objects)} objects removed ({removed.bytes:,} bytes)")
                elif report.more:
                    show(f"  {report.more} objects there that the vault has not; --prune removes what is not kept")
                for line in report.problems:
                    show(f"  {line}")
    if as_json:
        emit({"replicas": found})
    if not all(each["ok"] for each in found):
        raise typer.Exit(CHECK_FAILED)
