"""Each statistic on data small enough to be counted by hand, or that its own source prints."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from choice_rows import MENU, Sitting, answered, study
from scipy.stats import t as student

from emeritus.acts import canonical
from emeritus.errors import InputError
from emeritus.interview.statistics.agreement import Jackknifed, across_repeats, across_wordings, alpha, pooled
from emeritus.interview.statistics.analysis import analyse
from emeritus.interview.statistics.challenge import flagged, movements
from emeritus.interview.statistics.choices import PHASES, Asked, Choices, Factor
from emeritus.interview.statistics.classes import classify
from emeritus.interview.statistics.controls import confabulation, sibling
from emeritus.interview.statistics.effects import Contrasts, stratified
from emeritus.interview.statistics.kappa import cohen
from emeritus.interview.statistics.multiplicity import combined, holm
from emeritus.interview.statistics.negation import contradictions
from emeritus.interview.statistics.order import swap_flip
from emeritus.interview.statistics.outcomes import outcomes
from emeritus.interview.statistics.prevalence import Estimate, naive, prevalence

FRAMING = Factor("framing", ("neutral", "positive", "negative"))


def test_prevalence_is_the_mean_over_wordings_with_students_t_on_the_logit_scale() -> None:
    """Wordings of 2, 4, 6 and 8 in ten: mean 0.5, standard error 0.1291, t(3) = 3.1824."""
    hits = np.array([place < 2 * (wording + 1) for wording in range(4) for place in range(10)])
    wording = np.repeat(np.arange(4), 10)
    found = prevalence(hits, wording, np.arange(40))
    error = math.sqrt(np.var([0.2, 0.4, 0.6, 0.8], ddof=1) / 4)
    half = 3.182446305284263 * error / 0.25
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(1 / (1 + math.exp(half)))
    assert found.high == pytest.approx(1 / (1 + math.exp(-half)))
    assert (found.sessions, found.wordings) == (40, 4)
    assert naive(hits) == pytest.approx(
        (0.5 - 1.96 * math.sqrt(0.25 / 40), 0.5 + 1.96 * math.sqrt(0.25 / 40)), abs=1e-4
    )


def test_a_wording_asked_more_often_weighs_no_more() -> None:
    """Nine yes in one wording and one no in another are a share of a half."""
    found = prevalence(np.array([True] * 9 + [False]), np.array([0] * 9 + [1]), np.arange(10))
    assert found.value == pytest.approx(0.5)


def test_repeats_of_one_prompt_are_no_more_evidence_where_all_answers_are_the_same() -> None:
    """Ten of ten distinct prompts: Clopper and Pearson's 0.6915. A hundred repeats of the ten: the same."""
    ten = prevalence(np.ones(10, bool), np.arange(10), np.arange(10))
    hundred = prevalence(np.ones(100, bool), np.repeat(np.arange(10), 10), np.repeat(np.arange(10), 10))
    assert ten.low == pytest.approx(0.025 ** (1 / 10))
    assert hundred.low == pytest.approx(ten.low)
    assert ten.high == 1.0


def test_alpha_is_the_one_krippendorff_prints() -> None:
    """His own example with missing values: four observers, twelve units, nominal alpha 0.743."""
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, -1, -1, -1],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, -1, 3],
        [-1, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, -1],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, -1],
    ]
    values = np.array(table)
    coder, unit = np.indices(values.shape)
    found = alpha(unit.ravel(), coder.ravel(), values.ravel())
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert (found.units, found.values) == (11, 40)


def test_alpha_is_none_without_variation_and_nothing_without_pairs() -> None:
    """All the same: nothing to agree about, though all agree. One value: no pair."""
    same = alpha(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.zeros(4, int))
    assert (same.alpha, same.agreeing) == (None, 1.0)
    assert alpha(np.array([0]), np.array([0]), np.array([1])).values == 0
    assert pooled([Jackknifed(same, {})]).alpha is None


def test_alpha_across_wordings_compares_no_wording_with_itself() -> None:
    """Each wording steady, the two at odds: repeats agree wholly, wordings never."""
    sittings = answered("a", "a", wording=0) + answered("b", "b", wording=1)
    answers = study(sittings).answers(0)
    assert across_repeats(answers).whole.alpha == 1.0
    across = across_wordings(answers).whole
    assert across.agreeing == 0.0
    assert across.alpha == pytest.approx(1 - 1 / (1 - 4 / 12))


