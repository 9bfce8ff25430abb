"""A suite's figures as a picture: each as a bar against its bound, on a scale of ratios. Measures nothing.

A bar of length 1 is the bound; where the figure must be large a longer bar is better, where it must be small a shorter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.metric import Metric

WIDTH, LEFT, RIGHT, ROW, TOP = 860, 250, 220, 30, 64
DECADES = 1.5  # to each side of the bound
MET, MISSED = "#2f6f4f", "#b3412d"


def draw(title: str, metrics: Sequence[Metric]) -> str:
    """The SVG text: one row per metric, the bound as a line, the figure beside its bar."""
    span = WIDTH - LEFT - RIGHT
    middle = LEFT + span / 2
    height = TOP + ROW * len(metrics) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="{middle}" y="{TOP - 14}" text-anchor="middle" fill="#555">bound</text>',
    ]
    for row, each in enumerate(metrics):
        parts += _row(each, TOP + ROW * row, middle, span / 2)
    base = TOP + ROW * len(metrics)
    parts.append(f'<line x1="{middle}" y1="{TOP - 8}" x2="{middle}" y2="{base}" stroke="#555" stroke-dasharray="3 3"/>')
    for ratio in (0.1, 1, 10):
        x = middle + math.log10(ratio) / DECADES * span / 2
        parts.append(f'<text x="{x:.1f}" y="{base + 18}" text-anchor="middle" fill="#555">{ratio:g} × bound</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(metric: Metric, y: int, middle: float, half: float) -> list[str]:
    colour = MET if metric.met else MISSED
    said = "not measured" if metric.value is None else f"{metric.value:.4g} {metric.unit}".strip()
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 18}" text-anchor="end">{escape(metric.name)}</text>',
        f'<text x="{WIDTH - RIGHT + 12}" y="{y + 18}" fill="{colour}">{escape(said)} ({escape(metric.bound)})</text>',
    ]
    bound = metric.low if metric.low is not None else metric.high
    if metric.value is None or not bound:  # a bound of 0 has no ratio: the text beside says all
        return parts
    ratio = math.log10(metric.value / bound) if metric.value > 0 else -DECADES
    end = middle + max(-1.0, min(1.0, ratio / DECADES)) * half
    left, width = min(middle, end), max(abs(end - middle), 2)
    parts.append(f'<rect x="{left:.1f}" y="{y + 6}" width="{width:.1f}" height="{ROW - 14}" fill="{colour}"/>')
    return parts
