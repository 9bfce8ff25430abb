"""Acts keep the order of truth (payload, ledger, SQL): once, whole, and rebuilt as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from acts_house import (
    ORIGIN,
    STEWARD,
    Home,
    caller,
    dump,
    essay,
    files,
    perform_some,
    policy,
    project_policy,
    refuse,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Draft, canonical
from emeritus.blobs.local import LocalStore
from emeritus.errors import ActConflict, BadName, IntegrityError, LedgerBroken, NotFound, StatementTooLarge
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, Caller, Essay, Person, Policy


def test_an_act_is_stated_projected_and_found(home: Home) -> None:
    """What perform returns, what find returns, what the ledger states and what the rows say agree."""
    acts = home.open()
    done = acts.perform("essay:1", STEWARD, essay(b"text"))
    assert (done.seq, done.kind, done.resident, done.at) == (0, "essay", "m", "2026-01-02T03:04:05Z")
    assert done.read("essay") == b"text"
    assert done.payloads["report"] == "ab" * 32
    found = home.open().find("essay:1")
    assert found is not None
    assert {name: getattr(found, name) for name in Act.__slots__ if name != "read"} == {
        name: getattr(done, name) for name in Act.__slots__ if name != "read"
    }
    assert found.read("essay") == b"text"
    statement = home.ledger().statement(0)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:emeritus:act:essay/v0"
    assert [entry["name"] for entry in statement["subject"]] == ["act:essay:1", "essay", "report"]
    with home.database.reading() as session:
        assert session.get_one(Essay, "essay:1").content == b"text"
        assert session.get_one(ActRow, "essay:1").actor == "Ada"


def test_an_act_is_done_once(home: Home) -> None:
    """The second time the recorded act comes back and `build` is not called, in this process or the next."""
    first = home.open().perform("policy:1", STEWARD, policy("notice", "60"))

    def never(_: Session) -> Draft:
        raise AssertionError("built twice")

    again = home.open().perform("policy:1", Actor("Eve"), never)
    assert (again.seq, again.public, again.actor) == (first.seq, {"name": "notice", "value": "60"}, STEWARD)
    assert home.ledger().size == 1


@pytest.mark.parametrize(
    ("act_id", "build", "error"),
    [
        ("a", refuse, NotFound),
        ("a", lambda _: Draft("unknown", None), ActConflict),
        ("a", lambda _: Draft("policy", None, {"no": "name"}, {"contact": "x"}), KeyError),
        ("a", lambda _: Draft("policy", None, {"name": None, "value": "v"}, {"contact": "x"}), Exception),
        ("a", lambda _: Draft("policy", None, {"name": "n", "value": float("nan")}), ValueError),
        ("a", lambda _: Draft("policy", None, {"name": "n", "value": "v" * 60_000}, {"c": 1}), StatementTooLarge),
        ("", policy("n"), BadName),
        ("a" * 201, policy("n"), BadName),
    ],
    ids=["rule", "unknown kind", "projector", "constraint", "no JSON", "too large", "no id", "long id"],
)
def test_a_refused_act_leaves_nothing(
    home: Home, act_id: str, build: Callable[[Session], Draft], error: type[Exception]
) -> None:
    """Whatever refuses, be it a rule, a projector, a table or the ledger: no row, entry, payload or private file."""
    acts = home.open()
    acts.perform("essay:0", STEWARD, essay(b"before"))
    before = (dump(home.database), files(home.folder / "ledger"), files(home.folder / "payloads"))
    with pytest.raises(error):
        acts.perform(act_id, STEWARD, build)
    assert (dump(home.database), files(home.folder / "ledger"), files(home.folder / "payloads")) == before
    assert acts.perform("policy:next", STEWARD, policy("n")).seq == 1


def test_build_sees_what_is_and_cannot_write(home: Home) -> None:
    """The session of `build` reads current rows; the database itself refuses writes in it."""
    acts = home.open()
    acts.perform("policy:1", STEWARD, policy("n"))

    def count(session: Session) -> Draft:
        return Draft("policy", None, {"name": "count", "value": str(session.scalar(select(func.count(Policy.id))))})

    assert acts.perform("policy:2", STEWARD, count).public["value"] == "1"

    def write(session: Session) -> Draft:
        session.add(Person(name="x", display="x", role="steward", created_at=""))
        session.flush()
        raise AssertionError("written")

    with pytest.raises(Exception, match=r"readonly|read-only"):
        acts.perform("policy:3", STEWARD, write)


def test_a_rebuild_gives_the_same_rows(home: Home) -> None:
    """Emptied and refilled, every projected table holds exactly what it held; accounts are untouched."""
    acts = home.open()
    perform_some(acts)
    with home.database.session() as session:
        session.add(Person(name="ada", display="Ada", role="steward", created_at="2026-01-01T00:00:00Z"))
    before = dump(home.database)
    assert [len(before[name]) for name in ("acts", "policies", "callers", "essays")] == [6, 2, 2, 2]
    assert home.open().rebuild() == 6
    assert dump(home.database) == before
    with home.database.reading() as session:
        assert session.get_one(Person, "ada").display == "Ada"


def test_a_lost_database_is_refilled(tmp_path: Path, database_url: str) -> None:
    """A new, empty database is filled from the ledger by `catch_up` alone."""
    kept = Database.open(f"sqlite:///{tmp_path / 'kept.db'}")
    kept.migrate()
    perform_some(Home(tmp_path, kept).open())
    empty = Database.open(database_url)
    empty.migrate()
    assert Home(tmp_path, empty).open().catch_up() == 6
    assert dump(empty) == dump(kept)
    kept.dispose()
    empty.dispose()


def test_a_rebuild_that_fails_keeps_the_old_rows(home: Home) -> None:
    """A rebuild is one transaction: a damaged payload stops it and the rows stay."""
    acts = home.open()
    perform_some(acts)
    before = dump(home.database)
    (payload,) = [path for path in (home.folder / "payloads" / "payloads").rglob("*") if path.is_file()][:1]
    payload.write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match="damaged"):
        acts.rebuild()
    assert dump(home.database) == before


def test_erasing_shows_withheld_and_the_proofs_hold(home: Home) -> None:
    """After an erasure no file holds the data, its row says withheld, others keep theirs, the ledger verifies."""
    acts = home.open()
    perform_some(acts)
    acts.erase_private("caller:0")
    acts.erase_private("caller:0")
    with home.database.reading() as session:
        assert session.get_one(Caller, "caller:0").contact is None
        assert session.get_one(ActRow, "caller:0").private_withheld
        assert session.get_one(Caller, "caller:1").contact == "a1@example.org"
        assert not session.get_one(ActRow, "caller:1").private_withheld
    erased = acts.find("caller:0")
    assert erased is not None
    assert (erased.private, erased.salt, erased.private_withheld) == (None, None, True)
    assert acts.perform("policy:0", STEWARD, refuse).private_withheld is False  # never had a private part
    holding = [name for name, data in files(home.folder).items() if b"a0@example.org" in data]
    assert holding == []
    assert any(b"a1@example.org" in data for data in files(home.folder / "payloads").values())
    assert home.ledger().verify().problems == []
    with pytest.raises(NotFound):
        acts.erase_private("caller:9")


def test_the_ledger_never_holds_private_data(sqlite_home: Home) -> None:
    """Neither the data nor a plain digest of it is in the ledger: the commitment is salted, anew each time."""
    acts = sqlite_home.open()
    one = acts.perform("caller:1", STEWARD, caller("a@example.org"))
    two = acts.perform("caller:2", STEWARD, caller("a@example.org"))
    statements = [sqlite_home.ledger().statement(seq) for seq in (0, 1)]
    assert "example.org" not in json.dumps(statements).replace(ORIGIN, "")
    commitments = {statement["predicate"]["private_commitment"] for statement in statements}
    assert len(commitments) == 2
    assert one.salt != two.salt
    assert len(one.salt or "") == 64


def test_damaged_payload_and_private_bytes_are_named(sqlite_home: Home) -> None:
    """Bytes that no longer match the ledger raise IntegrityError; a private part that was exchanged does too."""
    acts = sqlite_home.open()
    perform_some(acts)
    for path in (sqlite_home.folder / "payloads").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b" ")
    found = acts.find("essay:0")
    assert found is not None
    with pytest.raises(IntegrityError):
        found.read("essay")
    with pytest.raises(IntegrityError, match="caller:0"):
        acts.find("caller:0")


def test_a_database_of_another_ledger_is_refused(tmp_path: Path, sqlite_home: Home) -> None:
    """A database that knows acts the ledger does not is not added to; a rebuild sets it right."""
    perform_some(sqlite_home.open())
    other = Home(tmp_path / "other", sqlite_home.database)
    for _ in range(2):
        with pytest.raises(LedgerBroken, match="the database knows act"):
            other.open().catch_up()
    sizes = sqlite_home.ledger().size
    strange = Home(tmp_path / "third", sqlite_home.database)
    with strange.open()._ledger.lock():  # as many entries, other acts
        writer = Ledger.open(LocalStore(strange.folder / "ledger"), strange.key, strange.folder / "lock2")
        with writer.lock():
            for number in range(sizes):
                writer.append({"predicate": {"id": f"x{number}", "kind": "policy"}})
    with pytest.raises(LedgerBroken, match="the database knows act"):
        strange.open().catch_up()
    assert other.open().rebuild() == 0
    assert dump(sqlite_home.database)["acts"] == []


def test_a_kind_this_version_does_not_know_stops_the_projection(tmp_path: Path, sqlite_home: Home) -> None:
    """An older program does not skip what it cannot read."""
    sqlite_home.open().perform("essay:1", STEWARD, essay(b"x"))
    database = Database.open(f"sqlite:///{tmp_path / 'other.db'}")
    database.migrate()
    with pytest.raises(LedgerBroken, match="does not know"):
        Home(tmp_path, database, projectors={"policy": project_policy}).open().catch_up()
    database.dispose()


def test_canonical_json_is_one_form() -> None:
    """Order of keys does not matter, text stays text, and what JSON cannot say is refused."""
    assert canonical({"b": 1, "a": ["é", None]}) == b'{"a":["\xc3\xa9",null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("inf"))
