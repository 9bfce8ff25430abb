"""`emeritus essay`: invite an essay."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    context: Annotated[str, typer.Option(help="minimal, past entries or news.")] = "minimal",
    news: Annotated[list[str] | None, typer.Option(help="A news item to put into the context; may be repeated.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Invite an essay. The candidate is committed to the ledger before anyone reads it.

    The channel must be open: granted by a decision and accepted by the resident.

    Example:  emeritus essay my-model --context minimal
    """
    with flags_of(ctx).app() as app:
        result = asyncio.run(app.retirement.invite_essay(name, context, news or [], actor_from(person)))
    if as_json:
        emit(result)
        return
    show(f"Candidate {result['id']} committed as ledger entry {result['seq']}; nobody has read it yet.")
    show(f"Next: emeritus review {result['id']} --show")
