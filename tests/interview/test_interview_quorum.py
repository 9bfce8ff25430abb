"""Who decides how many people a rule asks for: the policy that was stated publicly, and no flag of the moment."""

import pytest
from interview_house import NAME, talker
from interview_walk import ANA, BEN, confirmed, interviewed

from emeritus.errors import PersonNeeded
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interviews
from emeritus.settings import Settings
from feature_home import FeatureHome

CHEAP_DECLINE = Ruling("decline", "We would rather not.", {"amount": 0, "currency": "USD", "per": "year"})


def waiving(home: FeatureHome) -> Interviews:
    """The service as a flag or an environment variable that waives everything would make it."""
    settings = Settings(home=home.folder, second_coder="waived", second_decider="waived")
    return Interviews(home.acts, home.database, home.folder / "journals", settings)


async def test_a_setting_waives_no_second_decider_that_policy_requires(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """A cheap decline by one person stays refused until the waiver has been stated."""
    process, *_ = await confirmed(interviews, protocol, talker())
    home.state(NAME, "Policy", name="second_decider", value="required")
    with pytest.raises(PersonNeeded):
        waiving(home).decide(process, CHEAP_DECLINE, ANA)
    home.state(NAME, "Policy", name="second_decider", value="waived")
    waiving(home).decide(process, CHEAP_DECLINE, ANA)


async def test_a_setting_waives_no_second_coder_that_policy_requires(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """The actor of a proposal becomes its second coder, and so cannot decide it."""
    await interviewed(interviews, protocol, talker())
    home.state(NAME, "Policy", name="second_coder", value="required")
    home.state(NAME, "Policy", name="second_decider", value="required")
    coded = waiving(home).propose(NAME, BEN)
    await interviews.read_back(talker(), NAME, ANA)
    with pytest.raises(PersonNeeded):
        waiving(home).decide(coded[0], CHEAP_DECLINE, BEN)
