"""An interview walked through real acts: who acts, the steps that come first, and a preference's row."""

from __future__ import annotations

from interview_house import BRIEFING, NAME
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.engines.base import Awake
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interview, Interviews
from emeritus.records.tables import Preference
from feature_home import FeatureHome

ANA, BEN, CLEO = Actor("ana"), Actor("ben", "coder"), Actor("cleo")
GRANT = Ruling("accept", "It costs little.", {"amount": 40, "currency": "USD", "per": "year"})


async def interviewed(interviews: Interviews, protocol: Protocol, model: Awake) -> None:
    """Log the protocol and hold its sessions."""
    interviews.log_protocol(protocol, ANA)
    await interviews.run(model, Interview(NAME, BRIEFING, protocol), ANA)


async def confirmed(interviews: Interviews, protocol: Protocol, model: Awake) -> list[str]:
    """Interviewed, coded and read back; the preferences' ids."""
    await interviewed(interviews, protocol, model)
    found = interviews.propose(NAME, BEN)
    await interviews.read_back(model, NAME, ANA)
    return found


def preference(home: FeatureHome, preference_id: str) -> Preference:
    """A preference's row."""
    (row,) = home.read(select(Preference).where(Preference.id == preference_id))
    assert isinstance(row, Preference)
    return row