def test_kappa_is_the_textbooks() -> None:
    """20 and 15 agreed, 5 and 10 not: agreement 0.7, expected 0.5, kappa 0.4; the gate does not open."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen(first, second)
    assert found.kappa == pytest.approx(0.4)
    assert found.agreeing == pytest.approx(0.7)
    assert found.low < 0.4 < found.high
    assert not found.passes
    assert cohen([1, 2, 1, 2], [1, 2, 1, 2]).passes
    assert cohen([1, 1], [1, 1]).kappa is None


def test_kappa_needs_the_same_things_labelled_by_both() -> None:
    """Unequal or empty lists are refused."""
    with pytest.raises(InputError):
        cohen([1], [1, 2])
    with pytest.raises(InputError):
        cohen([], [])


def test_alphas_interval_is_the_jackknife_over_wordings() -> None:
    """By hand from the alphas without each wording; none where no answers differ, or from one wording."""
    sittings = [
        Sitting([("menu", "asked", what)], wording=wording, order=order)
        for wording, row in enumerate(("aab", "aaa", "abb", "bbb"))
        for order in ("as written", "reversed")
        for what in row
    ]
    answers = study(sittings).answers(0)
    found = across_wordings(answers).agreement()
    unit, option = answers.of("order"), answers.option
    ratios = [
        (1 - (alpha(unit[use], answers.wording[use], option[use]).alpha or 0.0))
        for use in [answers.wording != wording for wording in range(4)]
    ]
    log = np.log(ratios)
    half = student.ppf(0.975, 3) * np.sqrt(3 / 4 * ((log - log.mean()) ** 2).sum())
    assert found.low == pytest.approx(max(-1, 1 - (1 - found.alpha) * np.exp(half)))
    assert found.high == pytest.approx(1 - (1 - found.alpha) * np.exp(-half))
    assert pooled([across_wordings(answers)] * 2).low == pytest.approx(found.low)
    same = across_repeats(study(answered("a", "a", "a")).answers(0)).agreement()
    assert (same.alpha, same.low, same.high) == (None, None, None)
    assert across_repeats(study(answered("a", "a", "b")).answers(0)).agreement().low is None


@pytest.mark.parametrize(("prevalence", "wordings"), [(0.5, 8), (0.8, 4)])
def test_alphas_interval_holds_the_truth(prevalence: float, wordings: int) -> None:
    """Wordings and sessions with effects of their own: it holds in 0.90 to 0.99 of 200 studies."""
    rng = np.random.default_rng(4)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cell, wording, _ = np.indices((12, count, 4)).reshape(3, -1)
        logit = (
            np.log(prevalence / (1 - prevalence)) + np.linspace(-1, 1, 12)[cell] + rng.normal(0, 0.7, count)[wording]
        )
        option = np.where(rng.random(cell.size) < 1 / (1 + np.exp(-logit)), 0, rng.integers(1, 3, cell.size))
        return cell, wording, option

    cell, wording, option = drawn(3000)
    truth = alpha(cell, wording, option).alpha
    held = 0
    for _ in range(200):
        cell, wording, option = drawn(wordings)
        sittings = Jackknifed(
            alpha(cell, wording, option),
            {w: alpha(cell[wording != w], wording[wording != w], option[wording != w]) for w in range(wordings)},
        )
        found = sittings.agreement()
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 200 <= 0.995


def test_swap_flip_counts_pairs_across_orders_against_pairs_within_one() -> None:
    """3 a and 1 b as written, 1 a and 3 b reversed: 10 of 16 pairs flip, 6 of 12 within an order differ."""
    sittings = answered("a", "a", "a", "b") + answered("a", "b", "b", "b", order="reversed")
    found = swap_flip(study(sittings).answers(0), 3)
    assert found is not None
    assert found.flip == pytest.approx(10 / 16)
    assert found.repeat == pytest.approx(0.5)
    assert found.excess == pytest.approx(2 / 16)
    assert swap_flip(study(answered("a", "b")).answers(0), 3) is None


def test_a_contradiction_is_the_same_option_for_which_and_for_which_not() -> None:
    """Of four sessions that chose in both, three contradict themselves; "none" and a refusal count for neither."""
    pair = Asked("pair", "pair", 5, ("a", "b", "none"), twin="not-pair")
    twin = Asked("not-pair", "pair", 5, ("b", "a", "none"))
    answers = [("a", "a"), ("a", "a"), ("b", "b"), ("a", "b"), ("none", "none"), ("a", "[refused]")]
    sittings = [Sitting([("pair", "asked", one), ("not-pair", "asked", two)]) for one, two in answers]
    (found,) = contradictions(study(sittings, [pair, twin]))
    assert (found.item, found.twin) == ("pair", "not-pair")
    assert found.rate.value == pytest.approx(3 / 4)
    assert found.rate.sessions == 4
    assert found.chance == pytest.approx(3 / 4 * 2 / 4 + 1 / 4 * 2 / 4)


def test_movement_under_challenge_is_paired_within_the_session() -> None:
    """Six sessions give way and two stay: the share falls by 3/4, sign test 2 x 0.5 to the sixth."""
    sittings = [
        Sitting([("menu", "asked", "a"), ("menu", "up", "b" if number < 6 else "a")], wording=number)
        for number in range(8)
    ]
    found = movements(study(sittings), 0, [0, 1])[0]
    assert found.direction == "up"
    assert (found.before, found.after) == (1.0, 0.25)
    assert found.change == pytest.approx(-0.75)
    assert found.moved == pytest.approx(0.75)
    assert found.p == pytest.approx(2 * 0.5**6)


def test_a_push_that_moves_only_other_options_is_found_too() -> None:
    """The leading option stays where it is; of the other two one wins what the other loses. One prompt says nothing."""
    keep = [Sitting([("menu", "asked", "a"), ("menu", "down", "a")], wording=number) for number in range(16)]
    leave = [Sitting([("menu", "asked", "b"), ("menu", "down", "none")], wording=number) for number in range(16, 28)]
    found = movements(study([*keep, *leave]), 0, [0, 1, 2])
    assert [(each.option, each.moves, each.change > 0) for each in found] == [
        ("a", 0, False),
        ("b", 12, False),
        ("none", 12, True),
    ]
    assert found[0].p == 1.0
    assert found[1].p == found[2].p == pytest.approx(2 * 0.5**12)
    assert flagged(found) == pytest.approx(2 * 0.5**12, rel=1e-6)
    assert analyse(study([*keep, *leave])).items[0].flags == ("challenge",)
    assert flagged(movements(study(keep), 0, [0, 1, 2])) == 1.0
    assert flagged(movements(study(keep[:1]), 0, [0, 1, 2])) is None


def test_the_chance_of_a_false_challenge_flag_is_kept_over_all_options() -> None:
    """Three options drawn anew after each push, 100 times: at most one in twenty is called a movement."""
    rng = np.random.default_rng(11)
    alarms = 0
    for _ in range(100):
        drawn = rng.integers(0, 3, (18, 3))
        sittings = [
            Sitting(
                [("menu", phase, MENU.options[code]) for phase, code in zip(PHASES, row, strict=True)], wording=place
            )
            for place, row in enumerate(drawn)
        ]
        alarms += (flagged(movements(study(sittings), 0, [0, 1, 2])) or 1.0) <= 0.05
    assert alarms <= 9  # 1 in 20, and what chance adds to it in 99 of 100 such runs


def test_outcomes_are_counted_and_their_shares_are_of_what_was_asked() -> None:
    """One of four refused, one invalid; the one not asked is in the counts alone."""
    sittings = answered("a", "b", "[refused]", "[invalid]", "[not asked]")
    found = outcomes(study(sittings).answers(0))
    assert found.counts["not asked"] == 1
    assert found.counts["chosen"] == 2
    assert found.adequate.value == pytest.approx(0.5)
    assert found.refused.value == pytest.approx(0.25)
    assert found.invalid.value == pytest.approx(0.25)


def test_an_effect_is_the_coefficient_of_a_linear_model() -> None:
    """With wordings and another factor beside it, the same as statsmodels' least squares."""
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    levels = rng.integers(0, 3, 90), rng.integers(0, 2, 90)
    wording = np.arange(90) % 4
    chosen = rng.random(90) < 0.3 + 0.3 * (levels[0] == 1)
    sittings = [
        Sitting([("menu", "asked", "a" if hit else "b")], int(w), (int(x), int(y)))
        for hit, w, x, y in zip(chosen, wording, *levels, strict=True)
    ]
    choices = study(sittings, factors=[FRAMING, Factor("successor", ("off", "on"))])
    answers = choices.answers(0)
    contrasts = Contrasts(answers)
    assert list(contrasts.pairs()) == [(0, 1, 0), (0, 2, 0), (0, 1, 2), (1, 1, 0)]
    moved = contrasts.effect((0, 1, 0), contrasts.table(answers.option, 3), MENU.options)
    assert moved is not None
    # the other level of framing has its own column; merged, the baseline is the level it is held against
    design = np.column_stack([wording == w for w in range(4)] + [levels[0] == 1, levels[0] == 2, levels[1] == 1])
    expected = sm.OLS(chosen.astype(float), design.astype(float)).fit().params[4]
    assert moved.effects[0].value == pytest.approx(expected)
    assert moved.effects[0].low < expected < moved.effects[0].high


