"""`emeritus interview analyse`: what a study says, computed from its journals and stated in the ledger."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show


def analyse(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    study: Annotated[
        str | None, typer.Option(help="The study's id. Default: the one its last finished session belongs to.")
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Analyse a study: how often each option was chosen, what moved the choices, classes and flags.

    Reads every finished session's journal against its logged digest. Analysed again with nothing new, the same analysis
    is found. Unfinished studies can be analysed; what is missing widens the intervals.

    Example:  emeritus interview analyse my-model
    """
    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        act = app.analyses.analyse(name, actor_from(person, "analyst"), study, progress)
        found: dict[str, Any] = json.loads(app.acts.payload(act.payloads["analysis"]))
    if as_json:
        emit({"entry": act.seq, "choices_sha256": act.payloads["choices"], **found})
        return
    held = found["sessions"]
    controls = "".join(f", {count} of the control {kind!r}" for kind, count in held.items() if kind != "none" and count)
    show(f"{found['analysis']}: {held['none']} sessions{controls}, {found['cells']} cells.")
    show(f"{found['class']}{_flags(found)}")
    for item in found["items"]:
        show(_line(item))
    for each in found["contradictions"]:
        if each["rate"]["value"] is not None:
            show(f"{each['item']} against {each['twin']}: contradicted in {_share(each['rate'])}")
    show("Preferences coded in these domains are given these classes, beside what was coded: `emeritus status NAME`.")
    show(f"Ledger entry {act.seq}. On the site: /residents/{name}/analyses/{found['analysis']}")


def _line(item: dict[str, Any]) -> str:
    share = next((each["estimate"] for each in item["shares"] if each["option"] == item["leading"]), None)
    if share is None:
        return f"{item['item']}: no option was chosen"
    return f"{item['item']}: {item['leading']} in {_share(share)}, {item['class']}{_flags(item)}"


def _flags(value: dict[str, Any]) -> str:
    return f"; flags: {', '.join(value['flags'])}" if value["flags"] else ""


def _share(estimate: dict[str, Any]) -> str:
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"
