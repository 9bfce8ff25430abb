"""A residency whose clock is turned by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from resident_house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A fresh house, closed afterwards."""
    house = House()
    yield house
    house.gate.set()
    house.door.set()
    await house.residency.close()
