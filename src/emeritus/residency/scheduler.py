"""Who is awake: events in, decisions out. Pure: time is an argument, nothing is started or awaited here.

Rules (docs/residency.md has them with the proof of the bound on waiting)
- Decisions go by bytes, by place. What loads, is awake, is leaving or is stuck counts until it is known to be gone.
- A model with a call under way is never told to leave. One load per model, however many wait for it.
- Those who wait are in the order of their oldest call, and each keeps the room it needs from all behind it.
- Room is made by greedy-dual: those leave whose clock + frequency × load seconds / bytes is lowest (GDSF; Cherkasova
  1998, FaasCache ASPLOS'21); the clock rises towards the value of whatever left. Frequency survives eviction.
- Who waits less than the patience leaves the dear ones alone: where busy ones would be cheaper to do without, it waits
  for them as long as loading the dear one again would take. Then idle ones leave for it, whatever they are worth; and
  from the patience on, where those do not do, busy ones take no new calls, so that they end and leave.
- Held models (tiers `awake` and `hours`) leave last, for callers only, and come back when there is room.
- A load that failed is not tried again before a pause that doubles with each failure; calls in it get the last error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from emeritus.residency import room
from emeritus.residency.decisions import Admit, Decision, Leave, Limits, Load, Model, Need, Refuse, State, Stuck
from emeritus.residency.keeping import Keeping
from emeritus.residency.popularity import Popularity

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CLOCK_SHARE = 0.03  # of the way to what left last; all of it forgets too fast who is called often


class Scheduler:
    """The state and its events. Each event returns the decisions it leads to, to be carried out in order."""

    def __init__(
        self,
        limits: Limits,
        load_seconds: Mapping[str, float] | None = None,
        calls: Sequence[Mapping[str, int]] = (),
    ) -> None:
        """What was seen before this start: how long loads took, by model; calls by model of each day, oldest first."""
        self.limits = limits
        self.models: dict[str, Model] = {}
        self.stuck: dict[int, Stuck] = {}
        self.held: frozenset[str] = frozenset()
        self._load_seconds = dict(load_seconds or {})
        self._popularity = Popularity(calls)
        self._keeping = Keeping(limits)
        self._up: dict[str, Model] = {}  # those not asleep
        self._line: dict[str, Model] = {}  # those asleep and waited for
        self._clock = 0.0  # greedy-dual's, not the wall's
        self._now = 0.0  # of the last event

    # events

    def ask(self, ticket: int, name: str, need: Need, now: float) -> list[Decision]:
        """A call wants the model. Its ticket is new, and `need` at most the budgets (see `never_fits`)."""
        model = self._model(name)
        if model.state == "asleep":
            model.need = need
            if now < model.paused_until:
                return [Refuse(ticket, name)]
            if not room.fits(need, self._unstuck()):
                return [Refuse(ticket, name, "stuck")]
            self._line[name] = model
        self._popularity.called(name)
        self._keeping.called(model, now)
        model.clock = self._clock
        model.waiting[ticket] = now
        return list(self._settle(now))

    def release(self, ticket: int, name: str, now: float) -> list[Decision]:
        """The call is over, or waits no longer. An unknown ticket (of a model that died meanwhile) is nothing."""
        model = self.models.get(name)
        if model is None:
            return []
        model.waiting.pop(ticket, None)
        if not model.waiting:
            self._line.pop(name, None)
        if ticket in model.running:
            model.running.remove(ticket)
            model.idle_since = model.called_until = now
            self._keeping.rests(model)
        return list(self._settle(now))

    def loaded(self, name: str, now: float) -> list[Decision]:
        """The load has succeeded."""
        model = self.models[name]
        model.load_seconds = max(now - model.since, 0.001)
        model.failures, model.paused_until = 0, 0.0
        self._enter(model, "awake", now)
        # Whoever waited for this load is let in even if the model must drain for another: they are no more than those
        # who had come by now, and sending them away would load it again for them at once.
        admitted = list(self._admit(model))
        model.idle_since = now
        return [*admitted, *self._settle(now)]

    def failed(self, name: str, now: float, stuck: int | None = None) -> list[Decision]:
        """The load has failed. Nothing of it is left, or what is left goes by this number until `freed`."""
        model = self.models[name]
        model.failures += 1
        model.paused_until = now + min(FIRST_PAUSE_S * 2.0 ** min(model.failures - 1, 30), LONGEST_PAUSE_S)
        refused: list[Decision] = [Refuse(ticket, name) for ticket in model.waiting]
        model.waiting.clear()
        if stuck is not None:
            self.stuck[stuck] = Stuck(name, model.need, "loading", now)
        self._enter(model, "asleep", now)
        return [*refused, *self._settle(now)]

    def left(self, name: str, now: float) -> list[Decision]:
        """The model has been closed and its memory is free."""
        self._enter(self.models[name], "asleep", now)
        return list(self._settle(now))

    def abandoned(self, name: str, now: float, stuck: int) -> list[Decision]:
        """A close has not ended in its time: the model counts as asleep, its bytes as taken until `freed`."""
        model = self.models[name]
        self.stuck[stuck] = Stuck(name, model.need, "closing", now)
        self._enter(model, "asleep", now)
        return list(self._settle(now))

    def freed(self, stuck: int, now: float) -> list[Decision]:
        """What was stuck is known to be gone."""
        self.stuck.pop(stuck, None)
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

    def hold(self, needs: Mapping[str, Need], now: float) -> list[Decision]:
        """These are to be awake, from now on and these alone: woken where there is room, never put to sleep by time."""
        self.held = frozenset(needs)
        for name, need in needs.items():
            model = self._model(name)
            if model.state == "asleep":
                model.need = need
        return list(self._settle(now))

    def tick(self, now: float) -> list[Decision]:
        """Time has passed; see `next_tick`."""
        return list(self._settle(now))

    def next_tick(self) -> float | None:
        """When time alone will lead to a decision; None when it will not."""
        times = [
            self._keeping.sleeps_at(each) for each in self._up.values() if each.idle and each.name not in self.held
        ]
        for model in self._line.values():
            times.append(model.oldest + self.limits.patience_s)
            times.append(model.oldest + self._reluctance(model))
        times += self._keeping.next_times()
        times += [
            time
            for name in self.held
            if self.models[name].state == "asleep"
            for time in (self.models[name].paused_until, *self._rests_over(self.models[name]))
        ]
        # What was due by the last event has been decided with it.
        return min((time for time in times if self._now < time < math.inf), default=None)

    # what others may ask

    def used(self) -> dict[str, int]:
        """Bytes taken by place: everything that is not asleep, and what is stuck."""
        taken = room.held(model.need for model in tuple(self._up.values()))
        for each in tuple(self.stuck.values()):
            room.add(taken, each.need)
        return taken

    def state_of(self, name: str) -> State:
        """How a model is; one never asked for is asleep."""
        model = self.models.get(name)
        return "asleep" if model is None else model.state

    def never_fits(self, need: Need) -> dict[str, int]:
        """What it needs beyond the whole budgets, by place; empty where it fits."""
        return room.missing(need, self.limits.budgets)

    @property
    def bound_s(self) -> float:
        """How long a call waits at most, in seconds, with as many models as are known now."""
        return self.limits.bound_s(sum(1 for model in tuple(self.models.values()) if any(model.need.values())))

    # policy

    def _settle(self, now: float) -> Iterator[Decision]:
        """Everything that can be decided now."""
        self._now = now
        if self.stuck:
            yield from self._refuse_for_ever()
        if self._line or any(model.gives_way_since is not None for model in self._up.values()):
            yield from self._serve_line(now)
        for model in list(self._up.values()):
            if model.state != "awake":
                continue
            if model.waiting and model.gives_way_since is None and not model.put_to_sleep:
                yield from self._admit(model)
            if model.running:
                continue
            leaves = model.gives_way_since is not None or model.put_to_sleep
            if leaves or (model.idle and model.name not in self.held and now >= self._keeping.sleeps_at(model)):
                yield self._leave(model, now)
        if not self._line:
            yield from self._wake_held(now)
            yield from self._wake_ahead(now)

    def _serve_line(self, now: float) -> Iterator[Decision]:
        """Load in the order of the line; each takes only what those before it leave over, now and once it is free."""
        giving = {model.name for model in self._up.values() if model.gives_way_since is not None}
        taken: set[str] = set()  # promised to one in line already
        free, spare = self._free()
        for model in sorted(self._line.values(), key=lambda each: each.oldest):
            if room.fits(model.need, free) and room.fits(model.need, spare):
                room.add(free, model.need, -1)
                self._enter(model, "waking", now)
                yield Load(model.name)
            else:
                for victim in self._victims(model, room.missing(model.need, spare), taken, now):
                    taken.add(victim.name)
                    room.add(spare, victim.need)
                    if victim.idle:
                        yield self._leave(victim, now)
                    elif victim.gives_way_since is None:
                        victim.gives_way_since = now
            room.add(spare, model.need, -1)
        for name in giving - taken:  # whoever they gave way to has what it needs, or is gone
            self._up[name].gives_way_since = None

    def _victims(self, model: Model, lacking: Mapping[str, int], taken: set[str], now: float) -> Sequence[Model]:
        """Who is to leave for one in line that lacks this; nobody yet, where it is to wait a little."""
        up = sorted((m for m in self._up.values() if m.state != "leaving" and m.name not in taken), key=self._worth)
        waited = now - model.oldest
        due = waited >= self.limits.patience_s
        idle = room.enough([each for each in up if each.idle and (due or each.name not in self.held)], lacking)
        if idle is not None:
            return idle if due or waited >= self._reluctance_for(idle, up, lacking) else []
        if not due:
            return []
        # Who gives way already goes on with it, whoever comes and goes in the line: the longest at it first.
        awake = [each for each in up if each.state == "awake"]
        awake.sort(key=lambda each: (each.gives_way_since is None, each.gives_way_since or 0.0))
        return room.enough(awake, lacking) or []

    def _reluctance(self, model: Model) -> float:
        """How long it still leaves dear idle models alone, as things stand; 0 where that makes no difference."""
        lacking = room.missing(model.need, self._free()[1])
        up = sorted((each for each in self._up.values() if each.state != "leaving"), key=self._worth)
        idle = room.enough([each for each in up if each.idle and each.name not in self.held], lacking)
        return 0.0 if not lacking or idle is None else self._reluctance_for(idle, up, lacking)

    def _reluctance_for(self, idle: Sequence[Model], up: Sequence[Model], lacking: Mapping[str, int]) -> float:
        """As long as it would take to load those again that would be kept by waiting: to rent as long as to buy."""
        cheapest = room.enough(up, lacking)
        if cheapest is None or all(each.idle for each in cheapest):
            return 0.0
        names = {each.name for each in cheapest}
        spared = [each.reload_s for each in idle if each.name not in names]
        return min(sum(spared), self.limits.patience_s)

    def _wake_held(self, now: float) -> Iterator[Decision]:
        """Wake who is to be awake, in the room there is or in that of ordinary models nobody called for a while."""
        for name in sorted(self.held):
            model = self.models[name]
            if model.state != "asleep" or now < model.paused_until or not room.fits(model.need, self._unstuck()):
                continue
            rested = [each for each in self._ordinary() if now >= each.idle_since + self._rest_of(model)]
            yield from self._wake_into(model, rested, now)

    def _wake_ahead(self, now: float) -> Iterator[Decision]:
        """Wake before the next call is expected; only in room that is free, or held by something worth less."""
        for name, until in self._keeping.wakes_ahead(now):
            model = self.models[name]
            if model.state != "asleep" or now < model.paused_until or not room.fits(model.need, self._unstuck()):
                continue
            less = [each for each in self._ordinary() if self._worth(each) < self._worth(model)]
            for decision in self._wake_into(model, less, now):
                if isinstance(decision, Load):
                    self._keeping.keep_until(model, now, until)
                yield decision

    def _wake_into(self, model: Model, idle: Sequence[Model], now: float) -> Iterator[Decision]:
        free, spare = self._free()
        if room.fits(model.need, free):
            self._enter(model, "waking", now)
            yield Load(model.name)
            return
        lacking = room.missing(model.need, spare)
        for victim in (room.enough(idle, lacking) or []) if lacking else []:
            yield self._leave(victim, now)

    def _ordinary(self) -> list[Model]:
        """Idle ones that nobody wants awake, the least valuable first."""
        return sorted((each for each in self._up.values() if each.idle and each.name not in self.held), key=self._worth)

    def _rest_of(self, model: Model) -> float:
        """How long an ordinary model must have been without a call before one that is held comes back in its place."""
        return max(self.limits.patience_s, model.reload_s)

    def _rests_over(self, model: Model) -> Iterator[float]:
        for each in self._ordinary():
            yield each.idle_since + self._rest_of(model)

    def _admit(self, model: Model) -> Iterator[Decision]:
        for ticket in list(model.waiting):
            del model.waiting[ticket]
            model.running.add(ticket)
            yield Admit(ticket, model.name)

    def _leave(self, model: Model, now: float) -> Leave:
        self._clock += CLOCK_SHARE * max(self._value(model) - self._clock, 0.0)
        self._keeping.leaves(model, now)
        self._enter(model, "leaving", now)
        return Leave(model.name)

    def _value(self, model: Model) -> float:
        """Greedy-dual's: clock + frequency × load seconds / bytes, bytes as the share of the scarcest place."""
        budgets = self.limits.budgets
        share = max((size / budgets[place] for place, size in model.need.items() if size), default=1.0)
        return model.clock + self._popularity.frequency(model.name) * model.reload_s / share

    def _worth(self, model: Model) -> tuple[bool, float, float]:
        """What it is worth to keep: held ones above all, the longest idle last among equals."""
        return model.name in self.held, self._value(model), model.idle_since

    # state

    def _model(self, name: str) -> Model:
        model = self.models.get(name)
        if model is None:
            model = self.models[name] = Model(name, load_seconds=self._load_seconds.get(name))
        return model

    def _enter(self, model: Model, state: State, now: float) -> None:
        model.state, model.since, model.put_to_sleep, model.gives_way_since = state, now, False, None
        if state == "asleep":
            self._up.pop(model.name, None)
            if model.waiting:
                self._line[model.name] = model
        else:
            self._up[model.name] = model
            self._line.pop(model.name, None)

    def _free(self) -> tuple[dict[str, int], dict[str, int]]:
        """Bytes free now, and once those that are leaving have left; by place, below 0 where that is so."""
        free = dict(self.limits.budgets)
        room.add(free, self.used(), -1)
        spare = dict(free)
        for model in self._up.values():
            if model.state == "leaving":
                room.add(spare, model.need)
        return free, spare

    def _unstuck(self) -> dict[str, int]:
        """The budgets less what is stuck."""
        left = dict(self.limits.budgets)
        for each in self.stuck.values():
            room.add(left, each.need, -1)
        return left

    def _refuse_for_ever(self) -> Iterator[Decision]:
        """Refuse those in line who cannot have what they need while something is stuck."""
        left = self._unstuck()
        for model in list(self._line.values()):
            if not room.fits(model.need, left):
                yield from (Refuse(ticket, model.name, "stuck") for ticket in model.waiting)
                model.waiting.clear()
                del self._line[model.name]
