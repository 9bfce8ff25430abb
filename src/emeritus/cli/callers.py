"""`emeritus callers`: who still calls a model, told, reminded, acknowledging; and brown-outs before it retires."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.app import App

app = typer.Typer(
    help="Who still calls a model: find, tell, remind, acknowledge, export; brown-outs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="The resident.")]


@app.command("list")
def list_callers(
    ctx: typer.Context,
    name: Name,
    open_only: Annotated[bool, typer.Option("--open", help="Only those who have not acknowledged.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the callers: who was told, who has acknowledged, who called last.

    Example:  emeritus callers list my-model --open
    """
    from emeritus.lifecycle import caller_queries, queries

    with flags_of(ctx).app() as app, app.database.reading() as session:
        queries.resident(session, name)
        views = caller_queries.callers(session, name)
    views = tuple(view for view in views if not open_only or view.acknowledged_at is None)
    if as_json:
        emit([asdict(view) for view in views])
        return
    for view in views:
        said = f"acknowledged {view.acknowledged_at[:10]}" if view.acknowledged_at else "not acknowledged"
        used = f"last used {view.last_used}" if view.last_used else "last use not known"
        reminders = f", {view.reminders} reminders" if view.reminders else ""
        who = view.contact or view.label or "withheld"
        show(f"{view.id}  {who}  {view.requests or 0} requests, {used}  told: {view.told}{reminders}  {said}")
    if not views:
        show("Nobody is on the list.")


@app.command("import")
def import_log(
    ctx: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(help="The file; it is read as a stream.")],
    format: Annotated[
        str,
        typer.Option(help="csv (our columns), nginx (combined log), litellm (spend log, CSV or JSON lines) or vllm."),
    ] = "csv",
    called: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="What the log calls the model; may be repeated.")
    ] = None,
    model_field: Annotated[
        str | None, typer.Option(help="nginx: the field with the model, by name or by position after the agent.")
    ] = None,
    caller_field: Annotated[
        str | None, typer.Option(help="nginx: the field with the caller. Default: the remote user, else the address.")
    ] = None,
    bad_lines: Annotated[
        int,
        typer.Option(min=0, help="Leave out up to this many lines that cannot be read; they are counted and shown."),
    ] = 0,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Import who calls a model from a list of people or another program's log. All of a file, or nothing.

    Example:  emeritus callers import my-model access.log --format nginx
    """
    from datetime import date

    from emeritus.lifecycle.caller_book import Taken
    from emeritus.lifecycle.imports.reading import LogFile, read_log

    with flags_of(ctx).app() as app:
        app.lifecycle.resident(name)
        names = tuple(called or (name,))
        wanted = LogFile(file, format, names, model_field, caller_field, bad_lines)
        found = read_log(wanted, date.fromisoformat(app.acts.now[:10]))
        source = file.name if format == "csv" else format
        act = app.lifecycle.callers.take(
            name, Taken(found.callers, source, found.sha256, found.bad), actor_from(person)
        )
    result = {**act.public, "entry": act.seq, "lines": found.lines, "bad": found.bad, "bad_shown": found.shown}
    if as_json:
        emit(result)
        return
    show(f"{act.public['callers']} callers in {found.lines} lines, {act.public['new']} of them new.")
    for line, why in found.shown:
        show(f"  left out: line {line}: {why}")
    if found.bad > len(found.shown):
        show(f"  left out: {found.bad - len(found.shown)} lines more")
    show(f"Next: emeritus callers tell {name}   (once `emeritus announce` has said when it retires)")


@app.command("meter")
def meter(ctx: typer.Context, name: Name, person: AsOption = None, as_json: JsonFlag = False) -> None:
    """Put everyone whose keys called the model here on its list. `emeritus serve` does so every day.

    Example:  emeritus callers meter my-model
    """
    with flags_of(ctx).app() as app:
        act = app.calling.take_from_metering(name, actor_from(person))
    found = {"callers": 0, "new": 0} if act is None else act.public
    if as_json:
        emit(found)
        return
    show(f"{found['callers']} callers in the metering, {found['new']} of them new.")


@app.command("tell")
def tell(ctx: typer.Context, name: Name, person: AsOption = None, as_json: JsonFlag = False) -> None:
    """Tell callers who were not told yet, and remind those whose reminder is due. Running it again sends nothing twice.

    Example:  emeritus callers tell my-model
    """
    with flags_of(ctx).app() as app:
        found = app.calling.look_after(name, actor_from(person))
        app.run(app.outbox.deliver())
        told = _outbox(app)
    if as_json:
        emit({**found, "outbox": told})
        return
    show(
        f"Told, in all: {found['sent']}; without an address: {found['no_contact']}; reminded now: {found['reminded']}."
    )
    if told:
        show(f"  no mail server is set (--smtp-url), so the messages lie in {told}")


@app.command("acknowledge")
def acknowledge(
    ctx: typer.Context,
    name: Name,
    caller: Annotated[str, typer.Argument(help="The caller's id or contact; `emeritus callers list` shows both.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Record that a caller has said to have read the notice, such as in an answer to the mail.

    Example:  emeritus callers acknowledge my-model ann@example.org --as ben
    """
    with flags_of(ctx).app() as app:
        act = app.lifecycle.notices.acknowledge(name, caller, "person", actor_from(person))
    if as_json:
        emit({"resident": name, "at": act.at, "via": act.public["via"], "entry": act.seq})
        return
    show(f"Acknowledged at {act.at}, ledger entry {act.seq}.")


