"""`emeritus decide`: decide on a preference; also publish it, take it up, reopen it, appeal, and answer an appeal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.acts import Act, Actor
    from emeritus.app import App

Json = dict[str, Any]


def command(
    ctx: typer.Context,
    preference: Annotated[str | None, typer.Argument(help="The preference's id. Left out: list what is owed.")] = None,
    outcome: Annotated[str, typer.Option(help="accept, accept in part, defer, decline or not actionable.")] = "",
    reason: Annotated[str, typer.Option(help="Why; told to the model and shown publicly.")] = "",
    second: Annotated[
        str | None, typer.Option(metavar="PERSON", help="The second decider, where the rules ask for one.")
    ] = None,
    cost: Annotated[float | None, typer.Option(help="Estimated cost a year, in the policy's currency.")] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Compute the cost from the unit prices of the settings; alone: show it.")
    ] = False,
    tier: Annotated[
        str | None, typer.Option(help="With --estimate: the tier a grant would need. Default: on-demand.")
    ] = None,
    calls_per_day: Annotated[
        float, typer.Option(min=0, help="With --estimate: calls a day that a grant would bring.")
    ] = 0.0,
    copies: Annotated[
        int, typer.Option(min=0, help="With --estimate: further copies of the weights that a grant would mean.")
    ] = 0,
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
    publish: Annotated[bool, typer.Option("--publish", help="State the record as published, with its sha256.")] = False,
    take_up: Annotated[bool, typer.Option("--take-up", help="State that it is under review.")] = False,
    reopen: Annotated[bool, typer.Option("--reopen", help="Reopen it, with a --reason; a decision is owed.")] = False,
    appeal: Annotated[bool, typer.Option("--appeal", help="Appeal against the decision, with a --reason.")] = False,
    from_model: Annotated[
        bool, typer.Option("--from-model", help="With --appeal: on the model's reply when it was told.")
    ] = False,
    answer: Annotated[
        Literal["upheld", "rejected"] | None, typer.Option(help="Answer the appeal, with a --reason.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Decide on a preference. Decisions are append-only: deciding again supersedes and both stay visible.

    The rules: a deferral needs a date, a decline needs a reason, a cheap decline needs a second decider (unless that is
    publicly waived), who coded it does not decide it, and a wish to run is never met by keeping the weights. An appeal
    is answered by someone who did not decide; upheld, it reopens the preference.

    Example:  emeritus decide my-model-p3 --outcome decline --reason "The licence forbids it" --cost 0 --second ben
    """
    from emeritus.errors import InputError
    from emeritus.interview.register.ruling import Ruling

    asked = {
        "--publish": publish,
        "--take-up": take_up,
        "--reopen": reopen,
        "--appeal": appeal,
        "--answer": answer is not None,
        "--outcome": bool(outcome),
    }
    given = [flag for flag, there in asked.items() if there]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} are different acts", remedy="Give one of them at a time.")
    if estimate and cost is not None:
        raise InputError("--cost and --estimate are two ways to state one cost", remedy="Give one of them.")
    if estimate and given not in ([], ["--outcome"]):
        raise InputError(f"{given[0]} has no cost", remedy="--estimate goes with --outcome, or alone.")
    if not estimate and (tier is not None or calls_per_day or copies):
        raise InputError("--tier, --calls-per-day and --copies belong to --estimate", remedy="Add --estimate.")
    if from_model and not appeal:
        raise InputError("--from-model belongs to --appeal", remedy="Add --appeal.")
    with flags_of(ctx).app() as app:
        if preference is None:
            if given or estimate:
                raise InputError(f"{(given or ['--estimate'])[0]} needs a preference", remedy="Give its id first.")
            _list(app, as_json)
            return
        stated = {} if cost is None else {"amount": cost, "currency": app.settings.currency, "per": "year"}
        if estimate:
            stated = app.retirement.cost_of(preference, tier, calls_per_day, copies)
            if not given:
                _show_cost(stated, as_json)
                return
        if given and given != ["--outcome"]:
            verdict = None if answer is None else answer == "upheld"
            act = _other(app, preference, reason, actor_from(person), (given[0], from_model, verdict))
            _done(act, given[0].removeprefix("--"), as_json)
            return
        ruling = Ruling(
            outcome=outcome,
            reasons=reason,
            cost=stated,
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


def _other(app: App, preference: str, reason: str, actor: Actor, what: tuple[str, bool, bool | None]) -> Act:
    from emeritus.interview.register.recourse import Answer

    flag, from_model, upheld = what
    if flag == "--publish":
        return app.recourse.publish(preference, actor)
    if flag == "--take-up":
        return app.recourse.take_up(preference, actor)
    if flag == "--reopen":
        return app.recourse.reopen(preference, reason, actor)
    if flag == "--appeal":
        return app.recourse.appeal(preference, reason, actor, of_the_model=from_model)
    return app.recourse.answer(preference, Answer(bool(upheld), reason), actor)


def _done(act: Act, what: str, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "preference": act.public["preference"],
                "resident": act.resident,
                "act": act.id,
                "kind": act.kind,
                "entry": act.seq,
            }
        )
        return
    words = {
        "publish": "published",
        "take-up": "under review",
        "reopen": "reopened; a decision is owed",
        "appeal": "appealed against; an answer is owed by someone who did not decide",
        "answer": "appeal answered",
    }
    then = f" It is to be told to the model: emeritus interview tell {act.resident}" if what == "answer" else ""
    show(f"{act.public['preference']}: {words[what]} (ledger entry {act.seq}).{then}")


def _show_cost(cost: Json, as_json: bool) -> None:
    if as_json:
        emit(cost)
        return
    show(f"Estimated cost of granting it: {cost['amount']:,.2f} {cost['currency']} a {cost['per']}.")
    for name, part in cost["parts"].items():
        show(f"  {name}: {part:,.4f}")
    show(f"  how: {cost['how']}")
    for title in ("inputs", "unit_prices"):
        show(f"  {title.replace('_', ' ')}: {', '.join(f'{name} {value}' for name, value in cost[title].items())}")
    show("Nothing was recorded. With --outcome and --reason the decision records it.")


def _list(app: App, as_json: bool) -> None:
    """What is owed on every preference, soonest first."""
    from emeritus.interview import queries

    with app.database.reading() as session:
        found = queries.preferences(session, app.acts.now, app.settings.decision_days)
        rows = [
            {
                "id": each.id,
                "resident": each.resident,
                "domain": each.domain,
                "need": each.need,
                "paraphrase": each.paraphrase,
                "state": each.state,
                "owed": due.what,
                "by": due.by,
                "overdue": due.overdue,
            }
            for each in found
            for due in each.owed
        ]
    rows.sort(key=lambda row: (row["by"], row["id"]))
    if as_json:
        emit(rows)
        return
    for row in rows:
        late = ", OVERDUE" if row["overdue"] else ""
        show(f"{row['id']}  [{row['state']}] {row['owed']} by {row['by']}{late}  {row['domain']}: “{row['need']}”")
    if not rows:
        show("Nothing awaits a decision.")
        return
    show(f"Owed: {len(rows)}. A preference is read back before it is decided.")
    show("Next: emeritus decide ID --outcome ... --reason ...   (--as PERSON: who coded it does not decide it)")
