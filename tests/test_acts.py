"""Acts keep the order of truth (payload, ledger, SQL): once, whole, through crashes and side by side."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft, canonical
from emeritus.blobs.base import BlobStore
from emeritus.blobs.local import LocalStore
from emeritus.errors import ActConflict, BadName, IntegrityError, LedgerBroken, NotFound, StatementTooLarge, StoreFull
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import NOT_REBUILT, ActRow, Base, Caller, Essay, Person, Policy

STEWARD = Actor("Ada")
ORIGIN = "test.example/ledger"


def project_policy(session: Session, act: Act) -> None:
    """A row from the public part."""
    session.add(Policy(name=act.public["name"], value=act.public["value"], at=act.at, act=act.id))


def project_caller(session: Session, act: Act) -> None:
    """A row from the private part, which may have been erased."""
    contact = None if act.private is None else act.private["contact"]
    session.add(Caller(id=act.id, resident=act.resident, contact=contact, source="test", act=act.id))


def project_essay(session: Session, act: Act) -> None:
    """A row from a payload."""
    values = {"context": "minimal", "prompt": [], "truncated": False}
    session.add(
        Essay(
            id=act.id, resident=act.resident, content=act.read("essay"), commitment="", at=act.at, act=act.id, **values
        )
    )


PROJECTORS = {"policy": project_policy, "caller": project_caller, "essay": project_essay}


class Home:
    """What a home holds, reopened at will: ledger, store of payloads, database."""

    def __init__(self, folder: Path, database: Database, *, projectors: Any = PROJECTORS) -> None:
        self.folder = folder
        self.database = database
        self.projectors = projectors
        self.key_path = folder / "ledger.key"
        if not self.key_path.exists():
            SigningKey.generate(ORIGIN).save(self.key_path)
            Ledger.create(LocalStore(folder / "ledger"), self.key, ORIGIN, folder / "lock")

    @property
    def key(self) -> SigningKey:
        return SigningKey.load(self.key_path, ORIGIN)

    def open(self, wrap: Callable[[BlobStore], BlobStore] = lambda store: store) -> Acts:
        """Acts as a new process would find them."""
        ledger = Ledger.open(wrap(LocalStore(self.folder / "ledger")), self.key, self.folder / "lock")
        store = wrap(LocalStore(self.folder / "payloads"))
        return Acts(ledger, self.database, store, self.projectors, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def ledger(self) -> Ledger:
        return Ledger.open(LocalStore(self.folder / "ledger"), None, self.folder / "lock")


@pytest.fixture
def home(tmp_path: Path, database: Database) -> Home:
    """An empty home on each kind of database."""
    return Home(tmp_path, database)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Iterator[Home]:
    """An empty home on SQLite, for tests in which the database plays no part of its own."""
    database = Database.open(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    yield Home(tmp_path, database)
    database.dispose()


def policy(name: str, value: str = "v") -> Callable[[Session], Draft]:
    """Builds a policy act."""
    return lambda _: Draft("policy", None, {"name": name, "value": value})


def caller(contact: str) -> Callable[[Session], Draft]:
    """Builds an act with a private part."""
    return lambda _: Draft("caller", "m", {"n": 1}, private={"contact": contact})


def essay(content: bytes) -> Callable[[Session], Draft]:
    """Builds an act with a payload."""
    return lambda _: Draft("essay", "m", payloads={"essay": content}, digests={"report": "ab" * 32})


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every projected table."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in NOT_REBUILT:
                found = session.execute(select(table).order_by(*table.primary_key.columns)).all()
                rows[table.name] = [tuple(row) for row in found]
    return rows


def perform_some(acts: Acts, times: int = 2) -> None:
    """Three kinds of act, `times` each."""
    for number in range(times):
        acts.perform(f"policy:{number}", STEWARD, policy("notice", str(number)))
        acts.perform(f"caller:{number}", Actor("importer", "machine", True), caller(f"a{number}@example.org"))
        acts.perform(f"essay:{number}", STEWARD, essay(b"\x00 essay %d" % number))


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def refuse(_: Session) -> Draft:
    """A rule that refuses."""
    raise NotFound("no such resident")


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


# -- crashes


class PowerCut(BaseException):
    """Ends a process as a power cut would: nothing in between may catch it."""


class Dying:
    """A store that works until its n-th write and then cuts the power, just before or just after that write.

    The counter is shared by all stores of one home, so that a cut can fall anywhere in an act.
    """

    def __init__(self, store: BlobStore, countdown: list[int], after: bool) -> None:
        self._store = store
        self._countdown = countdown
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _write(self, write: Callable[[], Any]) -> Any:
        self._countdown[0] -= 1
        if self._countdown[0] == 0 and not self._after:
            raise PowerCut
        result = write()
        if self._countdown[0] == 0:
            raise PowerCut
        return result

    def put(self, key: str, data: bytes) -> None:
        self._write(lambda: self._store.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        done: bool = self._write(lambda: self._store.put_if_absent(key, data))
        return done

    def delete(self, key: str) -> None:
        self._write(lambda: self._store.delete(key))


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_the_power_cut_at_each_write_in_turn(tmp_path: Path, after: bool) -> None:
    """Wherever the power goes, the next run finds whole acts only, does the rest, and nothing is done twice."""
    cuts, finished = 0, False
    while not finished:
        folder = tmp_path / str(cuts)
        folder.mkdir()
        database = Database.open(f"sqlite:///{folder / 'records.db'}")
        database.migrate()
        home = Home(folder, database)
        countdown = [cuts + 1]
        try:
            perform_some(home.open(lambda store, count=countdown: Dying(store, count, after)), 1)
            finished = True
        except PowerCut:
            cuts += 1
        acts = home.open()
        acts.catch_up()
        size = home.ledger().size
        rows = dump(database)
        assert [row[1] for row in sorted(rows["acts"], key=lambda row: row[1])] == list(range(size))
        assert len(rows["policies"]) + len(rows["callers"]) + len(rows["essays"]) == size
        perform_some(acts, 1)
        assert home.ledger().size == 3
        assert home.ledger().verify().problems == []
        complete = dump(database)
        acts.rebuild()
        assert dump(database) == complete
        database.dispose()
    assert cuts >= 10


def test_a_crash_between_ledger_and_sql_is_caught_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement whose rows were never committed is projected by the next process, and the act is not repeated."""
    acts = home.open()
    append = Ledger.append

    def append_and_die(ledger: Ledger, statement: dict[str, Any]) -> int:
        append(ledger, statement)
        raise PowerCut

    monkeypatch.setattr(Ledger, "append", append_and_die)
    with pytest.raises(PowerCut):
        acts.perform("caller:1", STEWARD, caller("a@example.org"))
    monkeypatch.undo()
    assert dump(home.database)["acts"] == []
    again = home.open()
    assert again.find("caller:1") is None
    done = again.perform("caller:1", STEWARD, refuse)
    assert done.private == {"contact": "a@example.org"}
    assert len(dump(home.database)["callers"]) == 1


