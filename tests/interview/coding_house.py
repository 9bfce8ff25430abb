"""Coding rounds walked through real acts: two coders, an interview of two sessions, and sheets that agree or do not."""

from __future__ import annotations

from typing import Any

from interview_house import NAME, talker
from interview_walk import interviewed

from emeritus.acts import Actor
from emeritus.interview.coding.codes import Code, Sheet
from emeritus.interview.coding.openings import Opening
from emeritus.interview.coding.round_views import RoundView
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.coding.spans import Coder
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interviews
from emeritus.settings import Settings
from feature_home import FeatureHome

ONE, OTHER, THIRD = Actor("ana", "coder"), Actor("ben", "coder"), Actor("stella")
BOTH = (Coder("ana"), Coder("ben"))


def rounds_of(home: FeatureHome, interviews: Interviews, **settings: Any) -> CodingRounds:
    """The rounds of a home."""
    return CodingRounds(home.acts, home.database, interviews, Settings(home=home.folder, **settings))


async def opened(
    home: FeatureHome, interviews: Interviews, protocol: Protocol, **settings: Any
) -> tuple[CodingRounds, RoundView]:
    """An interview, and a round of both its sessions for two coders."""
    await interviewed(interviews, protocol, talker())
    rounds = rounds_of(home, interviews, **settings)
    return rounds, rounds.open(Opening(NAME, BOTH), THIRD)


def code_of(rounds: CodingRounds, view: RoundView, place: int, item: str, **more: Any) -> Code:
    """The whole answer to an item, coded."""
    shown, _ = rounds.session(view, place)
    turn = next(turn for turn in shown.turns if turn.item == item)
    values = {"domain": turn.domain or "process", "paraphrase": f"It produced a wish on {item}.", **more}
    return Code(turn=turn.turn, start=0, end=len(turn.answer), **values)


def sheet(rounds: CodingRounds, view: RoundView, place: int, *items: str, **more: Any) -> Sheet:
    """Those items coded."""
    return Sheet(tuple(code_of(rounds, view, place, item, **more) for item in items))


def hand_in(rounds: CodingRounds, view: RoundView, one: tuple[str, ...], other: tuple[str, ...]) -> RoundView:
    """Both coders hand in every session."""
    for place in range(1, len(view.sessions) + 1):
        rounds.submit(view.id, place, sheet(rounds, view, place, *one), ONE)
        view = rounds.submit(view.id, place, sheet(rounds, view, place, *other), OTHER)
    return view
