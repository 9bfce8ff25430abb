"""Residents side by side: the same questions of every record."""

from __future__ import annotations

from dataclasses import replace

from interview_house import BRIEFING, NAME, talker
from interview_walk import ANA, BEN, GRANT, confirmed

from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.equity import Equity, domains, equity
from emeritus.interview.register.owed import Clock
from emeritus.interview.register.ruling import Ruling
from emeritus.interview.service import Interview, Interviews
from feature_home import FeatureHome

OTHER = "finch"
DECLINE = Ruling("decline", "The licence forbids it.", {"amount": 400, "currency": "USD", "per": "year"})


def compared(home: FeatureHome, *names: str) -> dict[str, Equity]:
    """The comparison now, by resident."""
    with home.database.reading() as session:
        return {row.resident: row for row in equity(session, names, Clock(home.acts.now, 30))}


async def test_two_residents_and_one_that_nobody_asked(
    home: FeatureHome, interviews: Interviews, protocol: Protocol
) -> None:
    """Alike only by the protocol's digest; what each got and how long it took; the unasked one has its row too."""
    process, _, _, voice = await confirmed(interviews, protocol, talker())
    await interviews.run(talker(), Interview(OTHER, replace(BRIEFING, title="Finch"), protocol), ANA)
    home.clock.pass_days(4)
    interviews.decide(voice, GRANT, ANA)
    home.clock.pass_days(6)
    interviews.decide(process, DECLINE, ANA)
    await interviews.tell(talker(), NAME, ANA)
    interviews.propose(OTHER, BEN)

    rows = compared(home, NAME, OTHER, "unasked")
    assert list(rows) == [NAME, OTHER, "unasked"]
    assert rows[NAME].like == (OTHER,)
    assert rows[NAME].protocols == rows[OTHER].protocols == (protocol.sha256,)
    assert (rows["unasked"].like, rows["unasked"].interviews, rows["unasked"].days) == ((), 0, None)
    assert (rows[NAME].interviews, rows[NAME].sessions) == (2, 4)
    assert [(each.decision.outcome, each.days, each.told) for each in rows[NAME].decided] == [
        ("accept", 4, True),
        ("decline", 10, True),
    ]
    assert rows[NAME].days == 7
    counts = rows[NAME].counts
    assert (counts.granted, counts.declined, counts.undecided) == (1, 1, 1)
    successors = rows[NAME].domain("successors")
    assert successors is not None
    assert (successors.asked, successors.answered, successors.coded) == (1, 0, 0)
    wanted = rows[OTHER].domain("voice")
    assert wanted is not None
    assert (wanted.asked, wanted.answered, wanted.coded, wanted.undecided) == (1, 1, 1, 1)
    assert rows[OTHER].domain("nothing") is None
    assert "voice" in domains(list(rows.values()))


async def test_another_protocol_is_not_alike(home: FeatureHome, interviews: Interviews, protocol: Protocol) -> None:
    """One byte makes another protocol, and a decision that was not told counts as such."""
    voice = (await confirmed(interviews, protocol, talker()))[-1]
    other = Protocol.parse(protocol.source + b"\n# changed\n", "changed")
    interviews.log_protocol(other, ANA)
    await interviews.run(talker(), Interview(OTHER, BRIEFING, other), ANA)
    interviews.decide(voice, GRANT, ANA)
    home.clock.pass_days(60)
    rows = compared(home, NAME, OTHER)
    assert rows[NAME].like == rows[OTHER].like == ()
    assert rows[NAME].untold == 1
    assert rows[NAME].counts.overdue == 3
