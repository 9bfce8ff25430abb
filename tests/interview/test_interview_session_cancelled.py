"""A session that is cancelled lets go of its journal, whatever it was doing."""

import asyncio
from contextlib import suppress
from pathlib import Path

from interview_house import clock, small_plan, talker

from emeritus.interview.sessions.session import hold


async def test_cancelled_at_any_step_it_can_be_taken_up_at_once(tmp_path: Path) -> None:
    """Cancelled at two hundred moments of its first milliseconds: the next call finds no lock and goes on."""
    path = tmp_path / "session.jsonl"
    plan = small_plan(turns=2)
    for moment in range(200):
        holding = asyncio.ensure_future(hold(talker(), plan, path, clock))
        await asyncio.sleep(moment * 0.00003)
        holding.cancel()
        with suppress(asyncio.CancelledError):
            await holding
    held = await hold(talker(), plan, path, clock)
    assert held.status == "complete"
    assert all(turn.answered for turn in held.turns)
