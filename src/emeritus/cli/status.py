"""`emeritus status`: where every retirement stands."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One resident. Left out: all of them.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show residents, their states on the three axes, open gates and what people are waited for.

    Example:  emeritus status my-model --json
    """
    with flags_of(ctx).app() as app:
        today = app.acts.now[:10]
        from emeritus.cli.summary import overview, resident_summary

        gates = [] if name is None else app.retirement.gates(name)
        result = overview(app) if name is None else resident_summary(app, name) | {"gates": gates}
    if as_json:
        emit(result)
        return
    if name is None:
        show(
            f"{result['organisation']}; residents: {len(result['residents'])}; ledger entries: {result['ledger_size']}"
        )
        for row in result["residents"]:
            axes = ", ".join(f"{axis} {row[axis]}" for axis in ("offering", "access", "preservation"))
            show(f"  {row['name']}: {axes}")
        for wait in result["waits"]:
            show(f"  {'OVERDUE' if wait['overdue'] else 'waiting'}: {wait['what']} (due {wait['due']})")
        for due in result["owed"]:
            late = "OVERDUE" if due["overdue"] else "owed"
            show(f"  {late}: {due['what']} on {due['preference']} of {due['resident']}, by {due['by'][:10]}")
        cache = result["cache"]
        if cache["entries"]:
            bound = f"of {cache['budget_bytes']}" if cache["budget_bytes"] else "without a budget"
            used = sum(each["in_use"] for each in cache["entries"])
            show(f"  cache: {cache['bytes']} bytes {bound}, {len(cache['entries'])} folders, {used} in use")
        return
    show(f"{result['title']} ({name})" + ("  demonstration model" if result["demonstration"] else ""))
    for axis in ("offering", "access", "preservation"):
        coming = [f"{e['state']} from {e['date']}" for e in result["dates"] if e["axis"] == axis and e["date"] > today]
        show(f"  {axis}: {'; '.join([result[axis], *coming])}")
    held = f"held, digest {str(result['weights_digest'])[:16]}…"
    show(f"  weights: {held if result['weights_held'] else 'not held'}")
    for gate in result["gates"]:
        show(f"  {'green' if gate['green'] else 'OPEN '} {gate['name']}: {gate['why']}")
        if not gate["green"]:
            show(f"        {gate['remedy']}")
    for session in result["sessions"]:
        show(f"  session {session['id']}: {session['purpose']}, {session['status']}, {session['turns']} turns")
    for row in result["preferences"]:
        outcome = f" → {row['outcome']}" if row["outcome"] else ""
        reply = f"; the model's reply: {row['reply']}" if row["reply"] else ""
        show(f"  {row['id']} [{row['state']}] {row['domain']}: “{row['need']}”{outcome}{reply}")
        for due in row["owed"]:
            show(f"        {'OVERDUE' if due['overdue'] else 'owed'}: {due['what']} by {due['by'][:10]}")
