"""Bytes by place: what is free, what is missing, and which models make up for it. Pure; knows no time, no calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emeritus.residency.decisions import Model, Need


def add(total: dict[str, int], need: Need, sign: int = 1) -> None:
    """Add a need to a total, in place; `sign` -1 takes it away."""
    for place, size in need.items():
        total[place] = total.get(place, 0) + sign * size


def held(needs: Iterable[Need]) -> dict[str, int]:
    """The sum of needs."""
    total: dict[str, int] = {}
    for need in needs:
        add(total, need)
    return total


def fits(need: Need, room: Mapping[str, int]) -> bool:
    """Whether there is room for it in every place; a place without a budget has none."""
    return all(size <= room.get(place, 0) for place, size in need.items() if size)


def missing(need: Need, room: Mapping[str, int]) -> dict[str, int]:
    """What it lacks, by place; only what it lacks."""
    lacking = {place: size - room.get(place, 0) for place, size in need.items() if size}
    return {place: size for place, size in lacking.items() if size > 0}


def enough(models: Sequence[Model], lacking: Mapping[str, int]) -> list[Model] | None:
    """The first of these whose bytes make up for what is lacking; None where all of them do not.

    One is left out again where the others suffice without it, the last ones (dearest) first.
    """
    left = dict(lacking)
    chosen: list[Model] = []
    for model in models:
        if not any(size > 0 for size in left.values()):
            break
        if any(left.get(place, 0) > 0 and size for place, size in model.need.items()):
            chosen.append(model)
            _give(left, model.need, -1)
    if any(size > 0 for size in left.values()):
        return None
    for model in reversed(chosen[:]):
        if all(left[place] + model.need.get(place, 0) <= 0 for place in left):
            chosen.remove(model)
            _give(left, model.need, 1)
    return chosen


def _give(left: dict[str, int], need: Need, sign: int) -> None:
    for place in left:
        left[place] += sign * need.get(place, 0)
