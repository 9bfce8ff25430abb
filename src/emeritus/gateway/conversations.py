"""People's conversations on the site, over the way of every call. Knows no page: the words of an answer are handed in.

The site may not import the gateway; `web.chat.backend.Talks` says what it asks of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive

from emeritus.access.policy import Admission, Decision
from emeritus.engines.base import Answer, Message, Sampling
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import Limits, ModelInfo
from emeritus.gateway.calls import Call, Calls
from emeritus.gateway.connection import CallerGone, while_connected
from emeritus.gateway.faults import error_headers, log_fault, told
from emeritus.gateway.house import House
from emeritus.gateway.naming import known_model
from emeritus.gateway.streaming import StreamedAnswer
from emeritus.gateway.wording import Refusing, Rendering


class Conversations:
    """A `web.chat.backend.Talks` over the gateway's house."""

    def __init__(self, house: House, limits: Limits) -> None:
        self._house = house
        self._limits = limits
        self._calls = Calls(house, limits)

    @property
    def max_body_bytes(self) -> int:
        """The largest request that is read."""
        return self._limits.max_body_bytes

    def residents(self) -> Sequence[ModelInfo]:
        """Every resident, by name. May block; wakes nothing."""
        return self._house.models()

    def resident(self, name: str) -> ModelInfo:
        """One resident. May block; wakes nothing. Raises NotFound."""
        return known_model(self._house, name)

    def decide(self, account: str | None, resident: str) -> Decision:
        """Whether someone may talk with a resident, limits aside. May block; counts nothing."""
        return self._house.decide_person(account, resident)

    async def admit(self, account: str | None, resident: str) -> Admission:
        """Admit one request and count it. Raises what refuses: NotEntitled, QuotaExceeded, OutsideHours, BrownedOut."""
        return await asyncio.to_thread(self._house.admit_person, account, resident)

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        admission: Admission,
        rendering: Rendering,
        refusing: Refusing,
    ) -> ASGIApp:
        """The response that streams an answer; whoever leaves ends it. What it used is metered."""
        call = Call(admission.resident, (tuple(messages),), sampling, stream=True)
        return StreamedAnswer(self._calls.pieces(call, admission), rendering, refusing, rendering.headers, self._limits)

    async def answer(
        self, messages: Sequence[Message], sampling: Sampling, admission: Admission, receive: Receive
    ) -> Answer | None:
        """The whole answer, metered; None when its caller has left. Raises Busy when the wake takes too long."""
        call = Call(admission.resident, (tuple(messages),), sampling)
        try:
            return (await while_connected(receive, self._calls.answers(call, admission)))[0]
        except CallerGone:
            return None

    def told(self, error: EmeritusError) -> str:
        """What a person is told of an error, which is logged where it is a fault of ours."""
        log_fault(error)
        return told(error)

    def headers(self, error: EmeritusError) -> dict[str, str]:
        """What the error's status asks a client to know."""
        return error_headers(error)
