"""Who is awake: events in, decisions out. Pure: time is an argument, nothing is started or awaited here.

Rules
- Decisions go by bytes. Models that load, are awake or are leaving count against the budget until they have left.
- A model with a call under way is never told to leave. One load per model, however many wait for it.
- Those who wait are served in the order of their oldest call. The first in that order keeps what room it needs: nobody
  behind it may take room before it, except models of zero bytes (remote ones).
- Idle models leave by greedy-dual: the one with the lowest clock + frequency × load seconds / bytes (GDSF; Cherkasova
  1998, FaasCache ASPLOS'21), where the clock rises to the value of whatever left last.
- Where idle models do not free enough, the first in line waits `patience_s`; from then on the models that must leave
  for it take no new calls, so that their running ones end and they can. So with calls no longer than L, loads no longer
  than T and leaving no longer than E seconds, the n-th in line waits at most patience + n × (L + E + T).
- A load that failed is not tried again before a pause that doubles with each failure; calls in it get the last error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

State = Literal["asleep", "waking", "awake", "leaving"]
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Begin to load this model; answer with `loaded` or `failed`."""

    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Close this model; answer with `left`. `dead`: it ended by itself, calls may still hold what is left of it."""

    name: str
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Admit:
    """The call that holds this ticket may use the model, until `release`."""

    ticket: int
    name: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call that holds this ticket gets the model's last error; the ticket is void."""

    ticket: int
    name: str


Decision = Load | Leave | Admit | Refuse


@dataclass(slots=True)
class Model:
    """What the scheduler remembers of one model. Others only read it."""

    name: str
    size: int = 0
    state: State = "asleep"
    waiting: dict[int, float] = field(default_factory=dict)  # ticket -> when it was asked for, oldest first
    running: set[int] = field(default_factory=set)
    draining: bool = False  # takes no new calls, so that it can leave
    put_to_sleep: bool = False  # by an operator
    frequency: int = 0
    load_seconds: float = 1.0
    priority: float = 0.0
    since: float = 0.0  # when its state began
    idle_since: float = 0.0
    failures: int = 0
    paused_until: float = 0.0


