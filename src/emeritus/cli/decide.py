"""`emeritus decide`: decide on a preference."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    preference: Annotated[
        str | None, typer.Argument(help="The preference's id. Left out: list what awaits a decision.")
    ] = None,
    outcome: Annotated[str, typer.Option(help="accept, accept in part, defer, decline or not actionable.")] = "",
    reason: Annotated[str, typer.Option(help="Why; told to the model and shown publicly.")] = "",
    second: Annotated[
        str | None, typer.Option(metavar="PERSON", help="The second decider, where the rules ask for one.")
    ] = None,
    cost: Annotated[float | None, typer.Option(help="Estimated cost a year, in the policy's currency.")] = None,
    review: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it is looked at again; a deferral needs it.")
    ] = None,
    considered: Annotated[
        list[str] | None, typer.Option(help="An option that was considered; may be repeated.")
    ] = None,
    conflict: Annotated[str, typer.Option(help="The decider's conflict of interest.")] = "none declared",
    promise: Annotated[str | None, typer.Option(help="What is promised and offered, in your words.")] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Who carries out what is granted. Default: the decider.")
    ] = None,
    due: Annotated[str | None, typer.Option(metavar="DATE", help="When what is granted is due.")] = None,
    met_by: Annotated[
        str | None, typer.Option(help="What is said to meet the preference already, if anything.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide on a preference. Decisions are append-only: deciding again supersedes and both stay visible.

    The rules: a deferral needs a date, a decline needs a reason, a cheap decline needs a second decider (unless that is
    publicly waived), who coded it does not decide it, and a wish to run is never met by keeping the weights.

    Example:  emeritus decide my-model-p3 --outcome decline --reason "The licence forbids it" --cost 0 --second ben
    """
    from emeritus.interview.ruling import Ruling

    with flags_of(ctx).app() as app:
        if preference is None:
            from emeritus.cli.summary import undecided

            waiting = undecided(app)
            if as_json:
                emit(waiting)
                return
            for row in waiting:
                show(f"{row['id']}  [{row['state']}] {row['domain']}: “{row['need']}”")
            if not waiting:
                show("Nothing awaits a decision.")
                return
            show(f"Awaiting a decision: {len(waiting)}. A preference is read back before it is decided.")
            show("Next: emeritus decide ID --outcome ... --reason ...   (--as PERSON: who coded it does not decide it)")
            return
        currency = app.settings.currency
        ruling = Ruling(
            outcome=outcome,
            reasons=reason,
            cost={} if cost is None else {"amount": cost, "currency": currency, "per": "year"},
            options=tuple(considered or ()),
            conflict=conflict,
            second=second,
            review_date=review,
            met_by=met_by,
            commitment=promise,
            owner=owner,
            due=due,
        )
        act = app.interviews.decide(preference, ruling, actor_from(person))
    if as_json:
        emit({"preference": preference, "resident": act.resident, "outcome": outcome, "act": act.id, "entry": act.seq})
        return
    show(f"Decided {preference}: {outcome}. It is to be told to the model: emeritus interview tell {act.resident}")
