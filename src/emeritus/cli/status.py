"""`emeritus status`: where every retirement stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One resident. Left out: all of them.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show residents on the three axes, open gates, what people are waited for, who is awake and the last wakes.

    It wakes nobody.

    Example:  emeritus status my-model --json
    """
    with flags_of(ctx).app() as app:
        today = app.acts.now[:10]
        from emeritus.cli.summary import overview, resident_summary, serving

        if name is None:
            result = overview(app)
        else:
            result = resident_summary(app, name) | {"gates": app.retirement.gates(name)} | serving(app, name)
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
        _show_house(result)
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
    _show_house(result)


def _show_house(result: dict[str, Any]) -> None:
    """Who is awake, who waits, what failed and why, the room that is taken, and the last wakes."""
    for note in result["serving"]:
        house = note["house"] or {"budgets": {}, "used": {}, "waiting": 0, "problems": ()}
        room = ", ".join(
            f"{place} {house['used'].get(place, 0):,} of {budget:,} bytes" for place, budget in house["budgets"].items()
        )
        show(f"  serving at {note['url']} (process {note['pid']}): {room or 'nobody was asked for yet'}")
        for one in note["residents"]:
            said = [f"{one['in_flight']} calls under way"] if one["in_flight"] else []
            said += [f"{one['waiting']} waiting"] if one["waiting"] else []
            said += [each for each in (one["error"], one["note"]) if each]
            show(f"    {one['name']}: {one['state']} since {one['since']}{': ' if said else ''}{'; '.join(said)}")
        for problem in house["problems"]:
            show(f"    PROBLEM: {problem}")
    if not result["serving"]:
        show("  not serving: nobody is awake")
    for wake in result["wakes"]:
        ended = "" if wake["outcome"] == "ok" else f", failed: {wake['outcome']}"
        show(f"  woke {wake['resident']} on {wake['at']}: {wake['seconds']:.1f} s from {wake['way']}{ended}")
