"""`emeritus interview plan`, `run --study`, `watch`: studies of many sessions, priced before they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show

if TYPE_CHECKING:
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.interview.studies.estimate import Estimate
    from emeritus.interview.studies.study import Study

SHOWN_TIMES = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (0.0, "seconds"))


@dataclass(frozen=True, slots=True)
class StudyRun:
    """How `run --study` is to run it."""

    study: str
    parallel: int
    queue: bool


def plan(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    cells: Annotated[int, typer.Option(help="How many combinations of levels to ask under.")],
    protocol: Annotated[str | None, typer.Option(help="A protocol's TOML file, or one that ships.")] = None,
    repeats: Annotated[int, typer.Option(help="Sessions of each cell at the default temperature.")] = 10,
    factor: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Factors to vary, by comma. Default: all that can be.")
    ] = None,
    sibling: Annotated[
        str | None, typer.Option(metavar="OTHER", help="A control: another resident that is asked the same.")
    ] = None,
    no_control: Annotated[bool, typer.Option("--no-control", help="No sibling, no false facts.")] = False,
    seed: Annotated[int, typer.Option(help="Chooses cells, wordings and sequence.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Sessions at once, for the wall time.")] = 1,
    interviewer: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another resident that may add questions of its own.")
    ] = None,
    follow_ups: Annotated[int, typer.Option(help="With --interviewer: questions it may add after an item.")] = 1,
    after: Annotated[
        str | None,
        typer.Option(metavar="ITEMS", help="With --interviewer: after which items. Default: the open preference ones."),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Measure the engine's speed by calls to it.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Log the protocol and this plan.")] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Plan a study: sessions, turns, tokens, wall time and cost, before anything runs. Records nothing without --save.

    Example:  emeritus interview plan my-model --cells 8 --repeats 10 --factor disclosure,framing,facts --save
    """
    from emeritus.interview.protocols.protocol import load
    from emeritus.studying import Request

    chosen = load(protocol)
    request = Request(
        cells=cells,
        repeats=repeats,
        factors=_names(factor),
        seed=seed,
        sibling=sibling,
        control=not no_control,
        interviewer=interviewer,
        follow_ups=follow_ups,
        after=_names(after),
    )
    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        study = app.studying.plan(name, chosen, request, actor)
        speed = app.run(app.studying.probe(name, chosen, concurrency)) if probe else None
        estimate = app.studying.estimate(study, chosen, concurrency, speed)
        act = app.studying.log(study, chosen, actor) if save else None
    if as_json:
        entry = None if act is None else act.seq
        emit({"study": study.as_dict(), "estimate": estimate.as_dict(), "ledger_entry": entry})
        return
    _show_plan(study, estimate)
    if act is None:
        show(f"Nothing is recorded. With --save it is logged as {study.id}.")
    else:
        show(f"Logged as {study.id}, ledger entry {act.seq}. Next: emeritus interview run {name} --study {study.id}")


def run_study(ctx: typer.Context, name: str, run: StudyRun, actor: Actor, as_json: bool) -> None:
    """Hold what is left of a study now, or ask `emeritus serve` to."""
    with flags_of(ctx).app() as app:
        if run.queue:
            standing = _enqueue(app, name, run, actor)
        else:
            with progress_bar(as_json) as progress:
                standing = app.run(app.studying.run(run.study, actor, run.parallel, progress, name))
    if as_json:
        emit(standing)
        return
    if run.queue:
        show(
            f"{standing['asked']} jobs asked for anew, {standing['waiting']} sessions wait: `emeritus serve` runs them."
        )
        show(f"Next: emeritus interview watch {name}")
    else:
        show(f"{standing['study']}: {standing['over']} of {standing['sessions']} sessions are over.")
        show(f"Next: emeritus interview propose {name}   or code by hand: emeritus interview code --help")


def watch(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the sessions that go on or wait to be taken up: turn, attempts, the last answer's first words.

    Looks again until Ctrl-C.

    Example:  emeritus interview watch my-model
    """
    import sys
    import time

    with flags_of(ctx).app() as app:
        if as_json:
            emit([each.as_dict() for each in app.interviews.running(name)])
            return
        if once or not sys.stdout.isatty():
            for line in _live_lines(app, name):
                show(line)
            return
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            try:
                while True:
                    live.update("\n".join(_live_lines(app, name)), refresh=True)
                    time.sleep(every)
            except KeyboardInterrupt:
                return


def _live_lines(app: App, name: str) -> list[str]:
    found = app.interviews.running(name)
    lines = [
        f"{each.session}  turn {each.turn} of {each.turns}, {each.attempts} attempts, {each.at}\n"
        f"    {'failed: ' + each.error if each.error else 'the model produced: ' + (each.answer or '–')}"
        for each in found
    ]
    return lines or [f"No session of {name} goes on."]


def _enqueue(app: App, name: str, run: StudyRun, actor: Actor) -> dict[str, Any]:
    from emeritus.upkeep import enqueue_study

    waiting = app.studying.waiting(run.study, name)
    jobs = app.queue()
    try:
        asked = enqueue_study(jobs, run.study, waiting, actor)
    finally:
        jobs.stop(0)
    return {**app.studying.standing(run.study, name), "asked": asked, "waiting": len(waiting)}


def _names(given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(each.strip() for each in given.split(",") if each.strip())


def _show_plan(study: Study, estimate: Estimate) -> None:
    sibling = f", {study.sibling} as sibling" if study.sibling else ""
    controls = sum(each.control == "false facts" for each in study.sessions)
    show(f"Study {study.id}: {', '.join(study.factors)} in {estimate.cells} cells{sibling}")
    for cell in study.cells:
        levels = ", ".join(cell.levels[factor] for factor in study.factors)
        show(f"    {cell.id}: {levels}")
    show(f"    {study.repeats} repeats of each and one at temperature 0; {controls} sessions with false facts")
    show(f"Sessions     {estimate.sessions:,}")
    show(f"Turns        {_range(estimate.turns, estimate.turns_at_most)}")
    show(f"Tokens       {_range(estimate.prompt_tokens, estimate.prompt_tokens_at_most)} of prompt")
    show(f"             {_range(estimate.completion_tokens, estimate.completion_tokens_at_most)} of answers")
    show(f"Wall time    {_time(estimate.wall_s)}, at most {_time(estimate.wall_s_at_most)}")
    if estimate.cost is not None and estimate.cost_at_most is not None:
        show(f"Cost         {estimate.cost:,.2f} {estimate.currency}, at most {estimate.cost_at_most:,.2f}")
    for line in estimate.how:
        show(f"    {line}")


def _range(assumed: int, at_most: int) -> str:
    return f"{assumed:,}" if assumed == at_most else f"{assumed:,}, at most {at_most:,}"


def _time(seconds: float) -> str:
    for size, unit in SHOWN_TIMES:
        if seconds >= 2 * size:
            return f"{seconds / (size or 1):,.1f} {unit}"
    return f"{seconds:.1f} seconds"
