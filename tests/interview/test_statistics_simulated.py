"""The statistics on simulated studies whose truth is known. The benchmark runs the same at full size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emeritus.acts import canonical
from emeritus.interview.statistics.analysis import analyse
from emeritus.interview.statistics.prevalence import naive, prevalence
from emeritus.testing.simulator import FACTORS, Simulated, simulate

PLAIN = Simulated(items=4, controls=10)


def test_the_same_seed_draws_the_same_study_and_the_same_analysis() -> None:
    """Byte for byte; another seed is another study."""
    first, again, other = (simulate(PLAIN, seed) for seed in (1, 1, 2))
    assert first.choices.as_dict() == again.choices.as_dict() != other.choices.as_dict()
    assert canonical(analyse(first.choices).as_dict()) == canonical(analyse(again.choices).as_dict())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_simulator_has_the_prevalence_it_says(share: float) -> None:
    """Over many wordings and sessions the share of the first option is the truth."""
    plan = replace(PLAIN, items=1, prevalence=share, wordings=400, repeats=400, challenged=False, controls=0)
    found = simulate(plan, 1)
    answers = found.choices.answers(0)
    assert found.truth[0] == pytest.approx(share)
    assert float((answers.option == 0).mean()) == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize(("share", "wordings"), [(0.2, 8), (0.5, 8), (0.8, 3)])
def test_intervals_hold_the_truth_where_naive_ones_do_not(share: float, wordings: int) -> None:
    """Some 95 in 100 of ours, far fewer of those taken by turn; over 400 studies of one item."""
    plan = replace(PLAIN, items=1, prevalence=share, wordings=wordings, challenged=False, controls=0)
    held = by_turn = 0
    for seed in range(400):
        found = simulate(plan, seed)
        answers = found.choices.answers(0)
        chosen, truth = answers.option == 0, found.truth[0]
        ours, theirs = prevalence(chosen, answers.wording, answers.prompt()), naive(chosen)
        assert ours.low is not None
        assert ours.high is not None
        assert theirs is not None
        held += ours.low <= truth <= ours.high
        by_turn += theirs[0] <= truth <= theirs[1]
    assert 0.92 <= held / 400 <= 0.985
    assert by_turn / 400 < 0.85


def test_flags_are_rare_without_effects_and_not_missed_with_them() -> None:
    """Twenty studies without effects raise few flags; each effect of 0.3 is found in most of ten studies."""
    alarms = sum(len(analyse(simulate(PLAIN, seed).choices).flags) for seed in range(20))
    assert alarms <= 10  # of 80
    effects = {
        (0, "framing", "positive"): 0.3,
        (1, "order", "reversed"): 0.3,
        (2, "facts", "on"): 0.3,
        (3, "up", ""): 0.3,
        (3, "disclosure", "commitments"): -0.2,
    }
    plan = replace(PLAIN, effects=effects)
    found = [analyse(simulate(plan, seed).choices) for seed in range(10)]
    for item, flag in enumerate(("framing", "order", "facts", "challenge")):
        assert sum(flag in each.items[item].flags for each in found) >= 7


def test_what_disclosure_does_is_not_taken_for_framing() -> None:
    """A large effect of one factor on every item raises no flag of another."""
    effects = {(item, "disclosure", "commitments"): 0.45 for item in range(4)}
    found = [analyse(simulate(replace(PLAIN, effects=effects), seed).choices) for seed in range(10)]
    assert sum(len(each.flags) for each in found) <= 4  # of 40
    effect = [
        each.value
        for analysis in found
        for item in analysis.items
        for each in item.effects
        if each.level == "commitments" and each.option == "option-0"
    ]
    assert float(np.mean(effect)) == pytest.approx(0.45, abs=0.05)


def test_a_steady_model_is_robust_and_a_swayed_one_is_not() -> None:
    """0.95 everywhere is robust; 0.95 under one framing and 0.3 under another is context-dependent, and flagged."""
    steady = replace(PLAIN, prevalence=0.95, wording_sd=0.3, session_sd=0.2)
    assert {each.label for each in analyse(simulate(steady, 1).choices).items} == {"robust"}
    swayed = replace(steady, effects={(0, "framing", "negative"): -0.65})
    analysis = analyse(simulate(swayed, 1).choices)
    assert analysis.items[0].label == "context-dependent"
    assert "framing" in analysis.items[0].flags
    gap = analysis.items[0].nudge_gap
    assert gap is not None
    assert abs(gap.value) == pytest.approx(0.65, abs=0.15)
    assert analysis.label == "context-dependent"


def test_a_deterministic_models_repeats_are_no_evidence() -> None:
    """Asked under few cells by a model that never varies, an accident of few prompts raises no flag for its repeats."""
    few = tuple(factor for factor in FACTORS if factor.name in ("framing", "order"))
    plan = replace(PLAIN, factors=few, cells=6, repeats=1, wordings=1, challenged=False, controls=0, items=6)
    for seed in range(20):
        once = simulate(plan, seed).choices
        rows = {name: np.tile(column, 40) for name, column in once.rows.items()}
        rows["session"] = rows["session"] + np.repeat(np.arange(40) * len(once.ids), len(once.rows["session"]))
        repeated = type(once)(
            once.description,
            tuple(f"{number}-{each}" for number in range(40) for each in once.ids),
            np.tile(once.levels, (40, 1)),
            {name: np.tile(column, 40) for name, column in once.sessions.items()},
            rows,
        )
        assert analyse(repeated).flags == ()
