"""A metric: what was measured, what it must be, and whether it is. Knows no measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RAM_DISK = Path("/dev/shm")  # noqa: S108  (the RAM disk itself: whoever writes there makes a folder of its own in it)


@dataclass(frozen=True, slots=True)
class Options:
    """How large a measurement is. `scale` 1 is the stated size; less is for trying it out, and says so."""

    scale: float = 1.0
    workers: int = 2

    def of(self, size: int, least: int = 1) -> int:
        """A number of things at this scale."""
        return max(least, round(size * self.scale))


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure as measured. `low` and `high` are its bounds (None: none); `value` None: it was not measured."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)  # what is reported with it

    @classmethod
    def missing(cls, name: str, reason: str) -> Metric:
        """A metric that could not be measured, and why; it is not met."""
        return cls(name, None, beside={"missing": reason})

    @property
    def met(self) -> bool:
        """Whether it is within its bounds."""
        if self.value is None:
            return False
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def bound(self) -> str:
        """Its bounds, for people."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g}" if self.low == self.high else f"{self.low:g}–{self.high:g}"
        return f"≥ {self.low:g}" if self.low is not None else f"≤ {self.high:g}" if self.high is not None else ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "bound": self.bound, "met": self.met}


def table(metrics: Sequence[Metric]) -> str:
    """The metrics in columns, with what is reported beside each below it."""
    lines = [f"{'metric':<28}{'value':>12} {'must be':>12}  met"]
    for each in metrics:
        value = "—" if each.value is None else f"{each.value:.4g} {each.unit}".strip()
        lines.append(f"{each.name:<28}{value:>12} {each.bound:>12}  {'yes' if each.met else 'NO'}")
        lines += [f"    {name}: {_short(what)}" for name, what in each.beside.items()]
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    return str(value)
