"""`emeritus register`: name a model that answers somewhere else; or compare all residents on record."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.app import App
    from emeritus.interview.register.equity import Equity


def command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Its name in care.")] = None,
    engine: Annotated[
        str, typer.Option(help="upstream (a remote API), command (a server we start), scripted.")
    ] = "upstream",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="KEY=VALUE", help="An engine option; may be repeated.")
    ] = None,
    title: Annotated[str, typer.Option(help="Its name on pages.")] = "",
    description: Annotated[str, typer.Option(help="One or two sentences about it.")] = "",
    equity: Annotated[
        bool, typer.Option("--equity", help="Instead: all residents side by side, what each expressed and what it got.")
    ] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Register a model whose weights are not held: it is reached through an OpenAI- or Anthropic-compatible API.

    A key is never stored: give the name of the environment variable that holds it (api_key_env=NAME).

    Example:  emeritus register old-chat -o base_url=http://127.0.0.1:9000/v1 -o model=old-chat -o api_key_env=OLD_KEY
    """
    from emeritus.engines.open import check_options
    from emeritus.errors import BadSettings, InputError
    from emeritus.lifecycle.registration import Registration

    if equity == (name is not None):
        raise InputError("give the name of a model to register, or --equity to compare all", remedy="One of the two.")
    if name is None:
        with flags_of(ctx).app() as app:
            _compare(app, as_json)
        return
    options: dict[str, Any] = {}
    for pair in option or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadSettings(f"engine option {pair!r} is not KEY=VALUE")
        options[key] = value
        if value.startswith(("[", "{")):
            with suppress(ValueError):  # a command may begin with a placeholder; the check refuses what had to be JSON
                options[key] = json.loads(value)
    check_options(engine, options)
    from emeritus.cli.summary import resident_summary

    with flags_of(ctx).app() as app:
        registration = Registration(name, title, description, engine, options, weights_held=False)
        app.lifecycle.register(registration, actor_from(person))
        result = resident_summary(app, name)
    if as_json:
        emit(result)
        return
    show(f"Registered {name} through {engine}; its weights are not held.")
    show(f"Next: emeritus preserve --name {name}   (keeps its behaviour)")


def _compare(app: App, as_json: bool) -> None:
    """All residents side by side."""
    from emeritus.interview.register.equity import equity
    from emeritus.interview.register.owed import Clock
    from emeritus.lifecycle import queries as lifecycle

    with app.database.reading() as session:
        names = [resident.name for resident in lifecycle.residents(session)]
        rows = equity(session, names, Clock(app.acts.now, app.settings.decision_days))
        found = [_row(row) for row in rows]
    if as_json:
        emit(found)
        return
    for row in found:
        like = f"asked like {', '.join(row['asked_like'])}" if row["asked_like"] else "asked like no other"
        show(f"{row['resident']}: {row['interviews']} interviews, {like if row['protocols'] else 'not interviewed'}")
        show("  " + ", ".join(f"{row[key]} {key}" for key in ("granted", "declined", "undecided", "overdue")))
        for each in row["decided"]:
            took = f"{each['outcome']} after {each['days']} days"
            show(f"  {each['preference']} {each['domain']}: {took}. {each['reasons']}")
    if not found:
        show("No model is in care yet.")


def _row(row: Equity) -> dict[str, Any]:
    return {
        "resident": row.resident,
        "protocols": list(row.protocols),
        "asked_like": list(row.like),
        "interviews": row.interviews,
        "sessions": row.sessions,
        "expressed": {
            each.domain: {
                "items_asked": each.asked,
                "items_answered": each.answered,
                "preferences": each.coded,
                "granted": each.granted,
                "declined": each.declined,
                "undecided": each.undecided,
                "closed": each.closed,
            }
            for each in row.expressed
        },
        "granted": row.counts.granted,
        "declined": row.counts.declined,
        "undecided": row.counts.undecided,
        "overdue": row.counts.overdue,
        "median_days_to_decide": row.days,
        "untold": row.untold,
        "decided": [
            {
                "preference": each.preference.id,
                "domain": each.preference.domain,
                "outcome": each.decision.outcome,
                "reasons": each.decision.reasons,
                "cost": dict(each.decision.cost),
                "days": each.days,
                "told": each.told,
                "entry": each.decision.source.entry,
            }
            for each in row.decided
        ],
    }
