"""What the gateway needs from the house: models to list, admission, a resident that answers, metering.

`app` implements `GatewayBackend` over access and residency; the gateway's tests over a scripted engine. The methods
that are not async may block on the database: the gateway calls them in a thread, except `meter`, which must not block.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from emeritus.access.policy import Admission, Tokens
from emeritus.engines.base import Awake
from emeritus.settings import Settings


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which a resident does not answer, so that those who still call it notice; and why."""

    starts: datetime
    ends: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A resident as the API shows it. Moments carry a time zone; a date without a time is its first instant, UTC."""

    name: str
    title: str
    owned_by: str
    created: datetime  # when it was registered here
    tier: str  # awake | on-demand | hours | correspondence | archive
    offering: str  # active | legacy | deprecated | retired
    access: str  # open | entitled | by request | none
    preservation: str
    reachable: bool  # whether someone with a right to call gets an answer now, waking included
    weights_digest: str | None = None  # sha256 hex; None when the weights are not held
    deprecated: datetime | None = None  # since or from when
    retires: datetime | None = None  # when it leaves, or left, the offering
    hours: str | None = None  # visiting hours, UTC, at the tier of that name
    reachable_at: datetime | None = None  # when visiting hours begin, while they are not running
    state: str = "asleep"  # asleep | waking | awake | failed, in this program
    expected_wake_s: float | None = None  # as its last wakes took; None when it is awake or never woke
    page: str = ""  # absolute address of the page about its retirement
    brown_outs: tuple[Window, ...] = ()  # announced times in which it does not answer, running or to come


class GatewayBackend(Protocol):
    """The house behind the gateway."""

    def models(self) -> Sequence[ModelInfo]:
        """Every resident, in the order to list them. Never wakes anything."""

    def model(self, name: str) -> ModelInfo:
        """One resident. Never wakes anything. Raises NotFound."""

    def admit(self, key: str | None, resident: str) -> Admission:
        """Admit one request and count it. Raises BadKey, NotEntitled, QuotaExceeded or BrownedOut."""

    def admit_at_once(self, key: str | None, resident: str) -> tuple[ModelInfo, Admission, str] | None:
        """`model`, `admit` and `note` in one, from memory alone; None where the database has to be asked.

        Does not block: the gateway calls it on its event loop. Raises as they do.
        """

    def note(self, admission: Admission) -> str:
        """What the header Emeritus-Notice tells whoever was admitted; empty when nothing is to be said."""

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Wake the resident and hold it awake. Leaving while it loads must not end the load: others may wait for it."""

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what an admitted request used; None gives the request back, because it got no answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the gateway reads and how long it waits, in bytes and seconds."""

    max_body_bytes: int
    wake_timeout_s: float  # longest wait for a wake before an answer that is not streamed
    stream_wake_timeout_s: float = 1800.0  # longest wait for a wake while a stream is held open
    grace_s: float = 1.0  # a stream that fails within this still gets a proper status
    heartbeat_s: float = 5.0  # pause between comments on a stream that has nothing to say yet
    answer_s: float = 600.0  # longest answer, from when its resident is awake until its reader has it all but the last

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits the settings set."""
        return cls(settings.max_body_bytes, settings.wake_timeout_s, answer_s=settings.longest_answer_s)
