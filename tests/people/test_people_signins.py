"""Being signed in, on both databases: tokens, their end, and tries that are too many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from emeritus.errors import BadSignIn, InputError, TooManyTries
from emeritus.people import accounts
from emeritus.people.accounts import SETUP_DAYS, People
from emeritus.people.signins import SESSION_HOURS, TRIES, TRIES_MINUTES, SignIns
from emeritus.people.throttle import MOST_KEYS, Throttle
from emeritus.records.database import Database
from emeritus.records.tables import SignIn

GOOD, OTHER = "correct horse battery", "another long password"


class Watch:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The clock; and real argon2, with parameters that do not take half the test run."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: hasher)
    return Watch()


@pytest.fixture
def people(database: Database, watch: Watch) -> People:
    """A home with Ana in it."""
    people = People(database, watch)
    people.set_password("ana", people.add("ana", "Ana Example", "coder"), GOOD)
    return people


@pytest.fixture
def signed(database: Database, people: People, watch: Watch) -> SignIns:
    """The sessions of that home."""
    return SignIns(database, people, watch)


def test_a_token_says_who_until_it_ends(signed: SignIns, watch: Watch, database: Database) -> None:
    """A session's token is known until signing out or its last hour, and kept as its hash only."""
    token = signed.sign_in("ana", GOOD, "::1")
    visitor = signed.who(token)
    assert visitor is not None
    assert (visitor.name, visitor.display, visitor.role) == ("ana", "Ana Example", "coder")
    with database.reading() as session:
        assert session.scalars(select(SignIn.sha256)).one() != token
    assert signed.who(token + "x") is None
    assert signed.who("\ud800") is None
    signed.sign_out(token)
    signed.sign_out(token)
    assert signed.who(token) is None
    token = signed.sign_in("ana", GOOD, "::1")
    watch.now += timedelta(hours=SESSION_HOURS)
    assert signed.who(token) is None
    signed.sign_in("ana", GOOD, "::1")
    with database.reading() as session:
        assert len(session.scalars(select(SignIn)).all()) == 1  # what has expired is swept


CHANGES: list[Callable[[People], object]] = [
    lambda people: people.change_password("ana", GOOD, OTHER),
    lambda people: people.reset("ana"),
    lambda people: people.disable("ana"),
]


@pytest.mark.parametrize("change", CHANGES, ids=["password", "reset", "disabled"])
def test_a_change_ends_every_session(people: People, signed: SignIns, change: Callable[[People], object]) -> None:
    """A new password, a reset and a disabled account sign their person out everywhere, and nobody else."""
    people.set_password("ben", people.add("ben", "Ben", "steward"), OTHER)
    tokens = [signed.sign_in("ana", GOOD, "::1") for _ in range(2)]
    other = signed.sign_in("ben", OTHER, "::1")
    change(people)
    assert [signed.who(token) for token in tokens] == [None, None]
    assert signed.who(other) is not None
    with pytest.raises(BadSignIn):
        signed.sign_in("ana", GOOD, "::1")


def test_a_new_role_holds_from_the_next_request(people: People, signed: SignIns) -> None:
    """A session shows the role its person has now."""
    token = signed.sign_in("ana", GOOD, "::1")
    people.set_role("ana", "moderator")
    visitor = signed.who(token)
    assert visitor is not None
    assert visitor.role == "moderator"
    with pytest.raises(InputError):
        people.set_role("ana", "king")


def test_a_wrong_old_password_changes_nothing(people: People, signed: SignIns) -> None:
    """Neither a wrong password nor an unusable new one ends a session."""
    token = signed.sign_in("ana", GOOD, "::1")
    with pytest.raises(BadSignIn):
        people.change_password("ana", OTHER, OTHER)
    with pytest.raises(InputError):
        people.change_password("ana", GOOD, "short")
    assert signed.who(token) is not None


def test_a_setup_token_expires(people: People, watch: Watch) -> None:
    """A set-up token works until its last day and not after; a reset gives another."""
    token = people.add("ben", "Ben", "coder")
    watch.now += timedelta(days=SETUP_DAYS)
    with pytest.raises(BadSignIn):
        people.set_password("ben", token, OTHER)
    token = people.reset("ben")
    watch.now += timedelta(days=SETUP_DAYS) - timedelta(seconds=1)
    people.set_password("ben", token, OTHER)


def test_failures_are_throttled_alike_for_names_that_nobody_has(signed: SignIns, watch: Watch) -> None:
    """After some failures even the right password waits, a name that nobody has too, and only from that address."""
    for name in ("ana", "nobody"):
        for _ in range(TRIES):
            with pytest.raises(BadSignIn) as refused:
                signed.sign_in(name, "wrong password", "10.0.0.1")
            assert str(refused.value) == "the name or the password is wrong"
        with pytest.raises(TooManyTries):
            signed.sign_in(name, GOOD, "10.0.0.1")
    signed.sign_in("ana", GOOD, "10.0.0.2")
    watch.now += timedelta(minutes=TRIES_MINUTES)
    signed.sign_in("ana", GOOD, "10.0.0.1")


def test_an_address_that_tries_many_names_is_throttled(signed: SignIns) -> None:
    """Guessing one password for many names ends too."""
    for number in range(6 * TRIES):
        with pytest.raises(BadSignIn):
            signed.sign_in(f"name-{number}", "wrong password", "10.0.0.1")
    with pytest.raises(TooManyTries):
        signed.sign_in("ana", GOOD, "10.0.0.1")
    for _ in range(7 * TRIES):
        signed.sign_in("ana", GOOD, "10.0.0.2")  # who signs in often is no guesser


def test_a_throttle_remembers_a_bounded_number_of_keys(watch: Watch) -> None:
    """Many keys do not fill the memory, and forgetting one lets it begin again."""
    throttle = Throttle(timedelta(minutes=1), watch)
    for number in range(MOST_KEYS + 5):
        throttle.take({number: 1})
    assert len(throttle._events) == MOST_KEYS
    with pytest.raises(TooManyTries):
        throttle.take({MOST_KEYS: 1})
    throttle.forget(MOST_KEYS)
    throttle.take({MOST_KEYS: 1})
