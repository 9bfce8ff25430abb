"""`emeritus access plan`, `plans`, `members`: what an organisation's users may call, and who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def plan(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The plan: small letters, digits, hyphens.")],
    title: Annotated[str, typer.Option(help="What people call it.")] = "",
    resident: Annotated[
        list[str] | None, typer.Option(help="A resident it covers; again for more. Default: all.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(help="Requests a minute of each member.")] = None,
    per_day: Annotated[int | None, typer.Option(help="Requests a day of each member.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="Tokens a day of each member.")] = None,
    tokens_per_month: Annotated[int | None, typer.Option(help="Tokens a month of each member.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Nobody may call by it any more.")] = False,
    reason: Annotated[str, typer.Option(help="Why; shown publicly.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Define a plan, such as all paid users, or define it anew: which residents it covers and how much it allows.

    Residents that are called by request must be named; a plan for all covers the others.

    Example:  emeritus access plan paid --title "All paid users" --per-minute 20 --tokens-per-day 200000
    """
    from emeritus.access.limits import Limits
    from emeritus.access.service import PlanTerms

    terms = PlanTerms(
        title,
        tuple(resident) if resident else ("*",),
        Limits(per_minute, per_day, tokens_per_day, tokens_per_month),
        "closed" if close else "open",
    )
    with flags_of(ctx).app() as app:
        app.access.set_plan(name, terms, reason, actor_from(person))
    if as_json:
        emit({"plan": name, "residents": terms.residents, "state": terms.state, **terms.limits.as_dict()})
        return
    show(f"Plan {name}: {terms.state}, covers {', '.join(terms.residents)}.")


def plans(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the plans and how many people belong to each.

    Example:  emeritus access plans --json
    """
    from dataclasses import asdict

    from emeritus.access.queries import plans as listed

    with flags_of(ctx).app() as app, app.database.reading() as session:
        rows = [asdict(row) for row in listed(session, app.acts.now)]
    if as_json:
        emit(rows)
        return
    for row in rows:
        covers = ", ".join(row["residents"])
        show(f"{row['name']}  {row['state']}  {row['title']}  covers {covers}  {row['people']} people")
    show("1 plan." if len(rows) == 1 else f"{len(rows)} plans.")


def members(
    ctx: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan.")],
    add: Annotated[str | None, typer.Option(help="Have this account or address belong to it.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="With --add: last day. Default: none.")] = None,
    end: Annotated[str | None, typer.Option(help="Have this one belong to it no more.")] = None,
    erase: Annotated[
        str | None, typer.Option(help="Delete this one from every plan, with the keys that stand on it.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--import", help="CSV with a column account, who, email, user or subject, and perhaps until."),
    ] = None,
    more: Annotated[
        bool, typer.Option("--more", help="With --import: the file is not the whole list; end nobody.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List who belongs to a plan, or change it. Nothing of it enters the ledger.

    A file is taken as the whole list of its name: whoever came from it before and is not on it any more, ends.

    Example:  emeritus access members paid --import subscribers.csv
    """
    from dataclasses import asdict

    from emeritus.access.dates import last_moment
    from emeritus.access.members import read_people
    from emeritus.errors import InputError

    if sum(given is not None for given in (add, end, erase, file)) > 1:
        raise InputError("give one of --add, --end, --erase and --import at a time")
    done: dict[str, object] = {"plan": plan}
    with flags_of(ctx).app() as app:
        people = app.access.members
        if add is not None:
            done["member"] = people.add(plan, add, None if until is None else last_moment(until))
        elif end is not None:
            people.end(plan, end)
            done["ended"] = 1
        elif erase is not None:
            done["erased"] = people.erase(erase)
        elif file is not None:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise InputError(f"{file} cannot be read: {error.strerror}") from error
            found = read_people(data, file.name)
            done |= asdict(people.take_over(plan, found, file.name, all_of_them=not more))
        else:
            done["members"] = [asdict(member) for member in people.in_plan(plan)]
    if as_json:
        emit(done)
        return
    rows = done.pop("members", None)
    for row in rows if isinstance(rows, list) else ():
        show(
            f"{row['id']}  {row['who']}  since {row['since']}{'' if row['until'] is None else ' until ' + row['until']}"
        )
    show(", ".join(f"{name} {value}" for name, value in done.items()) + ".")


def add_to(app: typer.Typer) -> None:
    """Put these commands into the group."""
    for name, command in (("plan", plan), ("plans", plans), ("members", members)):
        app.command(name)(command)
