"""Accounts on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from emeritus.errors import AlreadyExists, BadName, BadSignIn, InputError, NotFound
from emeritus.people import accounts
from emeritus.people.accounts import People
from emeritus.records.database import Database
from emeritus.records.tables import Person

GOOD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real argon2, with parameters that do not take half the test run."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: hasher)


@pytest.fixture
def people(database: Database) -> People:
    """A home with nobody in it yet."""
    return People(database)


def test_the_way_in(people: People) -> None:
    """A person is added, sets a password with the token, and signs in with it alone."""
    token = people.add("ana", "Ana Example", "steward")
    with pytest.raises(BadSignIn):
        people.authenticate("ana", GOOD)
    people.set_password("ana", token, GOOD)
    assert people.authenticate("ana", GOOD) == {
        "name": "ana",
        "display": "Ana Example",
        "role": "steward",
        "disabled": False,
        "setup_expires": None,
    }
    with pytest.raises(BadSignIn):
        people.authenticate("ana", GOOD + "!")


def test_a_token_works_once_and_only_for_its_person(people: People) -> None:
    """A used, wrong or borrowed token sets no password."""
    token = people.add("ana", "Ana", "steward")
    people.add("ben", "Ben", "coder")
    for name, wrong in (("ben", token), ("ana", "x"), ("ana", ""), ("nobody", token), ("a\x00", token)):
        with pytest.raises(BadSignIn):
            people.set_password(name, wrong, GOOD)
    people.set_password("ana", token, GOOD)
    with pytest.raises(BadSignIn):
        people.set_password("ana", token, "another long password")
    people.authenticate("ana", GOOD)


def test_a_token_is_used_once_by_many_at_once(people: People) -> None:
    """Of several who use the token at the same moment, one sets the password."""
    token = people.add("ana", "Ana", "steward")

    def use(number: int) -> bool:
        try:
            people.set_password("ana", token, f"{GOOD} {number}")
        except BadSignIn:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(use, range(4)))
    assert won.count(True) == 1
    assert people.authenticate("ana", f"{GOOD} {won.index(True)}")["name"] == "ana"


def test_secrets_are_kept_as_hashes(people: People, database: Database) -> None:
    """Neither token nor password is in the row."""
    token = people.add("ana", "Ana", "steward")
    with database.session() as session:
        assert session.get_one(Person, "ana").setup_sha256 not in (None, token)
    people.set_password("ana", token, GOOD)
    with database.session() as session:
        row = session.get_one(Person, "ana")
        assert row.password_hash.startswith("$argon2id$")
        assert row.setup_sha256 is None


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 1025])
def test_unusable_passwords(people: People, password: str) -> None:
    """Too short and too long are refused, and the token is not used up."""
    token = people.add("ana", "Ana", "steward")
    with pytest.raises(InputError):
        people.set_password("ana", token, password)
    people.set_password("ana", token, GOOD)


@pytest.mark.parametrize("name", ["", "Ana", "../ana", "a b", "a" * 65, "ana\x00"])
def test_unusable_names(people: People, name: str) -> None:
    """A name that could not be one is refused, and nobody can sign in with it."""
    with pytest.raises(BadName):
        people.add(name, "Ana", "steward")
    with pytest.raises(BadSignIn):
        people.authenticate(name, GOOD)


def test_roles_and_doubles(people: People) -> None:
    """An unknown role and a second person of one name are refused."""
    people.add("ana", "Ana", "steward")
    with pytest.raises(InputError):
        people.add("ben", "Ben", "king")
    with pytest.raises(AlreadyExists):
        people.add("ana", "Another", "coder")
    assert [person["display"] for person in people.list()] == ["Ana"]


def test_disabled_is_out(people: People) -> None:
    """A disabled person cannot sign in or set a password, until enabled again."""
    people.set_password("ana", people.add("ana", "Ana", "steward"), GOOD)
    token = people.reset("ana")
    with pytest.raises(BadSignIn):
        people.authenticate("ana", GOOD)
    people.set_password("ana", token, GOOD)
    people.disable("ana")
    people.disable("ana")
    with pytest.raises(BadSignIn):
        people.authenticate("ana", GOOD)
    assert people.find("ana")["disabled"]
    people.enable("ana")
    people.authenticate("ana", GOOD)


def test_unknown_people(people: People) -> None:
    """Changing someone who is not there is refused."""
    for change in (people.disable, people.enable, people.reset, people.find):
        with pytest.raises(NotFound):
            change("nobody")


def test_an_unknown_name_is_hashed_too(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a name exists does not show in the time taken: each try verifies one hash."""
    verified: list[str] = []
    real = accounts._hasher()

    class Watching:
        hash = staticmethod(real.hash)

        @staticmethod
        def verify(hashed: str, password: str) -> bool:
            verified.append(hashed)
            return real.verify(hashed, password)

    monkeypatch.setattr(accounts, "_hasher", lambda: Watching)
    people.add("ana", "Ana", "steward")
    for name in ("ana", "nobody", "No Name"):
        with pytest.raises(BadSignIn):
            people.authenticate(name, GOOD)
    assert len(verified) == 3


def test_old_hashes_are_renewed(people: People, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password hashed with weaker parameters is hashed anew when its owner signs in."""
    people.set_password("ana", people.add("ana", "Ana", "steward"), GOOD)
    old = accounts._hasher().hash(GOOD)
    with database.session() as session:
        session.execute(update(Person).values(password_hash=old))
    stronger = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: stronger)
    people.authenticate("ana", GOOD)
    with database.session() as session:
        renewed = session.get_one(Person, "ana").password_hash
    assert renewed != old
    assert not stronger.check_needs_rehash(renewed)
    people.authenticate("ana", GOOD)
