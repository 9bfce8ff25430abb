"""The null of a drill does what it says: over many calibrations, sound revivals are alarms as seldom as stated."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kept_folders import Mind
from scipy.stats import binom

from emeritus.engines.base import Build, Perturbation
from emeritus.engines.script import Script
from emeritus.engines.scripted import ScriptedEngine, other_configuration
from emeritus.preservation import behaviour, calibrating, calibration
from emeritus.preservation.behaviour import Comparison, Difference
from emeritus.preservation.calibrating import Gathering, calibrate
from emeritus.preservation.calibration import ALPHA, MARGIN, Threshold, judge, limit, threshold

CERTAIN = 1e-4  # the chance that one of these tests fails though the claim holds


@pytest.mark.parametrize("tail", ["normal", "gumbel"])
def test_the_limit_is_exceeded_about_as_often_as_it_says(tail: str) -> None:
    """In logarithms normal or heavy-tailed, from many draws or from the one observed: neither often, nor never."""
    random, trials, level = np.random.default_rng(1), 3000, 0.05
    logs = getattr(random, tail)(size=(trials, 12)) * 0.3 - 6.0
    beyond = sum(draw[10] > limit(draw[:10], None, level) for draw in np.exp(logs))
    beyond_one = sum(draw[10] > limit(draw[:10] * 1e-3, draw[11], level) for draw in np.exp(logs))
    for found in (beyond, beyond_one):
        assert binom.ppf(CERTAIN, trials, level / 3) <= found <= binom.isf(CERTAIN, trials, 1.35 * level)


@pytest.mark.parametrize("apart", [None, 10.0])
def test_false_alarms_stay_below_the_stated_rate_up_to_the_margin(apart: float | None) -> None:
    """Configurations that round the whole margin more coarsely than the null, compared with two references each."""
    random, trials, alarms = np.random.default_rng(2), 1500, 0
    for _ in range(trials):
        tokens = np.abs(random.standard_t(4, size=(13, 60))) * 1e-6  # heavy tails, as rounding has
        found = [Difference(float(each.mean()), float(each.max()), 60) for each in tokens]
        observed = None if apart is None else Difference(apart * found[10].mean, apart * found[10].largest, 60)
        bound = threshold(found[:10], observed)
        scale = MARGIN * (apart or 1.0)
        later = [Difference(scale * each.mean, scale * each.largest, 60) for each in found[11:]]
        alarms += not all(bound.holds(each) for each in later)
    assert alarms <= binom.isf(CERTAIN, trials, ALPHA)


def test_two_configurations_further_apart_than_the_draws_raise_the_threshold() -> None:
    """Each statistic has its own scale; what lies within the draws changes nothing."""
    draws = [Difference(1e-6 * (1 + at / 10), 5e-6 * (1 + at / 5), 100) for at in range(8)]
    plain = threshold(draws, None)
    assert threshold(draws, Difference(1e-7, 5e-7, 100)) == plain
    wider = threshold(draws, Difference(1e-7, 5e-4, 100))
    assert wider.mean == plain.mean
    assert wider.largest > MARGIN * 5e-4


def test_what_is_not_a_number_is_beyond_every_threshold() -> None:
    """A change that breaks the model is noticed, and bits that are all equal are not."""
    bound = threshold([Difference(0.0, 0.0, 10)] * 8, Difference(0.0, 0.0, 10))
    assert bound.holds(Difference(0.0, 0.0, 10))
    assert not bound.holds(None)
    assert behaviour.difference([([1.0, 2.0], [1.0, math.nan])]) is None


def test_answers_are_an_alarm_as_seldom_as_stated() -> None:
    """Over models of every unsteadiness, calibrated by ten repeats, five answers later: at most 1 % of alarms."""
    random, trials, alarms = np.random.default_rng(3), 20000, 0
    limits = {unequal: calibration.unequal_answers(10, unequal, 5) for unequal in range(11)}
    for _ in range(trials):
        chance = random.beta(0.5, 0.5)
        enough = limits[int(random.binomial(10, chance))]
        alarms += enough is not None and int(random.binomial(5, chance)) >= enough
    assert alarms <= binom.isf(CERTAIN, trials, ALPHA)
    assert limits[0] == 3
    assert limits[10] is None  # never the same answer twice: no later answer can be called a change


def test_the_lower_limit_of_a_power_is_clopper_and_pearsons() -> None:
    """Known values: 19 of 20, 8 of 8, none."""
    assert calibration.power_at_least(19, 20) == pytest.approx(0.7839, abs=1e-4)
    assert calibration.power_at_least(8, 8) == pytest.approx(0.05 ** (1 / 8))
    assert calibration.power_at_least(0, 5) == 0.0


def test_which_test_decides() -> None:
    """Another configuration needs a calibration; the same one only beyond its tolerance; other tokens always differ."""
    found = Comparison("score", Difference(1e-6, 1e-5, 9), (), 5, 5)
    assert judge(found, False, None) is None
    made = {"method": "score", "threshold": {"mean": 2e-6, "largest": 2e-5}, "false_alarm_rate": ALPHA}
    assert judge(found, False, made).ok
    assert judge(replace(found, difference=None), False, made) is None
    again = replace(found, difference=Difference(1.9e-6, 1.9e-4, 9))  # beyond the tolerance
    wide = {**made, "threshold": {"mean": 2e-6, "largest": 2e-4}}
    verdicts = [judge(again, True, each) for each in (None, made, wide)]
    assert [(each.test, each.ok) for each in verdicts if each is not None] == [
        ("tolerance", False),
        ("calibrated", False),
        ("calibrated", True),
    ]
    other_tokens = judge(replace(found, difference=None, retokenised=("water",)), True, None)
    assert other_tokens is not None
    assert not other_tokens.ok


def test_the_draws_of_every_kind_advance_together() -> None:
    """After the null's least, no kind is far behind the others wherever the time runs out; all come in the end."""
    planned = list(calibrating.order())
    assert len(planned) == sum(calibrating.PLAN.values()) == len(set(planned))
    assert {(each.kind, each.size) for each in planned[: calibrating.LEAST_NULL]} == {calibrating.NULL}
    half = planned[: len(planned) // 2]
    for kind, count in calibrating.PLAN.items():
        assert abs(sum((each.kind, each.size) == kind for each in half) - count / 2) <= 1.5


async def scripted(salt: str = "") -> tuple[ScriptedEngine, ScriptedEngine]:
    """A scripted model under its two configurations."""
    first = ScriptedEngine(Script(salt=salt), "d" * 64)
    options, _ = other_configuration(first.build)
    return first, ScriptedEngine(Script(salt=salt, **options), "d" * 64)


async def captured(engine: ScriptedEngine) -> dict[str, Any]:
    """Its reference."""
    return await behaviour.capture(engine, behaviour.probes())


async def test_a_calibration_is_the_same_each_time_and_states_its_power() -> None:
    """Nothing but the seconds differs between two runs; large changes are all noticed, and the least hardly."""
    first, second = await scripted()
    own, other = await captured(first), await captured(second)
    made = [await calibrate(first, own, other, Gathering()) for _ in range(2)]
    assert made[0] is not None
    assert made[1] is not None
    assert {**made[0], "seconds": 0} == {**made[1], "seconds": 0}
    assert made[0]["complete"] is True
    assert made[0]["null"]["between_configurations"]["mean"] > 0
    power = {(each["change"], each["size"]): each for each in made[0]["power"]}
    assert power["zero", 0.0]["noticed"] == power["zero", 0.0]["draws"] == calibrating.PLAN["zero", 0.0]
    assert power["noise", 1e-2]["noticed"] == calibrating.PLAN["noise", 1e-2]
    assert power["noise", 1e-6]["noticed"] < calibrating.PLAN["noise", 1e-6]
    assert power["int8", 0.0]["power_at_least"] is None


@pytest.mark.parametrize(("budget", "drawn"), [(0.0, calibrating.LEAST_NULL), (30.0, 30)])
async def test_a_calibration_ends_when_its_time_is_up_and_says_so(budget: float, drawn: int) -> None:
    """The least that the null needs is drawn all the same; what there was time for is stated; progress is told."""
    first, second = await scripted()
    own, other = await captured(first), await captured(second)
    seen: list[tuple[int, int]] = []
    clock = itertools.count()  # a second for each draw
    gathering = Gathering(budget, lambda what, done, total: seen.append((done, total)), lambda: float(next(clock)))
    made = await calibrate(first, own, other, gathering)
    assert made is not None
    assert made["complete"] is False
    assert made["null"]["draws"] >= calibrating.LEAST_NULL
    assert made["null"]["draws"] + sum(each["draws"] for each in made["power"]) == len(seen)
    assert abs(len(seen) - drawn) <= calibrating.LEAST_NULL
    assert (len(seen), sum(calibrating.PLAN.values())) == seen[-1]
    assert {each["change"] for each in made["power"]} == ({"noise", "zero", "int8", "flip"} if budget else set())


async def test_without_a_second_configuration_the_draws_alone_are_the_null() -> None:
    """And an engine that can neither be perturbed nor configured otherwise has none, which is said by None."""
    first, _ = await scripted()
    made = await calibrate(first, await captured(first), None, Gathering())
    assert made is not None
    assert made["null"]["between_configurations"] is None
    mind = Mind(build=Build("arithmetic", weights_digest="d" * 64))
    own = await behaviour.capture(mind, behaviour.probes())
    assert await calibrate(mind, own, None, Gathering()) is None


async def test_a_scripted_change_is_noticed_or_not_as_its_size_says() -> None:
    """What the power table counts is what a drill would say: the same scores, judged one by one."""
    first, second = await scripted()
    own, other = await captured(first), await captured(second)
    made = await calibrate(first, own, other, Gathering())
    assert made is not None
    bound, probed = Threshold(**made["threshold"]), behaviour.probes()
    changes = [Perturbation("flip", seed=seed) for seed in range(calibrating.PLAN["flip", 0.0])]
    noticed = 0
    async for scores in first.perturbed(list(probed.texts.values()), changes):
        pairs = zip(probed.texts, scores, strict=True)
        found = behaviour.difference([(other["scored"][key]["logprobs"], each.logprobs) for key, each in pairs])
        noticed += not bound.holds(found)
    (stated,) = [each for each in made["power"] if each["change"] == "flip"]
    assert stated["noticed"] == noticed
