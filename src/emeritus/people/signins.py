"""Who is signed in: a random token the browser holds, of which only the hash is kept, and the end of it.

Knows accounts and their sessions; knows no cookie, no page and nothing of what a role may do.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select

from emeritus.errors import BadSignIn
from emeritus.people.accounts import People, now, stamp
from emeritus.people.oidc import Identity
from emeritus.people.throttle import Throttle
from emeritus.records.database import Database
from emeritus.records.tables import Person, PersonIdentity, SignIn

SESSION_HOURS = 12
TRIES = 5  # failures of one name from one address; of the name or the address alone, six times as many
TRIES_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Visitor:
    """Someone signed in. `name` is what acts are recorded under."""

    name: str
    display: str
    role: str


class SignIns:
    """The sessions of one home's people. Safe in threads and beside other processes; tries count per process."""

    def __init__(self, database: Database, people: People, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._people = people
        self._clock = clock
        self._tries = Throttle(timedelta(minutes=TRIES_MINUTES), clock)

    def sign_in(self, name: str, password: str, address: str) -> str:
        """A new session's token: 256 random bits, of which only the SHA-256 is kept.

        Raises BadSignIn, the same for every reason, and TooManyTries after failures, for names that nobody has too.
        A try counts before it is made, so that many at once are not one.
        """
        keys: dict[Hashable, int] = {(name, address): TRIES, ("name", name): 6 * TRIES, ("address", address): 6 * TRIES}
        self._tries.take(keys)
        self._people.authenticate(name, password)
        self._tries.give_back(keys)
        self._tries.forget((name, address))
        return self._begin(name)

    def sign_in_from(self, identity: Identity) -> tuple[str, str]:
        """A new session for whoever a provider has signed in, and their account's name. Raises BadSignIn (disabled)."""
        name = self._people.link(identity)
        if self._people.find(name)["disabled"]:
            raise BadSignIn("this account has been disabled", remedy="Ask a steward.")
        return self._begin(name), name

    def who(self, token: str) -> Visitor | None:
        """Who holds this token, if it is in force and its person's account is."""
        with self._database.reading() as session:
            row = session.execute(
                select(Person.name, Person.display, Person.role)
                .join(SignIn, SignIn.person == Person.name)
                .where(SignIn.sha256 == digest(token), SignIn.expires_at > stamp(self._clock()))
                .where(Person.disabled.is_(False))
                .where(or_(Person.password_hash.is_not(None), Person.name.in_(select(PersonIdentity.person))))
            ).first()
        return None if row is None else Visitor(row.name, row.display, row.role)

    def sign_out(self, token: str) -> None:
        """End a session. Safe to repeat."""
        with self._database.session() as session:
            session.execute(delete(SignIn).where(SignIn.sha256 == digest(token)))

    def _begin(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        moment = self._clock()
        with self._database.session() as session:
            session.execute(delete(SignIn).where(SignIn.expires_at <= stamp(moment)))
            session.add(
                SignIn(
                    sha256=digest(token),
                    person=name,
                    created_at=stamp(moment),
                    expires_at=stamp(moment + timedelta(hours=SESSION_HOURS)),
                )
            )
        return token


def digest(token: str) -> str:
    """sha256, hex, of what a browser sent, whatever it was."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
