"""What is recorded of a drill that came to no comparison: the true reason, and no file's name."""

import pytest
from kept_folders import Mind

from emeritus.errors import CanaryFailed, EmeritusError, EngineDied, IntegrityError, NotFound
from emeritus.preservation import certificate
from emeritus.preservation.drills import Drills
from feature_home import STEWARD, FeatureHome


def test_a_resident_that_cannot_be_revived_is_a_failed_drill(drills: Drills) -> None:
    """The error's code is public; its message, which may name files, is not."""
    act = drills.record_failed_drill("wren", EngineDied("see /srv/home/logs/wren.log"), STEWARD)
    assert not act.public["ok"]
    assert act.public["summary"] == f"could not be revived: {EngineDied.code}"
    assert "/srv" not in str(act.public)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (EngineDied("gone"), certificate.ASLEEP),
        (IntegrityError("packs/ab is damaged"), certificate.LOST),
        (CanaryFailed("wren woke and differs from its reference"), certificate.DIFFERS),
        (NotFound("none", build_digest="a" * 64), certificate.UNCOMPARED),
    ],
)
def test_the_certificate_says_why_nothing_was_compared(
    home: FeatureHome, drills: Drills, error: EmeritusError, verdict: str
) -> None:
    """Not woken, damaged, woken but different, or without a reference: each is its own verdict, and none is good."""
    act = drills.record_failed_drill("wren", error, STEWARD)
    said = certificate.read(act.read(certificate.FILE), home.ledger.verify_key)
    assert (said["verdict"], said["ok"], said["error"]) == (verdict, False, error.code)
    assert act.public["detail"]["verdict"] == verdict


async def test_a_missing_reference_is_not_called_a_failed_revival(drills: Drills, mind: Mind) -> None:
    """After an engine's update it did answer; there was nothing to compare it with."""
    with pytest.raises(NotFound) as missing:
        await drills.drill("wren", mind, STEWARD)
    act = drills.record_failed_drill("wren", missing.value, STEWARD)
    assert not act.public["ok"]
    assert "no reference" in act.public["summary"]
    assert "could not be revived" not in act.public["summary"]