class Scheduler:
    """The state and its events. Each event returns the decisions it leads to, to be carried out in order."""

    def __init__(self, budget_bytes: int, idle_sleep_s: float, patience_s: float = 5.0) -> None:
        self._budget = budget_bytes
        self._idle_sleep_s = idle_sleep_s
        self._patience_s = patience_s
        self._clock = 0.0  # greedy-dual's, not the wall's
        self._now = 0.0  # of the last event
        self.models: dict[str, Model] = {}

    # events

    def ask(self, ticket: int, name: str, size: int, now: float) -> list[Decision]:
        """A call wants the model, which takes `size` bytes. Its ticket is new, and `size` at most the budget."""
        model = self.models.setdefault(name, Model(name))
        if model.state == "asleep":
            model.size = size
            if now < model.paused_until:
                return [Refuse(ticket, name)]
        model.waiting[ticket] = now
        return list(self._settle(now))

    def release(self, ticket: int, name: str, now: float) -> list[Decision]:
        """The call is over, or waits no longer. An unknown ticket (of a model that died meanwhile) is nothing."""
        model = self.models[name]
        model.waiting.pop(ticket, None)
        if ticket in model.running:
            model.running.remove(ticket)
            model.idle_since = now
        return list(self._settle(now))

    def loaded(self, name: str, now: float) -> list[Decision]:
        """The load has succeeded."""
        model = self.models[name]
        model.load_seconds = max(now - model.since, 0.001)
        model.failures, model.paused_until = 0, 0.0
        model.idle_since = now
        self._enter(model, "awake", now)
        # Whoever waited for this load is let in even if the model must drain for another: they are no more than those
        # who had come by now, and sending them away would load it again for them at once.
        return [*self._admit(model), *self._settle(now)]

    def failed(self, name: str, now: float) -> list[Decision]:
        """The load has failed, and nothing of it is left."""
        model = self.models[name]
        model.failures += 1
        model.paused_until = now + min(FIRST_PAUSE_S * 2.0 ** min(model.failures - 1, 30), LONGEST_PAUSE_S)
        refused: list[Decision] = [Refuse(ticket, name) for ticket in model.waiting]
        model.waiting.clear()
        self._enter(model, "asleep", now)
        return [*refused, *self._settle(now)]

    def left(self, name: str, now: float) -> list[Decision]:
        """The model has been closed and its memory is free."""
        self._enter(self.models[name], "asleep", now)
        return list(self._settle(now))

    def died(self, name: str, now: float) -> list[Decision]:
        """An awake model has ended by itself; the calls that run on it are void."""
        model = self.models[name]
        if model.state != "awake":
            return []
        model.running.clear()
        self._enter(model, "leaving", now)
        return [Leave(name, dead=True), *self._settle(now)]

    def sleep(self, name: str, now: float) -> list[Decision]:
        """An operator wants the model asleep; it leaves once its running calls are over. Later calls wake it again."""
        model = self.models.get(name)
        if model is None or model.state != "awake":
            return []
        model.put_to_sleep = True
        return list(self._settle(now))

    def tick(self, now: float) -> list[Decision]:
        """Time has passed; see `next_tick`."""
        return list(self._settle(now))

    def next_tick(self) -> float | None:
        """When time alone will lead to a decision; None when it will not."""
        times = [
            model.idle_since + self._idle_sleep_s
            for model in self.models.values()
            if model.state == "awake" and not model.running and not model.waiting
        ]
        line = self._line()
        if line:
            times.append(_oldest(line[0]) + self._patience_s)
        # What was due by the last event has been decided with it.
        return min((time for time in times if time > self._now), default=None)

    @property
    def used_bytes(self) -> int:
        """Bytes of everything that is not asleep."""
        return sum(model.size for model in self.models.values() if model.state != "asleep")

    # policy

    def _settle(self, now: float) -> Iterator[Decision]:
        """Everything that can be decided now."""
        self._now = now
        for model in self.models.values():
            model.draining = False  # judged anew below, so that nobody drains for a call that has gone
        yield from self._make_room(now)
        for model in self.models.values():
            if model.state != "awake":
                continue
            if not (model.draining or model.put_to_sleep):
                yield from self._admit(model)
            if model.running:
                continue
            idle_too_long = not model.waiting and now >= model.idle_since + self._idle_sleep_s
            if model.draining or model.put_to_sleep or idle_too_long:
                yield self._leave(model, now)

    def _make_room(self, now: float) -> Iterator[Decision]:
        """Serve the line in order; whoever does not fit holds up those behind."""
        blocked = False
        for model in self._line():
            if model.size == 0 or (not blocked and self.used_bytes + model.size <= self._budget):
                self._enter(model, "waking", now)
                yield Load(model.name)
                continue
            if blocked:
                continue
            blocked = True
            yield from self._free(model, now)

    def _free(self, model: Model, now: float) -> Iterator[Decision]:
        """Have others leave for the first in line: idle ones at once, busy ones when it has waited long enough."""
        going = sum(other.size for other in self.models.values() if other.state == "leaving")
        need = self.used_bytes - going + model.size - self._budget
        awake = sorted((m for m in self.models.values() if m.state == "awake" and m.size), key=self._worth)
        idle = [other for other in awake if not other.running and not other.waiting]
        if sum(other.size for other in idle) >= need:
            for other in _enough(idle, need):
                yield self._leave(other, now)
        elif now >= _oldest(model) + self._patience_s:
            for other in _enough(awake, need):
                other.draining = True  # an idle one leaves in this very settling

    def _line(self) -> list[Model]:
        """Sleeping models that are waited for, the longest waited for first."""
        waited_for = [model for model in self.models.values() if model.state == "asleep" and model.waiting]
        return sorted(waited_for, key=_oldest)

    def _admit(self, model: Model) -> Iterator[Decision]:
        for ticket in list(model.waiting):
            del model.waiting[ticket]
            model.running.add(ticket)
            model.frequency += 1
            self._rate(model)
            yield Admit(ticket, model.name)

    def _leave(self, model: Model, now: float) -> Leave:
        self._clock = max(self._clock, model.priority)
        model.frequency = 0
        self._enter(model, "leaving", now)
        return Leave(model.name)

    def _rate(self, model: Model) -> None:
        model.priority = self._clock + model.frequency * model.load_seconds / max(model.size, 1)

    def _worth(self, model: Model) -> tuple[float, float]:
        """Greedy-dual's value, the longest idle first among equals."""
        return model.priority, model.idle_since

    def _enter(self, model: Model, state: State, now: float) -> None:
        model.state, model.since, model.put_to_sleep = state, now, False


def _oldest(model: Model) -> float:
    return next(iter(model.waiting.values()))


def _enough(models: list[Model], need: int) -> list[Model]:
    """The first models whose bytes reach `need`."""
    chosen: list[Model] = []
    for model in models:
        if need <= 0:
            break
        chosen.append(model)
        need -= model.size
    return chosen
