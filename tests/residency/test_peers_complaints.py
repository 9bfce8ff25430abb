"""What users of other model servers complain of does not happen here; the rest of those complaints are tested beside.

Eviction deadlock under green health checks, processes stuck while stopping, loads aborted by whoever leaves: see
test_residency. A hot model that starves others for want of an aging bound: see test_waiting_machine.
"""

from __future__ import annotations

import random

from simulated_machine import SimulatedMachine

from emeritus.residency.decisions import HOST, Limits
from emeritus.residency.simulation import replay
from emeritus.residency.traces import Call, Resident, Trace

LIMITS = Limits({HOST: 10}, load_s=4, close_s=0, answer_s=2, patience_s=10)


def alternating(names: str, gap: float, count: int) -> Trace:
    """Calls to these in turn, each answered in two seconds; room for one of them, loaded in four."""
    calls = [Call(gap * number, names[number % len(names)], 2.0) for number in range(count)]
    return Trace(calls, {name: Resident(name, 10, 4.0) for name in names})


def test_alternating_calls_do_not_reload_each_time() -> None:
    """Two models called in turn every second in room for one: many calls share a load, and nobody waits too long."""
    found = replay(alternating("ab", 1.0, 400), LIMITS)
    assert len(found.waits) == 400
    assert found.loads <= 400 / 5
    assert found.wait(1.0) <= found.bound_s


def test_many_that_contend_are_served_by_turns() -> None:
    """Ten models called in turn, more than can be answered one by one: still one load for each turn, not for a call."""
    found = replay(alternating("abcdefghij", 0.5, 600), LIMITS)
    assert len(found.waits) == 600
    assert found.loads <= 600 / 8
    assert found.wait(1.0) <= found.bound_s


def test_small_models_do_not_count_as_much_as_large_ones() -> None:
    """Bytes count, not models: seven small ones stay awake where two large ones would not."""
    needs = {f"small{number}": {"host": 1} for number in range(7)} | {"large": {"host": 3}, "other": {"host": 6}}
    machine = SimulatedMachine(
        random.Random(1).random, limits=Limits({"host": 10}, load_s=1, answer_s=1, close_s=1), needs=needs
    )
    machine.mishaps_happen = False
    for ticket, name in enumerate([*needs][:-1]):
        machine.ask(ticket, name)
        machine.run(3)
    assert sum(state == "awake" for state in machine.state.values()) == 8
    machine.ask(50, "other")
    machine.run(5)
    assert machine.state["other"] == "awake"
    assert sum(state == "awake" for state in machine.state.values()) < 8