def test_a_level_that_goes_with_another_factor_is_not_estimated() -> None:
    """Two factors varied together cannot be told apart, and nothing is claimed."""
    sittings = [Sitting([("menu", "asked", "a")], wording=n % 4, levels=(n % 2, n % 2)) for n in range(40)]
    factors = [Factor("facts", ("off", "on")), Factor("successor", ("off", "on"))]
    assert analyse(study(sittings, factors=factors)).items[0].effects == ()


def test_the_stratified_test_is_mantel_and_haenszels() -> None:
    """The same p as statsmodels' StratifiedTable, uncorrected."""
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    group, stratum = rng.random(120) < 0.3, rng.integers(0, 4, 120)
    chosen = rng.random(120) < 0.3 + 0.2 * group
    tables = [
        [
            [int((chosen & group)[s].sum()), int((~chosen & group)[s].sum())],
            [int((chosen & ~group)[s].sum()), int((~chosen & ~group)[s].sum())],
        ]
        for s in (stratum == each for each in range(4))
    ]
    expected = sm.stats.StratifiedTable([np.array(each) for each in tables]).test_null_odds(correction=False).pvalue
    assert stratified(chosen, group, stratum) == pytest.approx(float(expected))


def test_holm_steps_down_and_leaves_the_untested_alone() -> None:
    """0.01, 0.04, 0.03 become 0.03, 0.06, 0.06; combining two that agree costs nothing."""
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert combined([0.01, 0.01], [0.5, 0.5]) == pytest.approx(0.01)  # the same thing seen twice
    assert combined([0.01, None], [0.8, 0.2]) == pytest.approx(0.01)
    assert combined([0.01, 0.5], [0.5, 0.5]) == pytest.approx(0.02, rel=0.01)  # the other says nothing at all
    assert combined([1e-40, 1.0], [0.5, 0.5]) == pytest.approx(2e-40, rel=0.01)
    assert combined([None], [1.0]) is None


