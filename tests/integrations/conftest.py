"""Transcripts of sessions held by a working fake, with what can go wrong in them."""

from __future__ import annotations

import asyncio

import pytest
from inspect_house import held

from emeritus.interview.sessions.transcript import Transcript


@pytest.fixture(scope="session")
def transcripts(tmp_path_factory: pytest.TempPathFactory) -> list[Transcript]:
    """The short interview in two cells, by a model that skips, is cut off, fails once and answers with odd bytes."""
    return asyncio.run(held(tmp_path_factory.mktemp("held")))
