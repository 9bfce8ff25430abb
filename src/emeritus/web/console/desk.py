"""What the console works with: the services that its pages call. Holds them and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from emeritus.access.requests.service import Requests
from emeritus.access.service import Access
from emeritus.answering import Answering
from emeritus.corner.service import Corner
from emeritus.errors import NotFound
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.register.recourse import Recourse
from emeritus.interview.service import Interviews
from emeritus.lifecycle.notifying import Notifying
from emeritus.lifecycle.words import WordsForModels
from emeritus.people.accounts import People
from emeritus.people.oidc import Provider, provider_of
from emeritus.people.signins import SignIns
from emeritus.studying import Studying

if TYPE_CHECKING:
    from emeritus.app import App


@dataclass(frozen=True, slots=True)
class Desk:
    """The services of one home. All may block; pages call them in threads."""

    people: People
    sign_ins: SignIns
    interviews: Interviews
    recourse: Recourse
    coding: CodingRounds
    corner: Corner
    words: WordsForModels
    notices: Notifying
    studying: Studying
    requests: Requests
    answering: Answering
    cost_of: Callable[[str], dict[str, Any]]
    access: Access
    provider: Provider | None = None

    @classmethod
    def of(cls, app: App) -> Desk:
        """Those of an opened home."""
        return cls(
            app.people,
            app.sign_ins,
            app.interviews,
            app.recourse,
            app.coding,
            app.corner,
            app.words,
            app.lifecycle.notices,
            app.studying,
            app.requests,
            app.answering,
            app.retirement.cost_of,
            app.access,
            provider_of(app.settings),
        )


def desk_of(request: Request) -> Desk:
    """The desk the site was built with. Raises NotFound where it is served without one."""
    desk: Desk | None = request.app.state.desk
    if desk is None:
        raise NotFound("this site is served without a console", remedy="`emeritus serve` serves one.")
    return desk
