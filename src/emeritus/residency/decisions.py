"""What the scheduler decides, and what it remembers of one model. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["asleep", "waking", "awake", "leaving"]
Need = Mapping[str, int]  # place -> bytes held there while not asleep; empty for a model that runs elsewhere
HOST = "host"  # the place that is this machine's memory


@dataclass(frozen=True, slots=True)
class Load:
    """Begin to load this model; answer with `loaded` or `failed`."""

    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Close this model; answer with `left` or `abandoned`. `dead`: it ended by itself, calls may still hold it."""

    name: str
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Admit:
    """The call that holds this ticket may use the model, until `release`."""

    ticket: int
    name: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ticket is void: the model's load failed, or what it needs is held by processes that do not end."""

    ticket: int
    name: str
    reason: Literal["failed", "stuck"] = "failed"


Decision = Load | Leave | Admit | Refuse


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets in bytes by place, and the longest that each thing may take, in seconds.

    The bound on waiting rests on them: see docs/residency.md. `answer_s` is enforced by the gateway.
    """

    budgets: Mapping[str, int]
    idle_sleep_s: float = 600.0
    patience_s: float = 10.0
    load_s: float = 600.0
    close_s: float = 30.0
    answer_s: float = 600.0
    adaptive: bool = True  # keep-alive and prewarming by what was seen of idle times
    load_worth: float = 0.0  # bytes that it costs as much to hold for a second as a second of loading costs

    def bound_s(self, models: int) -> float:
        """Nobody waits longer, where so many models compete: patience + models × (load + answer + close) + load."""
        return self.patience_s + models * (self.load_s + self.answer_s + self.close_s) + self.load_s


@dataclass(frozen=True, slots=True)
class Stuck:
    """What a load or a close that would not end still holds."""

    name: str
    need: Need
    doing: Literal["loading", "closing"]
    since: float


@dataclass(slots=True)
class Model:
    """What the scheduler remembers of one model. Others only read it."""

    name: str
    need: Need = field(default_factory=dict)
    state: State = "asleep"
    waiting: dict[int, float] = field(default_factory=dict)  # ticket -> when it was asked for, oldest first
    running: set[int] = field(default_factory=set)
    gives_way_since: float | None = None  # takes no new calls, so that it can leave for one in line
    put_to_sleep: bool = False  # by an operator
    load_seconds: float | None = None  # as measured; None: never
    clock: float = 0.0  # greedy-dual's, at the last call
    since: float = 0.0  # when its state began
    idle_since: float = 0.0
    called_until: float | None = None  # when its last call ended
    failures: int = 0
    paused_until: float = 0.0

    @property
    def idle(self) -> bool:
        """Awake, and nobody uses it or waits for it."""
        return self.state == "awake" and not self.running and not self.waiting

    @property
    def oldest(self) -> float:
        """When the call that waits longest was made; one must be waiting."""
        return next(iter(self.waiting.values()))

    @property
    def reload_s(self) -> float:
        """How long a load takes, in seconds, as far as is known."""
        return 1.0 if self.load_seconds is None else self.load_seconds
