"""What is recorded of a drill that came to no comparison: the true reason, and no file's name."""

import pytest
from kept_folders import Mind

from emeritus.errors import EngineDied, NotFound
from emeritus.preservation.drills import Drills
from feature_home import STEWARD


def test_a_resident_that_cannot_be_revived_is_a_failed_drill(drills: Drills) -> None:
    """The error's code is public; its message, which may name files, is not."""
    act = drills.record_failed_drill("wren", EngineDied("see /srv/home/logs/wren.log"), STEWARD)
    assert not act.public["ok"]
    assert act.public["summary"] == f"could not be revived: {EngineDied.code}"
    assert "/srv" not in str(act.public)


async def test_a_missing_reference_is_not_called_a_failed_revival(drills: Drills, mind: Mind) -> None:
    """After an engine's update it did answer; there was nothing to compare it with."""
    with pytest.raises(NotFound) as missing:
        await drills.drill("wren", mind, STEWARD)
    act = drills.record_failed_drill("wren", missing.value, STEWARD)
    assert not act.public["ok"]
    assert "no reference" in act.public["summary"]
    assert "could not be revived" not in act.public["summary"]