def test_a_full_store_refuses_the_act_and_a_later_one_succeeds(sqlite_home: Home) -> None:
    """StoreFull while anything is written reaches the caller, and the act can be done once there is room."""

    class Full(Dying):
        def _write(self, write: Callable[[], Any]) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] < 1:
                raise StoreFull("no room left")
            return write()

    for cut in range(1, 5):
        countdown = [cut]
        acts = sqlite_home.open(lambda store, count=countdown: Full(store, count, False))
        with pytest.raises(StoreFull):
            acts.perform("essay:1", STEWARD, essay(b"text"))
        assert acts.find("essay:1") is None
        countdown[0] = 1 << 30
        assert acts.perform(f"policy:{cut}", STEWARD, policy("n")).seq == cut - 1  # the same object goes on
    assert sqlite_home.open().perform("essay:1", STEWARD, essay(b"text")).seq == 4
    assert sqlite_home.ledger().verify().ok


WORKER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_acts import STEWARD, Home, caller, essay, policy
from emeritus.records.database import Database
folder, url, who = sys.argv[1:]
acts = Home(Path(folder), Database.open(url)).open()
print("ready", flush=True)
for number in range(1000):
    acts.perform(f"policy:{{number}}", STEWARD, policy("n", str(number)))
    acts.perform(f"caller:{{who}}:{{number}}", STEWARD, caller(f"{{number}}@example.org"))
    acts.perform(f"essay:{{number}}", STEWARD, essay(b"essay %d" % number))
"""


def start(home: Home, url: str, who: str) -> subprocess.Popen[str]:
    """Another process that performs acts until it is killed, past its start-up."""
    command = [sys.executable, "-c", WORKER, str(home.folder), url, who]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, after making sure that it did not fail by itself."""
    assert process.poll() is None, process.communicate()[1]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_two_processes_perform_side_by_side(home: Home, database_url: str) -> None:
    """Two processes that want the same acts do each once, in one order, and lose none of their own."""
    processes = [start(home, database_url, who) for who in ("a", "b")]
    deadline = time.monotonic() + 60
    while min(sum(row[0].startswith(f"caller:{who}") for row in dump(home.database)["acts"]) for who in ("a", "b")) < 5:
        assert all(process.poll() is None for process in processes), [each.communicate() for each in processes]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for process in processes:
        kill(process)
    home.open().catch_up()
    acts = dump(home.database)["acts"]
    assert sorted(row[1] for row in acts) == list(range(home.ledger().size))
    shared = [row[0] for row in acts if row[0].startswith("policy")]
    assert len(shared) == len(set(shared))
    assert {row[0][7] for row in acts if row[0].startswith("caller")} == {"a", "b"}
    assert home.ledger().verify().problems == []
    before = dump(home.database)
    home.open().rebuild()
    after = dump(home.database)
    for name in before:  # a killed process may have used up a number of PostgreSQL's sequences
        strip = slice(1, None) if name == "policies" else slice(None)
        assert [row[strip] for row in after[name]] == [row[strip] for row in before[name]]


def test_kill_minus_nine_at_random_moments(sqlite_home: Home) -> None:
    """A process killed eight times goes on each time from whole acts, and the ledger verifies at every stop."""
    url = f"sqlite:///{sqlite_home.folder / 'records.db'}"
    seen = sqlite_home.folder / "seen"
    chance = random.Random(7)
    reached = 0
    for _ in range(8):
        process = start(sqlite_home, url, "a")
        while sqlite_home.ledger().size < reached + chance.randint(2, 4):
            assert process.poll() is None, process.communicate()[1]
        time.sleep(chance.uniform(0, 0.03))  # somewhere within an act
        kill(process)
        report = sqlite_home.ledger().verify(seen)
        assert report.problems == []
        assert report.size >= reached + 2
        reached = report.size
        sqlite_home.open().catch_up()
        assert len(dump(sqlite_home.database)["acts"]) == reached
    assert reached >= 16


def test_canonical_json_is_one_form() -> None:
    """Order of keys does not matter, text stays text, and what JSON cannot say is refused."""
    assert canonical({"b": 1, "a": ["é", None]}) == b'{"a":["\xc3\xa9",null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("inf"))
