"""What a grant costs: the difference it makes, by stated prices, with everything it was computed from."""

import pytest

from emeritus.errors import BadSettings
from emeritus.residency.granting import Rates, TokenRates, Use, granting, granting_elsewhere
from emeritus.residency.planner import Prices
from emeritus.tiers import Tier

PRICES = Prices(gb_month=0.02, core_hour=0.1, gb_hour=0.01, cores=2)
RATES = Rates(PRICES, seconds_per_load=36, seconds_per_call=18)
NOTHING = Use(Tier.ARCHIVE, 0.0)
SIZE = 10_000_000_000


def test_what_changes_nothing_costs_nothing() -> None:
    """The storage that is paid already is no cost of a grant."""
    same = Use(Tier.ON_DEMAND, 3.0)
    assert granting(SIZE, same, same, 0, RATES)["amount"] == 0
    assert granting(SIZE, NOTHING, NOTHING, 0, RATES)["amount"] == 0


def test_being_kept_awake_costs_its_memory_and_its_calls() -> None:
    """Checked against the formula by hand: 10 GB all year, one load, one call a day."""
    found = granting(SIZE, NOTHING, Use(Tier.AWAKE, 1.0), 0, RATES)
    compute = 2 * (36 + 365.25 * 18) / 3600 * 0.1
    memory = 10 * 8766 * 0.01
    assert found["parts"] == {"compute": round(compute, 4), "memory": round(memory, 4), "further copies": 0}
    assert found["amount"] == round(compute + memory, 4)
    assert found["inputs"]["tier granted"] == "awake"
    assert found["unit_prices"]["core_hour"] == 0.1


def test_a_further_copy_costs_its_storage_and_nothing_is_earned() -> None:
    """Two copies of 10 GB at 0.02 a month; a tier below today's is no negative cost."""
    assert granting(SIZE, NOTHING, NOTHING, 2, RATES)["amount"] == pytest.approx(2 * 10 * 0.02 * 12)
    assert granting(SIZE, Use(Tier.AWAKE, 1.0), NOTHING, 0, RATES)["amount"] == 0
    with pytest.raises(BadSettings):
        granting(SIZE, NOTHING, Use(Tier.AWAKE, float("nan")), 0, RATES)


def test_where_a_host_holds_the_weights_its_tokens_are_the_cost() -> None:
    """Ten more calls a day of 1,000 and 500 tokens at 3 and 15 a million, for a year; fewer calls earn nothing."""
    rates = TokenRates(3.0, 15.0, 1000, 500)
    found = granting_elsewhere(2.0, 12.0, rates)
    assert found["amount"] == found["parts"]["tokens"] == pytest.approx(38.35125, abs=1e-4)
    assert found["inputs"]["calls a day granted"] == 12.0
    assert found["unit_prices"] == {"prompt_million": 3.0, "completion_million": 15.0}
    assert granting_elsewhere(2.0, 0.0, rates)["amount"] == 0
