"""Batches and letters answered: admitted by access, in the resident's window, told by mail; and their deadlines.

Crosses correspondence, access, lifecycle and mail. Knows no face and no vendor.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from emeritus.access.policy import Admission, Standing, Tokens
from emeritus.access.queries import standings
from emeritus.access.service import Access
from emeritus.correspondence.letters import Letters, LetterView
from emeritus.correspondence.service import Correspondence
from emeritus.correspondence.turns import Turns
from emeritus.correspondence.views import Sender
from emeritus.engines.base import Awake
from emeritus.errors import InputError, MailFailed
from emeritus.lifecycle import queries as lifecycle
from emeritus.mail.messages import is_address
from emeritus.mail.outbox import Outbox
from emeritus.settings import Settings
from emeritus.tiers import MayAnswer, Tier, may_correspond, next_window, read_hours

TURN_S = 300.0  # a turn that is longer goes on as another: jobs are short
LETTER_WAIT = timedelta(days=8)  # a letter waits at least this long: a weekly window and a day
_log = logging.getLogger(__name__)
Waking = Callable[[str], AbstractAsyncContextManager[Awake]]


class Answering:
    """The correspondence of one home, with those who take part in it. Safe in threads; may block."""

    def __init__(
        self, correspondence: Correspondence, access: Access, settings: Settings, outbox: Outbox, awake: Waking
    ) -> None:
        self.kept = correspondence
        self.letters = Letters(correspondence)
        self._access = access
        self._settings = settings
        self.most_file_bytes = settings.correspondence_file_bytes
        self._outbox = outbox
        self._awake = awake
        self._turns = Turns(correspondence, settings.correspondence_parallel)
        self._ask: Callable[[str], None] | None = None

    # -- taking in -----------------------------------------------------------------------------------------------------

    def holder(self, key: str | None) -> Sender:
        """Who sends this key. Raises BadKey, NotEntitled."""
        prefix, owner = self._access.holder(key)
        return Sender(owner, prefix)

    def may_send(self, key: str | None, residents: Iterable[str]) -> None:
        """Raises what refuses a batch for one of the residents; counts nothing."""
        for resident in residents:
            self._access.meter(self._access.check(key, resident, "batch"), None)

    def deadline(self, residents: Iterable[str], within: timedelta) -> datetime:
        """By when a batch is answered: in the time asked for, or when the last of its residents' next windows ends."""
        now = self.kept.clock()
        found = now + within
        for resident in residents:
            standing = self.standing(resident)
            if standing.tier in (Tier.CORRESPONDENCE, Tier.HOURS):
                window = next_window(now, read_hours(standing.hours or ""))
                found = max(found, window[1]) if window is not None else found
        return found

    def write(self, resident: str, text: str, who: Sender | str, contact: str | None) -> str:
        """Take a letter in, from an account that is signed in or whoever holds a key; the secret of its link.

        Raises AccessError, InputError.
        """
        sender = who if isinstance(who, Sender) else self._writer(who, resident)
        if contact is not None and not is_address(contact):
            raise InputError(f"{contact[:80]!r} is no mail address", param="contact")
        secret = self.letters.write(sender, resident, text, self.deadline([resident], LETTER_WAIT), contact)
        self.ask(resident)
        return secret

    def _writer(self, account: str, resident: str) -> Sender:
        admission = self._access.check_person(account, resident, "batch")
        self._access.meter(admission, None)
        return Sender(admission.grant or account, account, person=True)

    # -- answering -----------------------------------------------------------------------------------------------------

    def on_arrival(self, ask: Callable[[str], None] | None) -> None:
        """Have `ask` called with a resident for whom something has come; without it the next round finds it."""
        self._ask = ask

    def ask(self, resident: str) -> None:
        """Something has come for a resident."""
        if self._ask is not None and self.verdict(resident).now:
            self._ask(resident)

    def due(self) -> list[str]:
        """The residents for whom something waits that they may answer now."""
        return [each for each in self.kept.due() if self.may_go_on(each)]

    async def take(self, resident: str) -> int:
        """One turn of a resident; how many lines came to an end."""
        return await self._turns.take(resident, _Until(self, time.monotonic() + TURN_S))

    def look_after(self) -> dict[str, int]:
        """End what is overdue, erase what is past its days, tell those whose letters have an answer."""
        for resident in self.kept.due():
            self._turns.free(resident)
        return {
            "expired": self.kept.end_overdue(),
            "told": self.letters.tell(self._mail),
            "erased": self.kept.erase_past(),
        }

    def standing(self, resident: str) -> Standing:
        """How awake a resident is kept, with the window in force."""
        with self.kept.database.reading() as session:
            found = standings(session).get(resident, Standing())
        if found.tier == Tier.CORRESPONDENCE and not found.hours:
            return Standing(found.tier, found.access, self._settings.correspondence_hours)
        return found

    def verdict(self, resident: str) -> MayAnswer:
        """Whether a resident's tier lets it answer what waits, now."""
        standing = self.standing(resident)
        return may_correspond(Tier(standing.tier), self.kept.clock(), read_hours(standing.hours or ""))

    def may_go_on(self, resident: str) -> bool:
        """Whether a resident's next question may be asked now.

        One that has gone to the archive may: admission then ends each of its lines with the reason.
        """
        now = self.kept.clock()
        with self.kept.database.reading() as session:
            window = lifecycle.brown_out(session, resident, now.isoformat())
        if window is not None and datetime.fromisoformat(window.starts) <= now < datetime.fromisoformat(window.ends):
            return False
        return self.standing(resident).tier == Tier.ARCHIVE or self.verdict(resident).now

    # -- what a turn is taken with -------------------------------------------------------------------------------------

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Wake a resident and hold it awake."""
        return self._awake(resident)

    def admit(self, sender: Sender, resident: str) -> Admission:
        """Admit one question and count it. Raises AccessError."""
        if sender.person:
            return self._access.check_person(sender.name, resident, "batch")
        return self._access.check_known(sender.name, resident, "batch")

    def meter(self, admission: Admission, tokens: tuple[int, int] | None) -> None:
        """Record what a question used."""
        self._access.meter(admission, None if tokens is None else Tokens(*tokens))

    def _mail(self, letter: LetterView) -> None:
        if letter.contact is None:
            return
        said = letter.answer or letter.problem or "It was not answered before its time was over."
        body = (
            f"Your letter to {letter.resident} of {letter.created_at}: {letter.state}.\n\n{said}\n\n"
            f"You wrote:\n\n{letter.text}\n\nBoth are erased here on {letter.erase_at[:10]}, or by you on the "
            "letter's page before.\n"
        )
        try:
            self._outbox.queue(letter.contact, f"Your letter to {letter.resident}", body)
        except MailFailed as error:
            _log.warning("%s: %s", letter.id, error)


class _Until:
    """The means of one turn, which ends in time."""

    def __init__(self, answering: Answering, until: float) -> None:
        self._answering = answering
        self._until = until
        self.awake, self.admit, self.meter = answering.awake, answering.admit, answering.meter

    def may_go_on(self, resident: str) -> bool:
        """While the turn lasts."""
        return time.monotonic() < self._until and self._answering.may_go_on(resident)