@app.command("export")
def export(
    ctx: typer.Context,
    name: Name,
    what: Annotated[
        str, typer.Option(help="callers (with their acknowledgements) or notices (every message).")
    ] = "callers",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: standard output.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write callers, notices and acknowledgements as CSV. The file has personal data. No cell is run as a formula.

    Example:  emeritus callers export my-model -o callers.csv
    """
    import csv
    import io

    from emeritus.errors import InputError
    from emeritus.lifecycle import caller_queries, queries

    if what not in ("callers", "notices"):
        raise InputError(f"{what!r} cannot be exported", remedy="Use --what callers or --what notices.")
    with flags_of(ctx).app() as app, app.database.reading() as session:
        queries.resident(session, name)
        views: Any = (
            caller_queries.callers(session, name) if what == "callers" else caller_queries.notices(session, name)
        )
    text = io.StringIO()
    csv.writer(text).writerows(caller_queries.as_rows(views))
    if output is not None:
        _write(output, text.getvalue())
    if as_json:
        emit({"rows": len(views), "output": None if output is None else str(output)})
        return
    show(f"{len(views)} rows in {output}." if output is not None else text.getvalue().rstrip("\r\n"))


@app.command("erase")
def erase(
    ctx: typer.Context,
    name: Name,
    caller: Annotated[str, typer.Argument(help="The caller's id; `emeritus callers list` shows it.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Erase one caller's data everywhere; counts, commitments and every proof stay.

    Example:  emeritus callers erase my-model 0123456789abcdef
    """
    with flags_of(ctx).app() as app:
        app.lifecycle.callers.erase(name, caller, actor_from(person))
    if as_json:
        emit({"resident": name, "erased": caller})
        return
    show(f"Erased {caller}.")


@app.command("brown-out")
def brown_out(
    ctx: typer.Context,
    name: Name,
    starts: Annotated[
        str, typer.Option("--from", metavar="MOMENT", help="When calls begin to fail: 2027-02-01T09:00Z.")
    ],
    ends: Annotated[str, typer.Option("--until", metavar="MOMENT", help="When they are answered again.")],
    reason: Annotated[str, typer.Option(help="Why; becomes public.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Announce a window in which calls to a model that is still offered fail with their own error, and tell callers.

    It is announced a day ahead or more, and lasts a day at most.

    Example:  emeritus callers brown-out my-model --from 2027-02-01T09:00Z --until 2027-02-01T11:00Z --reason "A test"
    """
    with flags_of(ctx).app() as app:
        found = app.calling.plan_brown_out(name, (starts, ends), reason, actor_from(person))
        app.run(app.outbox.deliver())
    if as_json:
        emit(found)
        return
    show(f"Announced as {found['brown_out']}; {found['sent']} callers told.")
    show(f"To cancel it: emeritus callers cancel {found['brown_out']} --reason REASON")


@app.command("windows")
def windows(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this resident's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List brown-outs, cancelled ones too.

    Example:  emeritus callers windows
    """
    from emeritus.lifecycle import caller_queries

    with flags_of(ctx).app() as app, app.database.reading() as session:
        views = caller_queries.brown_outs(session, name)
    if as_json:
        emit([asdict(view) for view in views])
        return
    for view in views:
        cancelled = f"  cancelled: {view.cancelled_for}" if view.cancelled_at else ""
        show(f"{view.id}  {view.resident}  {view.starts} to {view.ends}  {view.reason}{cancelled}")
    if not views:
        show("No brown-out has been planned.")


@app.command("cancel")
def cancel(
    ctx: typer.Context,
    brown_out: Annotated[str, typer.Argument(help="The brown-out's id.")],
    reason: Annotated[str, typer.Option(help="Why; becomes public.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Cancel a brown-out, also one that has begun, and tell the callers.

    Example:  emeritus callers cancel b-0123456789ab --reason "An incident elsewhere"
    """
    with flags_of(ctx).app() as app:
        found = app.calling.cancel_brown_out(brown_out, reason, actor_from(person))
        app.run(app.outbox.deliver())
    if as_json:
        emit(found)
        return
    show(f"Cancelled {brown_out}; {found['sent']} callers told.")


def _outbox(opened: App) -> str | None:
    folder = opened.outbox.folder
    return None if folder is None else str(folder)


def _write(path: Path, text: str) -> None:
    """A new file that other accounts cannot read. Raises AlreadyExists."""
    import os

    from emeritus.errors import AlreadyExists

    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise AlreadyExists(f"{path} exists already", remedy="Give the name of a new file.") from error
    with open(fd, "w", encoding="utf-8", newline="") as file:
        file.write(text)
