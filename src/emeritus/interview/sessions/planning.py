"""From a protocol, a briefing and a form of the interview to the session that is held: the one place that joins them.

Pure. Knows how a session's header names its place in a study; not how a study chooses its cells, and no database.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from emeritus.interview.protocols.cells import Form, record_of
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.register.ruling import PEOPLE, PROGRAM
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.interviewer import SCRIPTED, Interviewer
from emeritus.interview.sessions.session import Plan


@dataclass(frozen=True, slots=True)
class Place:
    """Which session it is: of whom, the how-manieth, in which study, asked by whom, and how its answers are drawn.

    `repeat` counts from 1; 0 is the one run at temperature 0. `temperature` and `seed` None are the protocol's.
    """

    session: str
    resident: str
    repeat: int = 1
    study: str | None = None
    interviewer: Interviewer = SCRIPTED
    temperature: float | None = None
    seed: int | None = None


def plan_session(protocol: Protocol, briefing: prompts.Briefing, form: Form, place: Place) -> Plan:
    """The session. A person asks what they choose, so nothing is planned for them but what is told before it."""
    sampling = prompts.sampling_of(protocol, form)
    if place.temperature is not None:
        sampling = replace(sampling, temperature=place.temperature)
    if place.seed is not None:
        sampling = replace(sampling, seed=place.seed)
    led = place.interviewer.kind == "person"
    return Plan(
        session=place.session,
        resident=place.resident,
        purpose="interview",
        condition={
            **record_of(protocol.factors, form),
            "repeat": place.repeat,
            "decider": PEOPLE if briefing.people_decide else PROGRAM,
            "study": place.study,
            "interviewer": place.interviewer.as_dict(),
        },
        protocol={"id": protocol.id, "version": protocol.version, "sha256": protocol.sha256},
        briefing=briefing.as_dict(),
        opening=prompts.preamble(protocol, form, briefing),
        turns=() if led else prompts.interview_turns(protocol, form, briefing),
        depth=protocol.depth_in(form),
        sampling=sampling,
        disclosure=prompts.disclosure(protocol, form, briefing),
    )
