"""`emeritus access request`, `requests`, `answer`, `review`, `appeal`: asking for access, and deciding on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.access.requests.queries import RequestView

RequestArgument = Annotated[str, typer.Argument(help="The request, r-…")]


def request(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    who: Annotated[str, typer.Option(help="Who asks, by any name; kept out of the ledger.")],
    purpose: Annotated[str, typer.Option(help="What the access is for; kept out of the ledger.")],
    contact: Annotated[str, typer.Option(help="How to reach them, if they like.")] = "",
    per_day: Annotated[int, typer.Option(help="Requests a day that are asked for.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Ask for access to a resident, as the form on its page does. A small quota is granted at once.

    Example:  emeritus access request my-model --who "Eve" --purpose "Comparing its answers with its successor's"
    """
    from emeritus.access.requests.service import Application

    with flags_of(ctx).app() as app:
        made = app.requests.submit(name, Application(who, purpose, contact, per_day))
        key = app.requests.new_key(made.id) if made.state == "auto-granted" else None
    if as_json:
        emit({"request": made.id, "state": made.state, "link": f"/access/requests/{made.secret}", "key": key})
        return
    show(f"Request {made.id}: {made.state}.")
    show(f"  its page (secret): /access/requests/{made.secret}")
    if key is not None:
        show(f"  key (shown once): {key}")


def requests(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A resident, or one request. Default: all.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for somebody.")] = False,
    figures: Annotated[bool, typer.Option("--figures", help="The public figures instead.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List requests for access, those due first; with one request's id, all that was said.

    Example:  emeritus access requests --waiting
    """
    from emeritus.access.requests import queries

    with flags_of(ctx).app() as app, app.database.reading() as session:
        now, days = app.acts.now, app.settings.access_expiring_days
        if figures:
            found = queries.figures(session, name)
        elif name is not None and name.startswith("r-"):
            rows: tuple[RequestView, ...] = (queries.one(session, name, now, days),)
        else:
            rows = queries.listed(session, now, days, name, waiting=waiting)
    if figures:
        emit(asdict(found)) if as_json else show(_figures(asdict(found)))
        return
    if as_json:
        emit([asdict(row) for row in rows])
        return
    for row in rows:
        _show(row, whole=name == row.id)
    show("1 request." if len(rows) == 1 else f"{len(rows)} requests.")


def answer(
    ctx: typer.Context,
    request: RequestArgument,
    text: Annotated[str, typer.Option(help="What is answered; kept out of the ledger.")],
    as_json: JsonFlag = False,
) -> None:
    """Answer, for the applicant, what was asked back.

    Example:  emeritus access answer r-1a2b3c --text "Twelve students, until June"
    """
    with flags_of(ctx).app() as app:
        _say(request, app.requests.answer(request, text), as_json)


def appeal(
    ctx: typer.Context,
    request: RequestArgument,
    text: Annotated[str, typer.Option(help="Why the decline should not stand; kept out of the ledger.")],
    as_json: JsonFlag = False,
) -> None:
    """Appeal, for the applicant, against a decline. Someone else decides it, by `emeritus access review`.

    Example:  emeritus access appeal r-1a2b3c --text "The study was reviewed by our ethics board"
    """
    with flags_of(ctx).app() as app:
        _say(request, app.requests.appeal(request, text), as_json)


def review(
    ctx: typer.Context,
    request: RequestArgument,
    grant: Annotated[bool, typer.Option("--grant", help="Grant it; an appeal is then overturned.")] = False,
    per_day: Annotated[
        int | None, typer.Option(help="With --grant: requests a day. Default: what was asked for.")
    ] = None,
    decline: Annotated[str | None, typer.Option(metavar="CODE", help="Decline, or uphold; see docs/access.md.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the applicant for something more.")] = False,
    text: Annotated[str, typer.Option(help="What the applicant is told; kept out of the ledger.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide on a request or an appeal. A decline needs a reason and a second person; an appeal, another one.

    Example:  emeritus access review r-1a2b3c --decline misuse --text "It would …" --as ana
    """
    from emeritus.errors import InputError

    if grant + (decline is not None) + ask != 1:
        raise InputError("give one of --grant, --decline CODE and --ask")
    actor = actor_from(person)
    with flags_of(ctx).app() as app:
        if grant:
            state = app.requests.grant(request, actor, per_day, text)
        elif ask:
            state = app.requests.ask(request, text, actor)
        else:
            state = app.requests.decline(request, decline or "", text, actor)
        proposed = decline is not None and state == "in review"
    _say(request, f"{state}, declined by one of two" if proposed and not as_json else state, as_json)


def attend(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Do what deadlines that have passed bring about, and keep mail for applicants, as `emeritus serve` does.

    Example:  emeritus access attend
    """
    with flags_of(ctx).app() as app:
        done = app.attend()
    if as_json:
        emit(done)
        return
    show(", ".join(f"{step}: {count}" for step, count in done.items() if count) or "Nothing was due.")


def _say(request: str, state: str, as_json: bool) -> None:
    if as_json:
        emit({"request": request, "state": state})
        return
    show(f"Request {request}: {state}.")


def _show(row: RequestView, *, whole: bool) -> None:
    due = f"  due {row.due}{' (overdue)' if row.overdue else ''}" if row.due else ""
    who = row.who or "applicant withheld"
    show(f"{row.id}  {row.resident}  {row.state}{due}  {row.requests_per_day} a day  {who}")
    if not whole:
        return
    show(f"  for: {row.purpose or 'withheld'}")
    show(f"  contact: {row.contact or 'none'}")
    for step in row.steps:
        said = f": {step.text}" if step.text else ""
        show(f"  {step.at}  {step.step}  {step.code or ''}  by {step.source.actor}{said}")
    if row.grant is not None:
        show(
            f"  grant {row.grant.id}: {row.grant.state}, {row.grant.requests_per_day} a day, until {row.grant.expires}"
        )


def _figures(found: dict[str, object]) -> str:
    return "\n".join(f"{name.replace('_', ' ')}: {'-' if value is None else value}" for name, value in found.items())


def add_to(app: typer.Typer) -> None:
    """Put these commands into the group."""
    commands = (request, requests, answer, review, appeal, attend)
    for command in commands:
        app.command(command.__name__)(command)
