"""`emeritus people`: local accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from emeritus.people.accounts import People
    from emeritus.settings import Settings

app = typer.Typer(help="Local accounts: who works in this home.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Sign-in name.")]


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    display: Annotated[str, typer.Option(help="Name shown.")] = "",
    role: Annotated[str, typer.Option(help="steward, coder, reviewer, moderator or caller.")] = "steward",
    as_json: JsonFlag = False,
) -> None:
    """Add a person and print their one-time set-up link, which is shown only now and expires.

    Example:  emeritus people add ana --display "Ana Example" --role coder
    """
    with flags_of(ctx).app() as app:
        token = app.people.add(name, display or name, role)
        found = app.people.find(name)
        link = _link(app.settings, name, token)
    if as_json:
        emit({**found, "setup_token": token, "setup_link": link})
        return
    show(f"Added {name} ({role}). The link works once, until {found['setup_expires']}, and is not shown again:\n{link}")


@app.command("reset")
def reset(ctx: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """End a person's password and sessions, and print a new one-time set-up link.

    Example:  emeritus people reset ana
    """
    with flags_of(ctx).app() as app:
        token = app.people.reset(name)
        found = app.people.find(name)
        link = _link(app.settings, name, token)
    if as_json:
        emit({**found, "setup_token": token, "setup_link": link})
        return
    show(f"{name} is signed out everywhere. The link works once, until {found['setup_expires']}:\n{link}")


@app.command("password")
def password(
    ctx: typer.Context,
    name: Name,
    token: Annotated[str, typer.Option(prompt=True, help="The one-time set-up token: the link's end.")],
    new: Annotated[
        str, typer.Option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="New password.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Set a password with the one-time token, without the site.

    Example:  emeritus people password ana
    """
    with flags_of(ctx).app() as app:
        app.people.set_password(name, token, new)
        found = app.people.find(name)
    if as_json:
        emit(found)
        return
    show(f"Password set for {name}.")


@app.command("role")
def role(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="ROLE", help="steward, coder, reviewer, moderator or caller.")],
    as_json: JsonFlag = False,
) -> None:
    """Give a person another role, from their next request on.

    Example:  emeritus people role ana reviewer
    """
    _change(ctx, name, lambda people: people.set_role(name, new), None if as_json else f"{name} is now {new}.")


@app.command("disable")
def disable(ctx: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Sign a person out everywhere and let them in no more. What they did stays.

    Example:  emeritus people disable ana
    """
    _change(ctx, name, lambda people: people.disable(name), None if as_json else f"{name} can sign in no more.")


@app.command("enable")
def enable(ctx: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Let a disabled person sign in again.

    Example:  emeritus people enable ana
    """
    _change(ctx, name, lambda people: people.enable(name), None if as_json else f"{name} can sign in again.")


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


def _change(ctx: typer.Context, name: str, change: Callable[[People], None], said: str | None) -> None:
    """Change an account, and say so; None: print the account as JSON."""
    with flags_of(ctx).app() as app:
        change(app.people)
        found = app.people.find(name)
    if said is None:
        emit(found)
    else:
        show(said)


def _link(settings: Settings, name: str, token: str) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = settings.base_url.rstrip("/") or f"http://{host}:{settings.port}"
    return f"{base}/console/set-up?{urlencode({'name': name, 'token': token})}"
