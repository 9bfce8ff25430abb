"""What a study's analysis says about the domains that preferences are coded in. Pure: takes an analysis's bytes.

It is about an item with options, not about a quote: an item's leading option need not be what the quoted words ask for,
so a page shows both side by side and merges neither into the other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emeritus.interview.statistics.analysed import AnalysisView

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Studied:
    """One item of an analysis. Shares are from 0 to 1; None where the study could not say."""

    analysis: AnalysisView
    item: str
    kind: str
    leading: str | None
    prevalence: float | None
    interval: tuple[float, float] | None
    alpha: float | None  # Krippendorff's, across wordings
    nudge_gap: float | None
    label: str  # robust | context-dependent | single report
    flags: tuple[str, ...]


def by_domain(view: AnalysisView, analysis: bytes) -> Mapping[str, tuple[Studied, ...]]:
    """The items of an analysis by their domain; those without one are left out."""
    found: dict[str, list[Studied]] = defaultdict(list)
    for item in json.loads(analysis).get("items", ()):
        if item.get("domain"):
            found[item["domain"]].append(_studied(view, item))
    return {domain: tuple(items) for domain, items in found.items()}


def _studied(view: AnalysisView, item: Json) -> Studied:
    share: Json = next((each["estimate"] for each in item["shares"] if each["option"] == item["leading"]), {})
    low, high = share.get("low"), share.get("high")
    return Studied(
        view,
        item["item"],
        item.get("kind", ""),
        item["leading"],
        share.get("value"),
        None if low is None or high is None else (low, high),
        (item.get("wordings") or {}).get("alpha"),
        (item.get("nudge_gap") or {}).get("value"),
        str(item["class"]),
        tuple(item["flags"]),
    )
