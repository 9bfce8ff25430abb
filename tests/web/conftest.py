"""The house with its story, once for all tests that only read; and a client to the site over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import web_story
from starlette.testclient import TestClient
from web_house import House

from emeritus.web.site import build_site


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The whole story; tests must not write to it."""
    house = House(tmp_path_factory.mktemp("house"))
    web_story.tell(house)
    yield house
    house.close()


@pytest.fixture(scope="session")
def client(told: House) -> Iterator[TestClient]:
    """A client to the site over the story."""
    with TestClient(build_site(told), base_url="https://register.example") as client:
        yield client


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty house to write in."""
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def visit(house: House) -> Iterator[TestClient]:
    """A client to the site over the empty house; faults come back as pages, as they would from a server."""
    with TestClient(build_site(house), base_url="https://register.example", raise_server_exceptions=False) as client:
        yield client
