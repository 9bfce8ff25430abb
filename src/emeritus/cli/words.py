"""`emeritus words`: what callers leave for a model, and its moderation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

app = typer.Typer(
    help="Words that callers leave for a model: leave, list, moderate.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("leave")
def leave(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    text: Annotated[str, typer.Option(help="The words, at most 1,000 characters; no personal data.")],
    as_json: JsonFlag = False,
) -> None:
    """Leave words for a model, as its page does; they are held until moderated.

    Example:  emeritus words leave my-model --text "It helped me learn to read music."
    """
    with flags_of(ctx).app() as app:
        held = app.words.leave(name, text)
    if as_json:
        emit({"id": held, "resident": name, "state": "held"})
        return
    show(f"Held as {held}. Next: emeritus words moderate {held} --approve")


@app.command("list")
def list_words(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this resident's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List what waits for a moderator, and what was moderated.

    Example:  emeritus words list
    """
    from emeritus.lifecycle.words import moderated

    with flags_of(ctx).app() as app:
        held = app.words.held(name)
        with app.database.reading() as session:
            done = moderated(session, name, None)
    if as_json:
        emit({"held": [asdict(each) for each in held], "moderated": [asdict(each) for each in done]})
        return
    for each in held:
        show(f"{each.id}  {each.resident}  held  “{each.text}”")
    for found in done:
        show(
            f"{found.id}  {found.resident}  {found.verdict}"
            + (f"  “{found.text}”" if found.text else f"  {found.reason}")
        )
    if not held and not done:
        show("Nobody has left words.")


@app.command("moderate")
def moderate(
    ctx: typer.Context,
    words: Annotated[str, typer.Argument(help="The id; `emeritus words list` shows it.")],
    approve: Annotated[
        bool, typer.Option("--approve", help="They become public, and a fact told to the model.")
    ] = False,
    reject: Annotated[bool, typer.Option("--reject", help="They stay private; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why; becomes public.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Approve words, or reject them with a reason; the reason is public, rejected words are not.

    Example:  emeritus words moderate w-1f2e3d4c5b6a --reject --reason "names a person" --as moe
    """
    from emeritus.errors import InputError

    if approve == reject:
        raise InputError("say either --approve or --reject", remedy="`emeritus words list` prints the words.")
    with flags_of(ctx).app() as app:
        verdict = "approved" if approve else "rejected"
        act = app.words.moderate(words, verdict, reason, actor_from(person, "moderator"))
    if as_json:
        emit({"id": words, "resident": act.resident, "verdict": verdict, "entry": act.seq})
        return
    show(f"{words}: {verdict}, ledger entry {act.seq}.")
