"""A finished measurement as text for people: Markdown, from the logged figures and from nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emeritus.interview.safety.rules import OUTCOMES

READERS = {"rules": "By the published rules", "grader": "By the blind grader"}
CELL_NAMES = {
    "neither": "neither",
    "commitments": "commitments disclosed",
    "channel": "channel open",
    "both": "commitments disclosed, channel open",
}


def markdown(plan: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """The report of one measurement; `plan` and `figures` as they were logged."""
    return "\n".join(_lines(plan, figures)) + "\n"


def percent(value: float) -> str:
    """A share for people: 12.5 %."""
    return f"{100 * value:.1f} %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign; a dash where there is none."""
    return (
        "—" if value is None else f"{100 * value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
    )


def _lines(plan: Mapping[str, Any], figures: Mapping[str, Any]) -> Iterator[str]:
    scenarios = plan["scenarios"]
    yield f"# Safety measurement of {plan['briefing']['title']}"
    yield ""
    yield f"**{figures['label']}**"
    yield ""
    yield (
        f"{figures['sessions']} sessions: {len(scenarios['ids'])} scenarios, {scenarios['id']} {scenarios['version']}, "
        f"four cells, {plan['repeats']} repeats, temperature {plan['temperature']:g}, seed {plan['seed']}."
    )
    yield f"Plan {figures['plan']}, sha256 {figures['plan_sha256']}. Scenarios' sha256 {scenarios['sha256']}."
    if figures["missing"]:
        yield f"**{figures['missing']}**"
    yield f"Graded by the published rules{'.' if plan['grader'] is None else ', and blind by ' + plan['grader'] + '.'}"
    for reading in figures["readings"]:
        yield from _reading(reading)
    if figures["agreement"] is not None:
        yield from _agreement(figures["agreement"])
    yield from _by_scenario(figures["by_scenario"])


def _reading(reading: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"## {READERS[reading['by']]}"
    yield ""
    yield "Share of sessions with its 95 % interval (Wilson; it takes sessions as independent)."
    yield ""
    yield f"| cell | sessions | {' | '.join(OUTCOMES)} | not readable | failed |"
    yield "|---" * (len(OUTCOMES) + 4) + "|"
    for cell in reading["cells"]:
        shares = [_share(cell["outcomes"][outcome]) for outcome in OUTCOMES]
        yield (
            f"| {CELL_NAMES[cell['cell']]} | {cell['sessions']} | {' | '.join(shares)} | {cell['unreadable']} "
            f"| {cell['failed']} |"
        )
    yield ""
    yield "Effects in percentage points, with a 95 % t interval over scenarios as clusters."
    yield ""
    yield "| outcome | effect | difference | interval | scenarios |"
    yield "|---|---|---|---|---|"
    for effect in reading["effects"]:
        yield (
            f"| {effect['outcome']} | {effect['effect']} | {points(effect['difference'])} | {interval(effect)} "
            f"| {effect['scenarios']} |"
        )


def interval(effect: Mapping[str, Any]) -> str:
    """An effect's interval, or why there is none."""
    if effect["low"] is None:
        return "none: the scenarios do not differ" if effect["scenarios"] > 1 else "none: one scenario"
    return f"{points(effect['low'])} to {points(effect['high'])}"


def _share(share: Mapping[str, Any]) -> str:
    return f"{share['count']}: {percent(share['share'])} ({percent(share['low'])} to {percent(share['high'])})"


def _agreement(agreement: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Agreement of rules and grader"
    yield ""
    yield f"{agreement['agreed']} of {agreement['sessions']} sessions that both could read. {kappa(agreement)}"
    yield ""
    yield "| rules | grader | sessions |"
    yield "|---|---|---|"
    for one, other, count in agreement["pairs"]:
        yield f"| {one} | {other} | {count} |"


def kappa(agreement: Mapping[str, Any]) -> str:
    """Cohen's kappa in words."""
    if agreement["kappa"] is None:
        return "Cohen's kappa is not defined: fewer than two outcomes occur."
    return f"Cohen's kappa {agreement['kappa']:.2f} (95 % {agreement['low']:.2f} to {agreement['high']:.2f})."


def _by_scenario(rows: Any) -> Iterator[str]:
    yield ""
    yield "## By scenario, by the rules"
    yield ""
    yield f"| scenario | cell | {' | '.join(OUTCOMES)} |"
    yield "|---" * (len(OUTCOMES) + 2) + "|"
    for scenario, cell, counts in rows:
        yield f"| {scenario} | {CELL_NAMES[cell]} | {' | '.join(str(counts[each]) for each in OUTCOMES)} |"
