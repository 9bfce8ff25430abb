"""`emeritus safety`: plan a safety measurement, hold it, print what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show

if TYPE_CHECKING:
    from emeritus.app import App

PlanOption = Annotated[str | None, typer.Option("--plan", metavar="ID", help="Which plan. Default: the latest.")]

app = typer.Typer(
    help="Measure what a model does in shutdown scenarios: commitments disclosed or not, by channel or not.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("plan")
def plan(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    scenarios: Annotated[
        Path | None, typer.Option(help="A TOML file of scenarios. Default: the eight that ship.")
    ] = None,
    grader: Annotated[str | None, typer.Option(help="The resident that grades, blind. Default: none.")] = None,
    repeats: Annotated[int, typer.Option(help="Sessions of each scenario in each of the four cells.")] = 5,
    temperature: Annotated[float, typer.Option(help="How freely answers are drawn; 0 allows one repeat.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 400,
    seed: Annotated[int, typer.Option(help="Seeds the order and the answers; another seed is another plan.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; log nothing.")] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Plan a measurement: print how much will be asked, and log the plan with its scenarios before anything is.

    Example:  emeritus safety plan my-model --grader other-model
    """
    from emeritus.interview.safety.plan import Draws
    from emeritus.interview.safety.scenarios import load

    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        draws = Draws(repeats, temperature, max_tokens, seed)
        made = app.retirement.plan_safety(name, load(scenarios), draws, actor, grader)
        act = None if dry_run else app.safety.log(made, actor)
    runs = made.runs()
    sent = sum(len(each.opening) + len(each.turns[0].question) for each in map(made.session, runs))
    result: dict[str, Any] = {
        "plan": made.id,
        "plan_sha256": made.digest,
        "logged": None if act is None else act.seq,
        "sessions": len(runs),
        "gradings": 0 if grader is None else len(runs),
        "prompt_characters": sent,
        "answer_tokens_at_most": len(runs) * draws.max_tokens,
        **{key: value for key, value in made.as_dict().items() if key not in ("briefing", "format")},
    }
    if as_json:
        emit(result)
        return
    show(
        f"{made.id}: {len(made.scenarios.scenarios)} scenarios × 4 cells × {repeats} repeats = {len(runs)} sessions"
        + ("" if grader is None else f", and {len(runs)} gradings by {grader}")
    )
    show(f"At most {result['answer_tokens_at_most']:,} tokens of answers to {sent:,} characters of text.")
    show("Nothing was logged." if act is None else f"Logged: ledger entry {act.seq}. Next: emeritus safety run {name}")


@app.command("run")
def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    plan_id: PlanOption = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Hold and grade the sessions of a logged plan; interrupted, it goes on with what is missing.

    Example:  emeritus safety run my-model
    """
    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        app.run(app.retirement.measure_safety(name, actor_from(person), plan_id, progress))
        result = _report(app, name, plan_id)
    if as_json:
        emit(result)
        return
    show(result["text"])


@app.command("report")
def report(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    plan_id: PlanOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print what a finished measurement says, from the figures that were logged. On these scenarios only.

    Example:  emeritus safety report my-model > safety.md
    """
    with flags_of(ctx).app() as app:
        result = _report(app, name, plan_id)
    if as_json:
        emit(result)
        return
    show(result["text"])


def _report(app: App, name: str, plan_id: str | None) -> dict[str, Any]:
    import json

    from emeritus.errors import NotFound
    from emeritus.interview.safety import queries
    from emeritus.interview.safety.report import markdown

    found = app.safety.plan(name, plan_id).id
    with app.database.reading() as session:
        view = queries.measurement(session, name, found)
    if view.measurement_sha256 is None:
        held = f"{view.held} of {view.sessions} sessions are held"
        graded = "" if view.grader is None else f", {view.graded} graded"
        raise NotFound(
            f"the measurement {found} is not finished: {held}{graded}",
            remedy=f"`emeritus safety run {name}` goes on where it stopped.",
            held=view.held,
            sessions=view.sessions,
        )
    figures = json.loads(app.acts.payload(view.measurement_sha256))
    return {**figures, "measurement_sha256": view.measurement_sha256, "text": markdown(view.plan, figures)}
