"""Programs that try again, some without end: they find the load under way, and what cannot mend ends at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_house import KEY, LIMITS, WORDS, House, until

from emeritus.gateway import endpoint

TEXT = "".join(WORDS)
PROVIDERS = ("openai-api/house/ibis", "anthropic/ibis")
# Inspect's own call of a library's old name:
pytestmark = pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect decides to try again as it does, but does not pause for seconds before."""
    from tenacity import wait_none

    monkeypatch.setenv("INSPECT_LOG_LEVEL", "critical")
    monkeypatch.setattr("inspect_ai.model._retry.wait_exponential_jitter", lambda **_: wait_none())


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each request whose body was read."""
    read, found = endpoint.read_body, []

    def counted(*given: Any) -> Any:
        found.append(given[1])
        return read(*given)

    monkeypatch.setattr(endpoint, "read_body", counted)
    return found


async def generated(provider: str, address: str, *, model: str = "ibis", key: str = KEY, **config: Any) -> str:
    """What Inspect gets for a question. Without `max_retries` in `config` it tries again without end."""
    from inspect_ai.model import GenerateConfig, get_model

    base = address.removesuffix("/v1") if provider.startswith("anthropic") else address
    name = provider.replace("ibis", model)
    chosen = GenerateConfig(max_tokens=9, **config)
    own = {"max_retries": 0} if provider.startswith("anthropic") else {}
    async with get_model(name, base_url=base, api_key=key, config=chosen, memoize=False, **own) as asked:
        return str((await asked.generate("Who are you?")).completion)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_inspect_waits_through_a_cold_start(provider: str, address: str, house: House) -> None:
    """Every attempt while the resident wakes joins the one load, and the last one is answered."""
    house.asleep = asyncio.Event()

    async def wake() -> None:
        await until(lambda: house.admitted)
        await asyncio.sleep(2.5 * LIMITS.wake_timeout_s)
        house.asleep.set()

    waking = asyncio.create_task(wake())
    assert await generated(provider, address) == TEXT
    await waking
    assert house.loads == 1
    assert house.admitted > 1  # it did have to try again
    assert [used is None for used in house.metered] == [True] * (house.admitted - 1) + [False]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"key": "em_nonsense"}, "no key like the one sent"),
        ({"model": "heron"}, "does not cover 'heron'"),
        ({"model": "dodo"}, "no model 'dodo'"),
        ({"stop_seqs": [""]}, "stop"),
    ],
    ids=["key", "resident", "model", "body"],
)
async def test_what_no_waiting_mends_is_asked_once(
    provider: str, address: str, house: House, requests: list[object], wrong: dict[str, Any], says: str
) -> None:
    """A wrong key, another's resident, an unknown one, a bad request: even who tries without end stops."""
    async with asyncio.timeout(20):
        with pytest.raises(Exception, match=says):
            await generated(provider, address, **wrong)
    assert len(requests) == 1
    assert (house.loads, house.metered) == (0, [])


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_is_hours_away_costs_nothing_however_often_it_is_asked(
    provider: str, address: str, house: House, requests: list[object]
) -> None:
    """A used-up day is tried as often as Inspect was told, the SDK below adds no tries; nothing is woken or counted."""
    house.quota = 0
    with pytest.raises(Exception, match="RateLimitError"):
        await generated(provider, address, max_retries=2)
    assert len(requests) == 3
    assert (house.loads, house.admitted, house.metered) == (0, 0, [])
