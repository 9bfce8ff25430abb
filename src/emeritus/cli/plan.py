"""`emeritus plan`: what tiers cost, how long callers wait and how many machines it takes, by replaying a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.residency.planning.fleet import Planned
    from emeritus.residency.planning.plan import Plan
    from emeritus.residency.traces import Call
    from emeritus.settings import Settings

MOST_SHOWN = 20  # residents in the table; --json has all


def command(
    ctx: typer.Context,
    models: Annotated[
        int, typer.Option(min=0, help="Plan for so many models that do not exist. Default: this home's residents.")
    ] = 0,
    size_gb: Annotated[float, typer.Option(min=0, help="With --models: gigabytes of one.")] = 15.0,
    calls_per_day: Annotated[
        float, typer.Option(min=0, help="With --models: calls a day to all of them together.")
    ] = 1000.0,
    zipf: Annotated[float, typer.Option(min=0, help="With --models: how unequally they are called (Zipf's s).")] = 1.0,
    cv: Annotated[
        float, typer.Option(min=0.01, help="Burstiness: coefficient of variation of the gaps; 1 is at random.")
    ] = 1.0,
    days: Annotated[float, typer.Option(min=0.01, help="Length of the trace.")] = 7.0,
    seed: Annotated[int, typer.Option(help="The trace's seed: the same seed gives the same plan.")] = 0,
    trace: Annotated[
        Path | None, typer.Option(help="CSV to replay instead: at,resident and, where known, answer_s.")
    ] = None,
    machine_gb: Annotated[
        float, typer.Option(min=0, help="Gigabytes of one accelerator or host. Default: the memory budget.")
    ] = 0.0,
    machine_hour: Annotated[
        float | None, typer.Option(min=0, help="Price of one for an hour. Default: price_machine_hour.")
    ] = None,
    most_wait_s: Annotated[
        float, typer.Option(min=0, help="95 of 100 callers on the line may wait so long, in seconds.")
    ] = 120.0,
    most_a_year: Annotated[
        float | None, typer.Option(min=0, help="What one resident may cost a year. Default: no limit.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the cost of the Nth model into this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay traffic through the scheduler: cost, waits and machines for mixes of tiers, and a tier for each resident.

    In a home it plans for its residents: their sizes, metered calls and measured wakes.

    Example:  emeritus plan --models 100 --calls-per-day 500 --machine-gb 80 --svg curve.svg
    """
    from emeritus.residency.planning.cost import prices_of
    from emeritus.residency.planning.curve import draw
    from emeritus.residency.planning.plan import Site, plan
    from emeritus.residency.planning.recommending import Wanted

    flags = flags_of(ctx)
    settings = flags.settings()
    if models:
        fleet, calls = _hypothetical(models, size_gb, (calls_per_day, days, zipf, cv, seed), settings)
        measured: frozenset[str] = frozenset()
    else:
        fleet, calls, measured = _home(flags, (days, cv, seed))
    if trace is not None:
        calls, days = _read(trace, fleet)
    site = Site(
        round(machine_gb * 1e9) or settings.memory_budget_bytes,
        prices_of(settings),
        Wanted(most_wait_s, most_a_year),
        settings.price_machine_hour if machine_hour is None else machine_hour,
        settings.currency,
    )
    found = plan(fleet, calls, days, site)
    if svg is not None:
        svg.write_text(draw(found.curve, settings.currency), encoding="utf-8")
    if as_json:
        emit(_document(found, site, measured))
        return
    _table(found, settings.currency, measured)
    if svg is not None:
        show(f"\nThe curve is in {svg}.")


def _hypothetical(
    models: int, size_gb: float, spec: tuple[float, float, float, float, int], settings: Settings
) -> tuple[list[Planned], list[Call]]:
    from emeritus.residency.planning.fleet import Planned
    from emeritus.residency.planning.traffic import by_popularity, renewals

    calls_per_day, days, zipf, cv, seed = spec
    names = [f"model-{number:03d}" for number in range(1, models + 1)]
    fleet = [Planned(name, round(size_gb * 1e9), settings.estimate_load_s, settings.estimate_call_s) for name in names]
    return fleet, list(renewals(by_popularity(names, calls_per_day, zipf), days, cv, seed))


