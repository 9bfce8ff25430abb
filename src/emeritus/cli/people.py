"""`emeritus people`: local accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

app = typer.Typer(help="Local accounts: who works in this home.", no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Sign-in name.")],
    display: Annotated[str, typer.Option(help="Name shown.")] = "",
    role: Annotated[str, typer.Option(help="steward, reviewer, coder or researcher.")] = "steward",
    as_json: JsonFlag = False,
) -> None:
    """Add a person and print their one-time set-up token.

    Example:  emeritus people add ana --display "Ana Example" --role steward
    """
    with flags_of(ctx).app() as app:
        token = app.people.add(name, display or name, role)
    if as_json:
        emit({"name": name, "role": role, "setup_token": token})
        return
    show(f"Added {name} ({role}). One-time set-up token: {token}")


@app.command("password")
def password(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Sign-in name.")],
    token: Annotated[str, typer.Option(prompt=True, help="The one-time set-up token.")],
    new: Annotated[
        str, typer.Option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="New password.")
    ],
) -> None:
    """Set a password with the one-time token.

    Example:  emeritus people password ana
    """
    with flags_of(ctx).app() as app:
        app.people.set_password(name, token, new)
    show(f"Password set for {name}.")


@app.command("list")
def list_people(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List accounts.

    Example:  emeritus people list
    """
    with flags_of(ctx).app() as app:
        rows = app.people.list()
    if as_json:
        emit(rows)
        return
    for row in rows:
        show(f"{row['name']}  {row['role']}  {row['display']}" + ("  disabled" if row["disabled"] else ""))
