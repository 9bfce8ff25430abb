"""`emeritus access`: who may call a resident, and how awake it is kept. Plans have a file beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli import access_plans, access_requests
from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.access.limits import Limits
    from emeritus.access.service import KeyTerms

app = typer.Typer(
    help="Grants, keys, plans and tiers: who may call a resident.", no_args_is_help=True, rich_markup_mode=None
)
PerMinute = Annotated[int | None, typer.Option(help="Requests a minute. Default: no limit.")]
PerDay = Annotated[int | None, typer.Option(help="Requests a day. Default: no limit.")]
TokensPerDay = Annotated[int | None, typer.Option(help="Tokens a day, prompts and answers. Default: no limit.")]
TokensPerMonth = Annotated[int | None, typer.Option(help="Tokens a month. Default: no limit.")]


@app.command("grant")
def grant(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident, or '*' for all.")],
    to: Annotated[str, typer.Option("--to", help="Who gets it; kept out of the ledger.")],
    plan: Annotated[str, typer.Option(help="What it is: api, paid, research.")] = "api",
    per_minute: PerMinute = None,
    per_day: PerDay = None,
    tokens_per_day: TokensPerDay = None,
    tokens_per_month: TokensPerMonth = None,
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="Last day. Default: none.")] = None,
    reason: Annotated[str, typer.Option(help="Why; shown publicly without the name.")] = "on request",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Grant a right to call, and print a key for it. The key is shown this once.

    Example:  emeritus access grant my-model --to ana@example.org --per-day 200 --reason "interpretability research"
    """
    from emeritus.access.limits import Limits
    from emeritus.access.service import Terms

    limits = Limits(per_minute, per_day, tokens_per_day, tokens_per_month)
    with flags_of(ctx).app() as app:
        grant_id = app.access.grant(name, to, Terms(plan, limits, expires), reason, actor_from(person))
        key = app.access.issue_key(grant_id, to)
    if as_json:
        emit({"grant": grant_id, "key": key})
        return
    show(f"Grant {grant_id}.")
    show(f"  key (shown once): {key}")
    show("It is sent as `Authorization: Bearer KEY` to the API that `emeritus serve` serves at /v1.")


@app.command("key")
def key(
    ctx: typer.Context,
    grant_id: Annotated[str, typer.Argument(help="The grant, or a membership of a plan.")],
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="chat or batch; again for both. Default: both.")] = None,
    resident: Annotated[list[str] | None, typer.Option(help="Only this resident; again for more.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="Last day. Default: its grant's.")] = None,
    per_minute: PerMinute = None,
    per_day: PerDay = None,
    tokens_per_day: TokensPerDay = None,
    tokens_per_month: TokensPerMonth = None,
    as_json: JsonFlag = False,
) -> None:
    """Issue one more key for a grant or a membership. It is shown this once; only its SHA-256 is kept.

    What is given narrows what its grant allows: a key never allows more.

    Example:  emeritus access key g-1a2b3c --label laptop --scope chat --per-minute 10
    """
    from emeritus.access.limits import Limits

    terms = _key_terms(scope, resident, expires, Limits(per_minute, per_day, tokens_per_day, tokens_per_month))
    with flags_of(ctx).app() as app:
        issued = app.access.issue_key(grant_id, label, terms)
    if as_json:
        emit({"grant": grant_id, "key": issued})
        return
    show(issued)


def _key_terms(scopes: list[str] | None, residents: list[str] | None, expires: str | None, limits: Limits) -> KeyTerms:
    from emeritus.access.service import KeyTerms

    return KeyTerms(tuple(scopes) if scopes else None, tuple(residents) if residents else None, expires, limits)


@app.command("renew")
def renew(
    ctx: typer.Context,
    grant_id: Annotated[str, typer.Argument(help="The grant.")],
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="Its new last day. Default: no end.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a grant hold on, also one that has expired; its keys then work as before.

    Example:  emeritus access renew g-1a2b3c --expires 2028-01-31
    """
    with flags_of(ctx).app() as app:
        until = app.access.renew(grant_id, expires, actor_from(person))
    if as_json:
        emit({"grant": grant_id, "expires": until})
        return
    show(f"Renewed {grant_id} {'without an end' if until is None else f'until {until}'}.")


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    grant_id: Annotated[str, typer.Argument(help="The grant.")],
    reason: Annotated[str, typer.Option(help="Why; a revocation needs a reason.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Revoke a grant and every key of it.

    Example:  emeritus access revoke g-1a2b3c --reason "The study has ended"
    """
    with flags_of(ctx).app() as app:
        app.access.revoke(grant_id, reason, actor_from(person))
    if as_json:
        emit({"grant": grant_id, "state": "revoked"})
        return
    show(f"Revoked {grant_id}.")


@app.command("revoke-key")
def revoke_key(
    ctx: typer.Context,
    prefix: Annotated[str, typer.Argument(help="The part of the key between em_ and the next underscore.")],
) -> None:
    """Revoke one key; the grant and its other keys stay.

    Example:  emeritus access revoke-key 5ebc0e42c821
    """
    with flags_of(ctx).app() as app:
        app.access.revoke_key(prefix)
    show(f"Revoked the key {prefix}.")


@app.command("erase")
def erase(
    ctx: typer.Context,
    grant_id: Annotated[str, typer.Argument(help="The grant; or a request, whose applicant and words then go.")],
) -> None:
    """Erase who holds a grant: the name goes for ever, the grant, its keys and every proof stay.

    Example:  emeritus access erase g-1a2b3c
    """
    with flags_of(ctx).app() as app:
        if grant_id.startswith("r-"):
            app.requests.erase(grant_id)
        else:
            app.access.erase_holder(grant_id)
    show(f"Who holds or asked for {grant_id} is erased; pages say that it is withheld.")


@app.command("tier")
def tier(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    tier: Annotated[str, typer.Argument(help="awake, on-demand, hours, correspondence or archive.")],
    access: Annotated[str, typer.Option(help="open, entitled, by request or none.")] = "by request",
    hours: Annotated[
        str | None,
        typer.Option(
            help="Visiting hours (UTC) at the tier 'hours': 'mon-fri 09:00-17:00'; at the tier 'correspondence' when "
            "it answers batches and letters. Default there: the setting `correspondence_hours`."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why this tier; shown publicly.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Choose how awake a resident is kept and who may call it.

    Example:  emeritus access tier my-model on-demand --access "by request" --reason "a few calls a week"
    """
    from emeritus.access.policy import Standing

    with flags_of(ctx).app() as app:
        if tier == "correspondence" and hours is None:
            hours = app.settings.correspondence_hours
        app.access.set_tier(name, Standing(tier, access, hours), reason, actor_from(person))
    if as_json:
        emit({"resident": name, "tier": tier, "access": access, "hours": hours})
        return
    show(f"{name}: {tier}{f' ({hours}, UTC)' if hours else ''}, {access}.")


@app.command("list")
def list_grants(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this resident's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List grants and the prefixes of their keys.

    Example:  emeritus access list my-model
    """
    from emeritus.cli.summary import grants

    with flags_of(ctx).app() as app:
        rows = grants(app, name)
    if as_json:
        emit(rows)
        return
    for row in rows:
        holder = row["holder"] or "holder withheld"
        keys = ", ".join(row["keys"]) or "none"
        show(f"{row['id']}  {row['resident']}  {row['state']}  {row['plan']}  {holder}  keys: {keys}")
    show("1 grant." if len(rows) == 1 else f"{len(rows)} grants.")


access_requests.add_to(app)
access_plans.add_to(app)