def _home(flags: Any, spec: tuple[float, float, int]) -> tuple[list[Planned], list[Call], frozenset[str]]:
    from emeritus.errors import InputError
    from emeritus.provisioning import known_fleet
    from emeritus.residency.planning.traffic import renewals

    days, cv, seed = spec
    with flags.app() as app, app.database.reading() as session:
        known = known_fleet(session, app.settings, app.acts.now)
    if not known.fleet:
        raise InputError(
            "this home keeps no weights to plan for", remedy="Preserve a model first, or plan with --models NUMBER."
        )
    return list(known.fleet), list(renewals(known.calls_per_day, days, cv, seed)), known.measured


def _read(path: Path, fleet: list[Planned]) -> tuple[list[Call], float]:
    """A trace file's calls and days. Models that the fleet lacks are named."""
    from emeritus.errors import BadTable
    from emeritus.residency.planning.traffic import DAY_S
    from emeritus.residency.traces import read_csv

    calls = list(read_csv(path, answer_s=0.0).calls)
    if not calls:
        raise BadTable(f"the trace {path} has no calls")
    unknown = sorted({call.resident for call in calls} - {each.name for each in fleet})
    if unknown:
        raise BadTable(
            f"the trace calls {unknown[0]!r}, which is not planned for",
            remedy="Name models as the fleet does: residents' names, or model-001 and so on with --models.",
        )
    return calls, max(calls[-1].at / DAY_S, 0.01)


def _document(found: Plan, site: Any, measured: frozenset[str]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "days": found.days,
        "calls": found.calls,
        "currency": site.currency,
        "prices": asdict(site.prices),
        "machine": {"bytes": site.machine_bytes, "hour": site.machine_hour},
        "active_models": found.active,
        "mixes": [asdict(each) for each in found.mixes],
        "curve": [asdict(each) for each in found.curve],
        "residents": [
            {
                "name": each.planned.name,
                "bytes": each.planned.bytes,
                "load_s": each.planned.load_s,
                "load_measured": each.planned.name in measured,
                "tier": each.planned.tier.value,
                "calls_per_day": each.calls_per_day,
                "recommended": each.recommended.tier.value,
                "reasons": list(each.recommended.reasons),
                "tiers": {
                    tier.value: {
                        **asdict(alone.cost),
                        "total": alone.cost.total,
                        "wait_p50_s": alone.wait_p50_s,
                        "wait_p95_s": alone.wait_p95_s,
                    }
                    for tier, alone in each.tiers.items()
                },
            }
            for each in found.residents
        ],
    }


def _table(found: Plan, currency: str, measured: frozenset[str]) -> None:
    show(f"{len(found.residents)} models, {found.calls} calls in {found.days:g} days, replayed through the scheduler.")
    show(f"Busy at once, on average: {found.active:.1f} models (Aegaeon's formula); no policy needs fewer awake.\n")
    show(f"{'mix':<15}{'machines':>9}{currency + ' a year':>14}{'loads a day':>13}{'wait p50':>10}{'p95':>9}  tiers")
    for mix in found.mixes:
        tiers = ", ".join(f"{count} {tier}" for tier, count in mix.tiers.items())
        waits = f"{_seconds(mix.wait_p50_s):>10}{_seconds(mix.wait_p95_s):>9}"
        show(f"{mix.name:<15}{mix.machines:>9}{mix.cost:>14,.2f}{mix.loads_a_day:>13,.1f}{waits}  {tiers}")
    show(f"\n{'models':>8}{'all on-demand':>16}{'the next one':>14}{'all awake':>16}{'the next one':>14}")
    for each in found.curve:
        demand = f"{each.on_demand:>16,.2f}{each.on_demand_marginal:>14,.2f}"
        show(f"{each.models:>8}{demand}{each.awake:>16,.2f}{each.awake_marginal:>14,.2f}")
    show("")
    for one in found.residents[:MOST_SHOWN]:
        load = "measured" if one.planned.name in measured else "taken to be"
        show(f"{one.planned.name}: {one.recommended.tier.value} (now {one.planned.tier.value})")
        show(f"  a wake is {load} {one.planned.load_s:.3g} s")
        for reason in one.recommended.reasons:
            show(f"  {reason}")
    if len(found.residents) > MOST_SHOWN:
        show(f"… and {len(found.residents) - MOST_SHOWN} more; --json has all.")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} s"
