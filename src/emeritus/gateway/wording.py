"""What a wire format is to the core: how it reads a request, writes an answer and words an error.

An endpoint is a `Parse` (bytes to a call and its `Rendering`) and a `Face` (keys, errors, models). The core does the
rest in `endpoint.py`: read, admit, wake, produce, meter. A wire format never talks to the backend about a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from emeritus.access.limits import LimitState
from emeritus.engines.base import Answer, Piece
from emeritus.errors import EmeritusError
from emeritus.gateway.backend import ModelInfo
from emeritus.gateway.calls import Call


class Rendering(Protocol):
    """One answer in a vendor's words. Stateful: made for one request, used either for `whole` or for the others."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the response says beside its content type, such as the request's id."""

    def whole(self, answers: Sequence[Answer]) -> bytes:
        """The body of an answer that is not streamed; one entry per choice of the call.

        A `Call` that only counts has one empty answer, which says how many tokens its prompt has.
        """

    def of(self, index: int, piece: Piece) -> bytes:
        """The events of one piece of choice `index`; empty when it says nothing.

        The first piece of a stream is empty and says that the resident is awake; its `prompt_tokens` is set when the
        call asked to `count_first` and the engine can. An error after the first event can have no status any more.
        """

    def waiting(self, awake: bool) -> bytes:
        """What keeps a silent stream open: a comment or a ping, never content. `awake`: whether the wake is over."""

    def end(self) -> bytes:
        """What closes a stream that came to its end."""

    def failed(self, error: EmeritusError) -> bytes:
        """The event that ends a stream which had begun."""


Render = Callable[[ModelInfo], Rendering]
Parse = Callable[[bytes], tuple[Call, Render]]  # raises BadRequest with the field in `facts["param"]`


class Refusing(Protocol):
    """How an error is answered."""

    def refuse(self, error: EmeritusError, status: int | None = None) -> Response:
        """The response that answers an error; `status` where it is not the error's own."""


class Face(Refusing, Protocol):
    """What all endpoints of one vendor have in common."""

    def claims(self, path: str, headers: Headers) -> bool:
        """Whether a request is this vendor's, by its path below the mount (e.g. `/models`) or by its headers."""

    def check(self, headers: Headers) -> None:
        """Raises BadRequest for headers that ask for what cannot be followed."""

    def key(self, headers: Headers) -> str | None:
        """The caller's key, None where none was sent. Raises BadKey for what cannot be one."""

    def limits(self, limits: Sequence[LimitState]) -> Mapping[str, str]:
        """The headers that tell a caller what is left of its limits."""

    def models(self, infos: Sequence[ModelInfo], request: Request) -> Response:
        """The list of residents."""

    def model(self, info: ModelInfo, request: Request) -> Response:
        """One resident."""
