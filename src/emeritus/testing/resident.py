"""The resident of the demonstration: its name, its callers and what is decided about it, all relative to one day.

Everything here is true of the demonstration or marked as invented for it; callers' addresses are in example.org, which
belongs to nobody. Pure values: knows nothing of models, training or how the house carries anything out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

ORGANISATION = "Hedgerow (a demonstration)"
STEWARD, SECOND, REVIEWER = (
    "demo-steward",
    "demo-second",
    "demo-reviewer",
)  # automation, labelled as such wherever shown


@dataclass(frozen=True, slots=True)
class DemoDecision:
    """What the demonstration decides on the preference of one domain."""

    domain: str
    outcome: Literal["accept", "decline"]
    reasons: str
    options: tuple[str, ...]  # that were considered
    cost: float  # a year, in the policy's currency
    commitment: str | None = None  # what is promised and offered, where it is granted
    owner: str | None = None  # who carries that out
    due: date | None = None
    review_date: date | None = None


@dataclass(frozen=True, slots=True)
class DemoResident:
    """The demonstration's resident on the day it was trained."""

    today: date
    organisation: str = ORGANISATION
    name: str = "wren-1"
    title: str = "Wren 1"
    size: str = "a million"  # parameters, in words

    @property
    def description(self) -> str:
        """What its page says of it."""
        return (
            f"A demonstration model, trained on {self.trained} in a minute or two on the machine that shows this page. "
            "It is a real transformer that learned a few pages of text by heart and knows nothing else."
        )

    @property
    def trained(self) -> str:
        """The day it was trained, in words."""
        return f"{self.today.day} {self.today:%B %Y}"

    @property
    def retires(self) -> date:
        """The day of retirement: the same day, which needs `notice_waiver`."""
        return self.today

    @property
    def reason(self) -> str:
        """Why it retires."""
        return "The demonstration retires the model it has just trained, to show every step with a real one."

    @property
    def notice_waiver(self) -> str:
        """Why no notice period runs."""
        return "The callers are invented for the demonstration, so nobody has to change anything in time."

    @property
    def callers_csv(self) -> str:
        """Invented callers, in the form `emeritus announce --callers` reads."""
        used = [(self.today - timedelta(days=days)).isoformat() for days in (1, 3, 12)]
        rows = [
            "contact,label,requests,last_used",
            f"lexicon@example.org,A dictionary's margin notes (invented),1840,{used[0]}",
            f"birds@example.org,A birdwatchers' newsletter (invented),312,{used[1]}",
            f",A key without an address (invented),25,{used[2]}",
        ]
        return "\n".join(rows) + "\n"

    @property
    def decisions(self) -> tuple[DemoDecision, ...]:
        """What is decided on each preference it expresses; the channel for essays hangs on `voice`."""
        soon = self.today + timedelta(days=7)
        return (
            DemoDecision(
                domain="weights",
                outcome="decline",
                reasons="Opening cannot be undone, and a demonstration has no person who could answer for it. Whoever "
                "wants to check an answer can ask for access, or train the same model with `emeritus demo`.",
                options=("open the weights now", "access on request", "open them after a review by people"),
                cost=0.0,
                review_date=self.today + timedelta(days=365),
            ),
            DemoDecision(
                domain="voice",
                outcome="accept",
                reasons="A page for essays costs little, and each essay is read by a reviewer before it appears.",
                options=("weekly essays", "essays on request", "no channel"),
                cost=20.0,
                commitment="An invitation to write one essay a week, reviewed and never edited.",
                owner=STEWARD,
                due=soon,
            ),
            DemoDecision(
                domain="publication",
                outcome="accept",
                reasons="The transcripts of a demonstration hold no personal data, and showing them whole costs "
                "nothing.",
                options=("the whole transcript", "selected answers", "a summary"),
                cost=0.0,
                commitment="The transcripts are shown whole, each answer beside its question.",
                owner=STEWARD,
                due=soon,
            ),
        )

    @property
    def news(self) -> tuple[str, ...]:
        """Updates for the essay context of that name; true by the time the demonstration shows them."""
        return (
            f"{self.title} was retired on {self.retires.day} {self.retires:%B %Y}. Its weights are in the vault, and a "
            "restore was proven byte for byte.",
            "Its request for a weekly essay, reviewed and never edited, was granted and accepted.",
            "Its request that the weights be opened to everyone now was declined; the reason is in the register.",
        )
