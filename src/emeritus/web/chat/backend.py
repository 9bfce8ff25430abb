"""What the chat page asks of the house, as a protocol: `gateway.conversations` is one. Knows no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive

from emeritus.access.policy import Admission, Decision
from emeritus.engines.base import Answer, Message, Piece, Sampling
from emeritus.errors import EmeritusError


class Window(Protocol):
    """A time in which a resident does not answer, and why."""

    @property
    def starts(self) -> datetime:
        """From when."""

    @property
    def ends(self) -> datetime:
        """Until when."""

    @property
    def reason(self) -> str:
        """Why."""


class Reachable(Protocol):
    """A resident, as far as a page about talking with it needs."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def title(self) -> str:
        """Its name for people."""

    @property
    def tier(self) -> str:
        """How awake it is kept."""

    @property
    def offering(self) -> str:
        """active | legacy | deprecated | retired."""

    @property
    def access(self) -> str:
        """Who may call it: open | entitled | by request | none."""

    @property
    def deprecated(self) -> datetime | None:
        """Since or from when."""

    @property
    def retires(self) -> datetime | None:
        """When it leaves, or left, the offering."""

    @property
    def hours(self) -> str | None:
        """Visiting hours, UTC, at the tier of that name."""

    @property
    def reachable_at(self) -> datetime | None:
        """When visiting hours begin, while they are not running."""

    @property
    def brown_outs(self) -> Sequence[Window]:
        """Announced times in which it does not answer, running or to come."""

    @property
    def state(self) -> str:
        """asleep | waking | awake | failed."""

    @property
    def expected_wake_s(self) -> float | None:
        """How long its last wakes took; None when it is awake or never woke."""


class Lines(Protocol):
    """How an answer under way is written."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the response."""

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """A whole answer."""

    def of(self, index: int, piece: Piece) -> bytes:
        """One piece; empty when it says nothing."""

    def waiting(self, awake: bool) -> bytes:
        """That nothing came for a while."""

    def end(self) -> bytes:
        """The end."""

    def failed(self, error: EmeritusError) -> bytes:
        """What ended it early."""


class Refusing(Protocol):
    """How an error is answered that comes before anything else was sent."""

    def refuse(self, error: EmeritusError, status: int | None = None) -> Response:
        """The response."""


class Talks(Protocol):
    """The house. What is not async may block."""

    @property
    def max_body_bytes(self) -> int:
        """The largest request that is read."""

    def residents(self) -> Sequence[Reachable]:
        """Every resident, by name; wakes nothing."""

    def resident(self, name: str) -> Reachable:
        """One resident; wakes nothing. Raises NotFound."""

    def decide(self, account: str | None, resident: str) -> Decision:
        """Whether someone may talk with a resident, limits aside; counts nothing. None: not signed in."""

    async def admit(self, account: str | None, resident: str) -> Admission:
        """Admit one request and count it. Raises what refuses it."""

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        admission: Admission,
        rendering: Lines,
        refusing: Refusing,
    ) -> ASGIApp:
        """The response that streams an answer."""

    async def answer(
        self, messages: Sequence[Message], sampling: Sampling, admission: Admission, receive: Receive
    ) -> Answer | None:
        """The whole answer; None when its caller has left. Raises Busy."""

    def told(self, error: EmeritusError) -> str:
        """What a person is told of an error."""

    def headers(self, error: EmeritusError) -> dict[str, str]:
        """What the error's status asks a client to know."""


def talks_of(request: Request) -> Talks:
    """The house the site was built with."""
    talks: Talks = request.app.state.talks
    return talks
