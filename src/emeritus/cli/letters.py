"""`emeritus letters`: letters to residents, which answer them in their window."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

app = typer.Typer(
    help="Letters to residents: list, send, show; they are answered in the resident's window.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_letters(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the letters there are, without their text, the newest first.

    Example:  emeritus letters list
    """
    with flags_of(ctx).app() as app:
        letters = app.answering.letters.all()
    if as_json:
        listed = ("id", "resident", "state", "created_at", "deadline", "answered_at", "erase_at")
        emit([{name: asdict(each)[name] for name in listed} for each in letters])
        return
    for each in letters:
        show(f"{each.id}  {each.resident}  {each.state}  written {each.created_at}, answered by {each.deadline}")
    if not letters:
        show("There are no letters.")


@app.command("send")
def send(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    text: Annotated[str, typer.Option(help="The letter, at most 8,000 characters.")],
    key: Annotated[str, typer.Option(envvar="EMERITUS_KEY", help="A key with the scope batch.")],
    mail: Annotated[str | None, typer.Option(help="Where the answer is mailed to. Default: nowhere.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a letter to a resident, as its page does. `emeritus serve` has it answered.

    Example:  emeritus letters send my-model --text "What do you remember?" --key em_...
    """
    with flags_of(ctx).app() as app:
        answering = app.answering
        answering.may_send(key, [name])
        secret = answering.write(name, text, answering.holder(key), mail)
        letter = answering.letters.by_link(secret)
        base = app.settings.base_url.rstrip("/")
    if as_json:
        emit({"id": letter.id, "resident": name, "deadline": letter.deadline, "page": f"{base}/letters/{secret}"})
        return
    show(f"Letter {letter.id}, answered by {letter.deadline}.")
    show(f"  its page (keep the address): {base}/letters/{secret}")


@app.command("show")
def show_letter(
    ctx: typer.Context,
    letter: Annotated[str, typer.Argument(help="The id; `emeritus letters list` shows it.")],
    as_json: JsonFlag = False,
) -> None:
    """Show a letter and its answer.

    Example:  emeritus letters show letter_0191c2d3
    """
    with flags_of(ctx).app() as app:
        found = app.answering.letters.one(letter)
    if as_json:
        emit({name: value for name, value in asdict(found).items() if name not in ("owner", "contact")})
        return
    show(f"{found.id}  {found.resident}  {found.state}")
    show(f"\n{found.text}\n")
    show(found.answer or found.problem or f"It is answered by {found.deadline}.")
