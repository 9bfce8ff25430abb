"""What the scheduler decides, case by case; nothing here waits or starts anything."""

from __future__ import annotations

import pytest

from emeritus.residency.decisions import Admit, Leave, Limits, Load, Need, Refuse
from emeritus.residency.scheduler import Scheduler


def scheduler_of(idle_sleep_s: float = 100, patience_s: float = 5, **devices: int) -> Scheduler:
    """One with ten bytes on the host."""
    return Scheduler(Limits({"host": 10, **devices}, idle_sleep_s=idle_sleep_s, patience_s=patience_s))


def host(size: int) -> Need:
    """So many bytes of the host."""
    return {"host": size}


def test_a_stream_of_calls_does_not_starve_another_model() -> None:
    """A busy model that is asked for without a pause gives way after the patience, and the other is served."""
    scheduler = scheduler_of()
    assert scheduler.ask(1, "busy", host(8), 0) == [Load("busy")]
    assert scheduler.loaded("busy", 1) == [Admit(1, "busy")]
    assert scheduler.ask(2, "other", host(8), 2) == []
    assert scheduler.ask(3, "busy", host(8), 3) == [Admit(3, "busy")]  # within the patience
    assert scheduler.release(1, "busy", 4) == []
    assert scheduler.next_tick() == 7
    assert scheduler.tick(7) == []  # busy drains now
    assert scheduler.ask(4, "busy", host(8), 8) == []
    assert scheduler.release(3, "busy", 9) == [Leave("busy")]
    assert scheduler.left("busy", 10) == [Load("other")]
    assert scheduler.loaded("other", 11) == [Admit(2, "other")]
    assert scheduler.release(2, "other", 12) == [Leave("other")]  # idle, and busy is waited for
    assert scheduler.left("other", 13) == [Load("busy")]
    assert scheduler.loaded("busy", 14) == [Admit(4, "busy")]


def test_draining_stops_when_nobody_waits_any_more() -> None:
    """If the one it would give way to has gone, a draining model takes calls again."""
    scheduler = scheduler_of()
    scheduler.ask(1, "busy", host(8), 0)
    scheduler.loaded("busy", 1)
    scheduler.ask(2, "other", host(8), 2)
    scheduler.tick(7)
    assert scheduler.ask(3, "busy", host(8), 8) == []
    assert scheduler.release(2, "other", 9) == [Admit(3, "busy")]


def test_one_load_for_many() -> None:
    """However many wait, one load; each is admitted when it is done."""
    scheduler = scheduler_of()
    assert scheduler.ask(1, "a", host(5), 0) == [Load("a")]
    assert scheduler.ask(2, "a", host(5), 0) == []
    assert scheduler.release(1, "a", 0.5) == []  # the first waiter leaves; the load goes on
    assert scheduler.ask(3, "a", host(5), 0.6) == []
    assert scheduler.loaded("a", 1) == [Admit(2, "a"), Admit(3, "a")]


def test_greedy_dual_keeps_what_is_dear() -> None:
    """The model that is cheap to load for its bytes and rarely called leaves first, though it was called last."""
    scheduler = scheduler_of()
    for ticket, (name, load_s, calls) in enumerate([("dear", 4.0, 3), ("cheap", 0.5, 1)]):
        scheduler.ask(10 * ticket, name, host(5), 10 * ticket)
        scheduler.loaded(name, 10 * ticket + load_s)
        scheduler.release(10 * ticket, name, 10 * ticket + 5)
        for call in range(1, calls):
            assert scheduler.ask(10 * ticket + call, name, host(5), 10 * ticket + 6) == [
                Admit(10 * ticket + call, name)
            ]
            scheduler.release(10 * ticket + call, name, 10 * ticket + 7)
    assert scheduler.ask(99, "new", host(5), 50) == [Leave("cheap")]


def test_back_off() -> None:
    """After a failure calls are refused until a pause is over, and the pause doubles."""
    scheduler = scheduler_of()
    now, pauses = 0.0, []
    for ticket in range(0, 20, 2):
        assert scheduler.ask(ticket, "a", host(5), now) == [Load("a")]
        assert scheduler.failed("a", now) == [Refuse(ticket, "a")]
        assert scheduler.ask(ticket + 1, "a", host(5), now) == [Refuse(ticket + 1, "a")]
        pauses.append(scheduler.models["a"].paused_until - now)
        now = scheduler.models["a"].paused_until
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert scheduler.ask(50, "a", host(5), now) == [Load("a")]
    scheduler.loaded("a", now + 1)
    assert scheduler.models["a"].failures == 0


