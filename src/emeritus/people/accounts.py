"""Accounts with a role, a one-time set-up token that expires, and an argon2 password. Secrets are kept as hashes only.

A password that changes, a reset and a disabled account end every session of their person in the same transaction.
Knows the tables of people and of their sessions, and nothing of pages or of what a role may do.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from emeritus.errors import AlreadyExists, BadName, BadSignIn, InputError, NotFound
from emeritus.records.database import Database
from emeritus.records.tables import Person, PersonIdentity, SignIn
from emeritus.records.upsert import insert_for

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from emeritus.people.oidc import Identity

ROLES = ("steward", "coder", "reviewer", "moderator")  # those who work in the home
CALLER = "caller"  # someone who may sign in and call models, and works on nothing
SETUP_DAYS = 7  # how long a set-up token works
MIN_PASSWORD, MAX_PASSWORD = 12, 1024  # characters; the upper bound keeps a huge password from costing a huge hash
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_HASHING = threading.BoundedSemaphore(2)  # each hash takes 64 MiB: callers who sign in at once wait in line for it


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """RFC 3339, UTC, seconds: as every record writes a time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class People:
    """The accounts of one home. Safe in threads and beside other processes."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._clock = clock

    def add(self, name: str, display: str, role: str) -> str:
        """Add a person; the one-time set-up token, which is kept as its hash only. Raises BadName, AlreadyExists."""
        if not _NAME.fullmatch(name):
            raise BadName(f"{name[:80]!r} cannot be a sign-in name")
        _check_role(role)
        if not display.strip() or len(display) > 200:
            raise InputError("the name shown has 1 to 200 characters")
        token = secrets.token_urlsafe(32)
        try:
            with self._database.session() as session:
                session.add(
                    Person(
                        name=name,
                        display=display,
                        role=role,
                        password_hash=None,
                        setup_sha256=_digest(token),
                        setup_expires=self._expiry(),
                        created_at=stamp(self._clock()),
                        disabled=False,
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists(f"there is a person named {name!r} already") from error
        return token

    def reset(self, name: str) -> str:
        """A new set-up token; the old password and every session end now. Raises NotFound."""
        token = secrets.token_urlsafe(32)
        self._change(name, setup_sha256=_digest(token), setup_expires=self._expiry(), password_hash=None)
        return token

    def set_password(self, name: str, token: str, password: str) -> None:
        """Set a password with the one-time token, which is used up by it. Raises InputError, BadSignIn."""
        _check_password(password)
        with _HASHING:
            hashed = _hasher().hash(password)
        in_time = or_(Person.setup_expires.is_(None), Person.setup_expires > stamp(self._clock()))
        used_up = (
            update(Person)
            .where(Person.name == _storable(name), Person.setup_sha256 == _digest(token), Person.disabled.is_(False))
            .where(in_time)
            .values(password_hash=hashed, setup_sha256=None, setup_expires=None)
            .returning(Person.name)
        )
        with self._database.session() as session:
            if session.scalar(used_up) is None:
                raise BadSignIn("no account waits for this set-up link: it was used, has expired, or was replaced")
            session.execute(delete(SignIn).where(SignIn.person == name))

    def change_password(self, name: str, old: str, new: str) -> None:
        """Replace a password; every session of its person ends. Raises BadSignIn, InputError."""
        _check_password(new)
        self.authenticate(name, old)
        with _HASHING:
            hashed = _hasher().hash(new)
        self._change(name, password_hash=hashed)

    def authenticate(self, name: str, password: str) -> dict[str, Any]:
        """Who signs in, as `list` shows them. Raises BadSignIn, without saying what was wrong, in the same time."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._database.reading() as session:
            row = session.get(Person, _storable(name))
        refused = BadSignIn("the name or the password is wrong")
        known = row.password_hash if row is not None and not row.disabled else None
        try:
            with _HASHING:
                _hasher().verify(known or _decoy(), password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError) as error:
            raise refused from error
        if row is None or known is None:
            raise refused  # it matched the decoy, which is nobody's password
        if _hasher().check_needs_rehash(known):
            self._change(name, ends_sessions=False, password_hash=_hasher().hash(password))
        return _shown(row)

    def link(self, identity: Identity) -> str:
        """The account known by an issuer and a subject, made at their first sign-in; its name.

        An account that exists already is never taken for it, whatever its name or address. A role is changed only
        where the provider's are mapped; a new account is otherwise a caller's. Raises InputError (no such role).
        """
        if identity.role is not None:
            _check_role(identity.role)
        moment = stamp(self._clock())
        known = select(PersonIdentity.person).where(
            PersonIdentity.issuer == identity.issuer, PersonIdentity.subject == identity.subject
        )
        name = "oidc-" + _digest(f"{identity.issuer}\n{identity.subject}")[:16]
        with self._database.session() as session:
            found = session.scalar(known)
            if found is not None:
                change = {"display": identity.display} | ({} if identity.role is None else {"role": identity.role})
                session.execute(update(Person).where(Person.name == found).values(**change))
                return found
            made = insert_for(session, Person).values(
                name=name,
                display=identity.display,
                role=identity.role or CALLER,
                password_hash=None,
                setup_sha256=None,
                setup_expires=None,
                created_at=moment,
                disabled=False,
            )
            session.execute(made.on_conflict_do_nothing())  # two first sign-ins at once are one account
            linked = insert_for(session, PersonIdentity).values(
                issuer=identity.issuer, subject=identity.subject, person=name, linked_at=moment
            )
            session.execute(linked.on_conflict_do_nothing())
        return name

    def set_role(self, name: str, role: str) -> None:
        """Give someone another role, from their next request on. Raises InputError, NotFound."""
        _check_role(role)
        self._change(name, ends_sessions=False, role=role)

    def disable(self, name: str) -> None:
        """Let someone sign in no more. Their acts stay. Safe to repeat. Raises NotFound."""
        self._change(name, disabled=True, setup_sha256=None, setup_expires=None)

    def enable(self, name: str) -> None:
        """Let someone sign in again. Raises NotFound."""
        self._change(name, ends_sessions=False, disabled=False)

    def find(self, name: str) -> dict[str, Any]:
        """One account: name, display, role, disabled, setup_expires. Raises NotFound."""
        with self._database.reading() as session:
            row = session.get(Person, _storable(name))
        if row is None:
            raise _unknown(name)
        return _shown(row)

    def list(self) -> list[dict[str, Any]]:
        """Every account by name, as `find` gives each."""
        with self._database.reading() as session:
            return [_shown(row) for row in session.scalars(select(Person).order_by(Person.name))]

    def _expiry(self) -> str:
        return stamp(self._clock() + timedelta(days=SETUP_DAYS))

    def _change(self, name: str, *, ends_sessions: bool = True, **values: Any) -> None:
        change = update(Person).where(Person.name == _storable(name)).values(**values).returning(Person.name)
        with self._database.session() as session:
            if session.scalar(change) is None:
                raise _unknown(name)
            if ends_sessions:
                session.execute(delete(SignIn).where(SignIn.person == name))


def _check_role(role: str) -> None:
    if role not in (*ROLES, CALLER):
        raise InputError(f"{role!r} is no role; use one of: {', '.join((*ROLES, CALLER))}")


def _check_password(password: str) -> None:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InputError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def _shown(row: Person) -> dict[str, Any]:
    return {
        "name": row.name,
        "display": row.display,
        "role": row.role,
        "disabled": row.disabled,
        "setup_expires": row.setup_expires,
    }


def _unknown(name: str) -> NotFound:
    return NotFound(f"nobody here is named {name[:80]!r}", remedy="`emeritus people list` shows the accounts.")


def _storable(name: str) -> str:
    """A name as a database can be asked for it: what could be nobody's name becomes the empty one, which nobody has."""
    return name if _NAME.fullmatch(name) else ""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # imported where it is used: most commands never hash

    return PasswordHasher()  # argon2id with the second recommended option of RFC 9106


@cache
def _decoy() -> str:
    """A hash to compare with where there is none, so that an unknown name takes as long as a wrong password."""
    return _hasher().hash(secrets.token_urlsafe(32))
