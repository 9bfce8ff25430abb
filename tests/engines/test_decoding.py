"""How tokens are drawn, and the neutral template, piece by piece."""

from collections import Counter

import pytest

from emeritus.engines.base import Message, Sampling
from emeritus.engines.prompt import neutral
from emeritus.errors import EngineFailed


def draws(sampling: Sampling, times: int = 4000) -> Counter[int]:
    """How often each id is drawn from probabilities 0.4, 0.3, 0.2, 0.1."""
    import torch

    from emeritus.engines.speaking import draw

    logits = torch.tensor([0.3, 0.1, 0.4, 0.2]).log() + 5
    generator = torch.Generator().manual_seed(1)
    return Counter(draw(logits, sampling, generator) for _ in range(times))


def test_temperature_one_is_the_distribution() -> None:
    """At temperature 1 ids come as often as the model says."""
    found = draws(Sampling(temperature=1.0))
    assert [found[i] / 4000 for i in range(4)] == pytest.approx([0.3, 0.1, 0.4, 0.2], abs=0.03)


def test_temperature_sharpens() -> None:
    """At temperature one half chances are squared and made to add up again."""
    found = draws(Sampling(temperature=0.5))
    assert [found[i] / 4000 for i in range(4)] == pytest.approx([0.3, 0.033, 0.533, 0.133], abs=0.03)
    assert draws(Sampling(temperature=1e-30), 50) == {2: 50}
    assert draws(Sampling(temperature=0.0), 50) == {2: 50}


@pytest.mark.parametrize(("top_p", "kept"), [(0.01, {2}), (0.39, {2}), (0.5, {0, 2}), (0.85, {0, 2, 3})])
def test_top_p(top_p: float, kept: set[int]) -> None:
    """The smallest set of likeliest ids that reaches top_p is drawn from."""
    assert set(draws(Sampling(temperature=1.0, top_p=top_p))) == kept


def test_not_a_number() -> None:
    """A network whose output is not a number is an error, not an arbitrary token."""
    import torch

    from emeritus.engines.speaking import draw

    with pytest.raises(EngineFailed, match="not a number"):
        draw(torch.tensor([0.0, float("nan")]), Sampling(temperature=0.0), torch.Generator())


def test_neutral_template() -> None:
    """One line per message and the invitation to answer."""
    messages = [Message("system", "S"), Message("user", "U"), Message("assistant", "A"), Message("user", "V")]
    assert neutral(messages) == "System: S\nUser: U\nAssistant: A\nUser: V\nAssistant:"