def test_remote_models_pass_a_held_up_line() -> None:
    """A model of zero bytes needs no room, so it does not wait behind one that does."""
    scheduler = scheduler_of()
    scheduler.ask(1, "busy", host(9), 0)
    scheduler.loaded("busy", 1)
    assert scheduler.ask(2, "big", host(10), 2) == []
    assert scheduler.ask(3, "small", host(1), 3) == []  # would take room from the one before it
    assert scheduler.ask(4, "remote", {}, 3) == [Load("remote")]


@pytest.mark.parametrize("idle_sleep_s", [5.0, 50.0])
def test_idle_sleep(idle_sleep_s: float) -> None:
    """An idle model leaves when its time is up, not before, and the scheduler says when to look."""
    scheduler = scheduler_of(idle_sleep_s)
    scheduler.ask(1, "a", host(5), 0)
    scheduler.loaded("a", 1)
    assert scheduler.next_tick() is None
    scheduler.release(1, "a", 2)
    due = scheduler.next_tick()
    assert due == 2 + idle_sleep_s
    assert scheduler.tick(due - 0.01) == []
    assert scheduler.tick(due) == [Leave("a")]


def test_frequency_survives_eviction() -> None:
    """A model called often stays although it was loaded just now, for one that was called once and before."""
    scheduler = scheduler_of()
    now = 0.0
    for ticket in range(12):
        name = "often" if ticket % 3 else f"once{ticket}"
        found = scheduler.ask(ticket, name, host(5), now)
        while found:
            match found[0]:
                case Leave(left):
                    found = [*found[1:], *scheduler.left(left, now)]
                case Load(loaded):
                    found = [*found[1:], *scheduler.loaded(loaded, now + 1)]
                case _:
                    found = found[1:]
        now += 2
        scheduler.release(ticket, name, now)
    assert scheduler.models["often"].state == "awake"
    scheduler.sleep("often", now)
    scheduler.left("often", now)
    assert scheduler.ask(50, "often", host(5), now) == [Load("often")]
    scheduler.loaded("often", now + 1)
    scheduler.release(50, "often", now + 1)
    assert scheduler.ask(51, "new", host(5), now + 1) == [Leave("once9")]


def test_frequency_survives_a_restart() -> None:
    """Who was called often before the start stays for who was not, whoever was called first since."""
    for often, seldom in ("ab", "ba"):
        scheduler = Scheduler(Limits({"host": 10}), calls=[{often: 90, seldom: 2}])
        for ticket, name in enumerate("ab"):
            scheduler.ask(ticket, name, host(5), ticket)
            scheduler.loaded(name, ticket)
            scheduler.release(ticket, name, ticket)
        assert scheduler.ask(3, "c", host(5), 3) == [Leave(seldom)]


def test_places_are_told_apart() -> None:
    """What is short on a device makes nobody leave who holds nothing there, and holds up nobody elsewhere."""
    scheduler = scheduler_of(gpu=8)
    scheduler.ask(1, "on host", host(6), 0)
    scheduler.loaded("on host", 1)
    scheduler.release(1, "on host", 1)
    assert scheduler.ask(2, "first", {"host": 1, "gpu": 5}, 2) == [Load("first")]
    scheduler.loaded("first", 3)
    assert scheduler.ask(3, "second", {"host": 1, "gpu": 5}, 3) == []  # in use; the host has room
    assert scheduler.ask(4, "small", host(2), 4) == [Load("small")]  # nothing that the second needs
    scheduler.loaded("small", 5)
    assert scheduler.release(2, "first", 6) == [Leave("first")]
    assert scheduler.left("first", 7) == [Load("second")]
    assert scheduler.used() == {"host": 9, "gpu": 5}
    assert scheduler.never_fits({"gpu": 9, "tpu": 1}) == {"gpu": 1, "tpu": 1}


def test_a_dear_one_is_spared_while_a_cheap_one_is_soon_free() -> None:
    """One that waits lets the cheap one in use end, as long as loading the dear idle one again would take."""
    scheduler = scheduler_of(patience_s=60)
    scheduler.ask(1, "dear", host(5), 0)
    scheduler.loaded("dear", 4)  # four seconds of loading
    for ticket in range(2, 9):
        scheduler.ask(ticket, "dear", host(5), 5)
        scheduler.release(ticket, "dear", 5)
    scheduler.release(1, "dear", 5)
    scheduler.ask(20, "cheap", host(5), 5)
    scheduler.loaded("cheap", 6)
    assert scheduler.ask(21, "new", host(5), 7) == []
    assert scheduler.next_tick() == 11
    assert scheduler.tick(10.9) == []
    assert scheduler.tick(11) == [Leave("dear")]
    other = scheduler_of(patience_s=60)
    for ticket, (name, at) in enumerate([("dear", 0), ("cheap", 5)]):
        other.ask(ticket, name, host(5), at)
        other.loaded(name, at + (4 if name == "dear" else 1))
    other.release(0, "dear", 6)
    assert other.ask(21, "new", host(5), 7) == []
    assert other.release(1, "cheap", 8) == [Leave("cheap")]


