"""`emeritus publish`: make an approved essay public."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    essay: Annotated[str, typer.Argument(help="The candidate's id.")],
    note: Annotated[str, typer.Option(help="The organisation's note, shown beside the essay, never inside it.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Publish exactly the bytes that were committed and approved.

    Example:  emeritus publish wren-1-e1 --as ana
    """
    with flags_of(ctx).app() as app:
        act = app.retirement.publish(essay, actor_from(person), note)
    slug, digest = act.public["slug"], act.payloads["essay"]
    if as_json:
        emit({"essay": essay, "slug": slug, "sha256": digest, "entry": act.seq})
        return
    show(f"Published at /essays/{slug}; sha256 {digest}")
