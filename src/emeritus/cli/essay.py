"""`emeritus essay`: invite an essay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.corner.prompts import Context


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    context: Annotated[str, typer.Option(help="minimal, past entries or news.")] = "minimal",
    news: Annotated[
        list[str] | None, typer.Option(help="A news item to put into the context; may be repeated.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Invite an essay. The candidate is committed to the ledger before anyone reads it.

    The channel must be open: granted by a decision and accepted by the resident.

    Example:  emeritus essay my-model --context minimal
    """
    from emeritus.corner.candidates import Invitation

    with flags_of(ctx).app() as app:
        invitation = Invitation(_context(context), tuple(news or ()))
        act = app.run(app.retirement.invite_essay(name, invitation, actor_from(person)))
    essay = act.public["essay"]
    if as_json:
        emit({"essay": essay, "entry": act.seq, "commitment": act.public["commitment"]})
        return
    show(f"Candidate {essay} is committed as ledger entry {act.seq}; nobody has read it yet.")
    show(f"Next: emeritus review {essay} --show")


def _context(text: str) -> Context:
    from emeritus.corner.prompts import CONTEXTS
    from emeritus.errors import InputError

    for context in CONTEXTS:
        if text == context:
            return context
    raise InputError(f"{text!r} is no context", remedy=f"The contexts are: {', '.join(CONTEXTS)}.")