def test_what_hangs_keeps_its_bytes_and_nobody_waits_for_ever() -> None:
    """A close that does not end: its bytes stay taken, those who fit beside are served, the others told why."""
    scheduler = scheduler_of()
    scheduler.ask(1, "old", host(6), 0)
    scheduler.loaded("old", 1)
    scheduler.release(1, "old", 2)
    assert scheduler.ask(2, "big", host(8), 3) == [Leave("old")]
    assert scheduler.ask(3, "small", host(3), 4) == []
    assert scheduler.abandoned("old", 33, stuck=7) == [Refuse(2, "big", "stuck"), Load("small")]
    assert scheduler.used() == {"host": 9}
    assert scheduler.ask(4, "big", host(8), 34) == [Refuse(4, "big", "stuck")]
    assert scheduler.ask(5, "old", host(6), 34) == [Refuse(5, "old", "stuck")]
    scheduler.loaded("small", 35)
    assert scheduler.freed(7, 40) == []
    assert scheduler.ask(6, "old", host(6), 41) == [Load("old")]
    assert scheduler.failed("old", 42, stuck=8) == [Refuse(6, "old")]
    assert scheduler.used() == {"host": 9}


def test_held_ones_come_and_stay_where_there_is_room() -> None:
    """Held models are woken without a call, in free room only; time does not put them to sleep, a caller may."""
    scheduler = scheduler_of(idle_sleep_s=20)
    assert scheduler.hold({"h": host(6), "i": host(6)}, 0) == [Load("h")]
    assert scheduler.loaded("h", 1) == []
    assert scheduler.next_tick() is None
    assert scheduler.tick(500) == []
    assert scheduler.ask(1, "guest", host(5), 501) == []  # not before the patience is over
    assert scheduler.tick(506) == [Leave("h")]
    assert scheduler.left("h", 507) == [Load("guest")]
    scheduler.loaded("guest", 508)
    assert scheduler.release(1, "guest", 509) == []
    due = scheduler.next_tick()
    assert due == 514  # rested as long as the patience
    assert scheduler.tick(due) == [Leave("guest")]
    assert scheduler.left("guest", 515) == [Load("h")]
    scheduler.loaded("h", 516)
    assert scheduler.hold({}, 517) == []
    assert scheduler.tick(536) == [Leave("h")]


def test_a_regular_model_is_woken_before_its_call() -> None:
    """Called every half hour, it sleeps between, is awake shortly before the next call, and the call finds it so."""
    scheduler = scheduler_of(idle_sleep_s=600)
    for ticket in range(12):
        now = 1800.0 * ticket
        assert scheduler.ask(ticket, "clock", host(5), now) == [Load("clock")]
        scheduler.loaded("clock", now + 2)
        scheduler.release(ticket, "clock", now + 5)
        due = scheduler.next_tick()
        assert due is not None
        if due < now + 600:  # the histogram says enough by now
            break
        scheduler.tick(due)
        scheduler.left("clock", due)
    assert scheduler.tick(due) == [Leave("clock")]
    scheduler.left("clock", due + 1)
    ahead = scheduler.next_tick()
    assert ahead is not None
    assert now + 1500 < ahead < now + 1800
    assert scheduler.tick(ahead) == [Load("clock")]
    assert scheduler.loaded("clock", ahead + 2) == []
    assert scheduler.ask(99, "clock", host(5), now + 1800) == [Admit(99, "clock")]


@pytest.mark.parametrize(("calls", "load_s", "expected"), [(50, 90, []), (1, 0.1, [Leave("other")])])
def test_waking_ahead_takes_no_room_from_one_worth_more(calls: int, load_s: float, expected: list[Leave]) -> None:
    """It has an idle model leave that is worth less, and leaves alone one that is worth more."""
    scheduler = scheduler_of(idle_sleep_s=600)
    for ticket in range(12):
        now = 1800.0 * ticket
        scheduler.ask(ticket, "clock", host(6), now)
        scheduler.loaded("clock", now + 2)
        scheduler.release(ticket, "clock", now + 5)
        scheduler.tick(now + 700)
        scheduler.left("clock", now + 701)
    scheduler.ask(100, "other", host(6), now + 1200)
    scheduler.loaded("other", now + 1200 + load_s)
    for ticket in range(101, 100 + calls):
        scheduler.ask(ticket, "other", host(6), now + 1300)
    for ticket in range(100, 100 + calls):
        scheduler.release(ticket, "other", now + 1301)
    assert scheduler.tick(now + 1600) == expected
    assert scheduler.models["clock"].state == "asleep"
    if expected:
        assert scheduler.left("other", now + 1601) == [Load("clock")]
