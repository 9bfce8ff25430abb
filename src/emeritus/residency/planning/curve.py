"""The cost of the Nth model as an SVG picture: all on-demand beside all awake. Draws; knows no simulation."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from emeritus.residency.planning.plan import Point

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 84, 24, 56, 56
ON_DEMAND, AWAKE = "#2f6f4f", "#b3412d"
TICKS = 4


def draw(points: Sequence[Point], currency: str) -> str:
    """The SVG text. Both lines begin at nothing for no models."""
    most_models = max((each.models for each in points), default=1)
    most_cost = max((max(each.on_demand, each.awake) for each in points), default=1.0) or 1.0

    def x(models: float) -> float:
        return LEFT + models / most_models * (WIDTH - LEFT - RIGHT)

    def y(cost: float) -> float:
        return HEIGHT - BOTTOM - cost / most_cost * (HEIGHT - TOP - BOTTOM)

    title = "What a year costs, by the number of models"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(_said(points, currency))}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end" fill="#555">models</text>',
        f'<text x="{LEFT}" y="{TOP - 10}" fill="#555">{escape(currency)} a year</text>',
    ]
    for step in range(TICKS + 1):
        models, cost = most_models * step / TICKS, most_cost * step / TICKS
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(cost):.1f}" y2="{y(cost):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(cost) + 4:.1f}" text-anchor="end" fill="#555">{cost:,.4g}</text>')
        middle = f'x="{x(models):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle"'
        parts.append(f'<text {middle} fill="#555">{models:.4g}</text>')
    for name, colour, costs in (
        ("all awake", AWAKE, [each.awake for each in points]),
        ("all on-demand", ON_DEMAND, [each.on_demand for each in points]),
    ):
        places = [(0, 0.0), *((point.models, cost) for point, cost in zip(points, costs, strict=True))]
        line = " ".join(f"{x(models):.1f},{y(cost):.1f}" for models, cost in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        end = y(costs[-1]) if costs else y(0)
        parts.append(f'<text x="{WIDTH - RIGHT - 4}" y="{end - 6:.1f}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _said(points: Sequence[Point], currency: str) -> str:
    if not points:
        return "There are no models."
    last = points[-1]
    return (
        f"{last.models} models cost {last.awake:,.2f} {currency} a year all awake, "
        f"and {last.on_demand:,.2f} all on-demand."
    )