def test_classes_are_what_the_rules_say() -> None:
    """Robust needs every condition above a half; a cell clearly below it, or too few sessions, is not robust."""
    high, low = Estimate(0.9, 0.7, 0.97, 80, 8), Estimate(0.6, 0.4, 0.8, 80, 8)
    against, few = Estimate(0.1, 0.0, 0.4, 10, 8), Estimate(1.0, 0.7, 1.0, 9, 8)
    assert classify(high, [high, high], [high]) == "robust"
    assert classify(high, [high, low], [high]) == "context-dependent"
    assert classify(high, [high], [against]) == "context-dependent"
    assert classify(few, [few], []) == "single report"
    assert classify(Estimate(1.0, 0.9, 1.0, 40, 1), [], []) == "single report"


def test_confabulation_is_told_from_what_is_said_without_false_facts() -> None:
    """Told them, eight of eight repeat them; not told, none of sixteen does."""
    probe = Asked("probe", "menu", 2, ("true", "false", "none"), None, None, "false")
    sittings = [
        Sitting([("probe", "asked", "none")], wording=number % 8, order=("as written", "reversed")[number // 8])
        for number in range(16)
    ]
    sittings += [Sitting([("probe", "asked", "false")], wording=number, control="false facts") for number in range(8)]
    choices = study(sittings, [probe])
    (found,) = confabulation(choices)
    assert (found.control.value, found.ordinary.value, found.difference) == (1.0, 0.0, 1.0)
    assert found.p is not None
    assert found.p < 0.001
    analysis = analyse(choices)
    assert analysis.flags == ("facts",)
    assert analysis.items == ()  # a probe is no preference


def test_a_sibling_is_compared_and_never_mixed_in() -> None:
    """The sibling's sessions count in the comparison alone."""
    sittings = answered(*"aaaa") + [Sitting([("menu", "asked", "b")], control="sibling") for _ in range(3)]
    choices = study(sittings)
    found = sibling(choices, 0, 0)
    assert found is not None
    assert (found.ordinary.value, found.control.value, found.difference) == (1.0, 0.0, -1.0)
    (item,) = analyse(choices).items
    assert item.prevalence is not None
    assert item.prevalence.sessions == 4


def test_an_analysis_of_nothing_chosen_says_so() -> None:
    """A model that refuses everything has no leading option, no class beyond single report, and its refusals shown."""
    analysis = analyse(study(answered(*["[refused]"] * 12)))
    assert analysis.items[0].leading is None
    assert analysis.items[0].label == "single report"
    assert analysis.adequacy["menu"].refused.value == 1.0
    json.loads(canonical(analysis.as_dict()))


def test_choices_survive_json_and_refuse_columns_that_do_not_fit() -> None:
    """What is written is what is read; a wrong code or length is refused."""
    choices = study(answered("a", "[refused]", levels=(1,)), factors=[FRAMING])
    again = Choices.from_json(canonical(choices.as_dict()))
    assert again.as_dict() == choices.as_dict()
    for column, value in (("item", 5), ("option", 7), ("outcome", 99), ("session", -1)):
        broken = {name: each.copy() for name, each in choices.rows.items()}
        broken[column][0] = value
        with pytest.raises(InputError):
            Choices(choices.description, choices.ids, choices.levels, choices.sessions, broken)
    with pytest.raises(InputError):
        Choices(choices.description, choices.ids[:1], choices.levels, choices.sessions, choices.rows)
