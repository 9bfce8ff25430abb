"""Limits and budgets: exact over real processes and restarts; keys that narrow; plans and their people."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from access_house import STEWARD, Clock
from sqlalchemy import func, select

from emeritus.access import budgets, known
from emeritus.access.limits import Limits, Line
from emeritus.access.members import read_people
from emeritus.access.policy import Standing, Tokens
from emeritus.access.queries import last_uses, plans
from emeritus.access.service import Access, KeyTerms, PlanTerms, Terms
from emeritus.acts import Acts
from emeritus.errors import AccessError, BadKey, BadName, BadTable, InputError, NotEntitled, NotFound, QuotaExceeded
from emeritus.records.database import Database
from emeritus.records.tables import ApiKey, Budget, PlanMember

HERE = Path(__file__).parent
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it decides nothing here


def granted(access: Access, limits: Limits, terms: KeyTerms | None = None) -> str:
    """A key of a new grant."""
    grant = access.grant("ibis", "eve", Terms(limits=limits), "a study", STEWARD)
    return access.issue_key(grant, "", terms or KeyTerms())


def refusal(call: Callable[[], object]) -> dict[str, object]:
    """The facts of a refusal."""
    with pytest.raises(AccessError) as refused:
        call()
    return refused.value.facts


def started(url: str, key: str, tries: int, *flags: str) -> subprocess.Popen[str]:
    """Another process that calls."""
    argv = [sys.executable, str(HERE / "limit_process.py"), url, key, "ibis", str(tries), *flags]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_limit_to_the_last_request(access: Access, database: Database, database_url: str) -> None:
    """Three processes calling at once are admitted exactly as often as the limit says, together and with this one."""
    key = granted(access, Limits(requests_per_day=200, requests_per_minute=190))
    others = [started(database_url, key, 150) for _ in range(3)]
    admitted = [int(other.communicate(timeout=60)[0]) for other in others]
    assert [other.returncode for other in others] == [0, 0, 0]
    assert sum(admitted) <= 190
    for _ in range(190 - sum(admitted)):  # what one held when others had no try left, it gave back at its end
        access.check(key, "ibis")
    assert refusal(lambda: access.check(key, "ibis"))["reason_code"] == "rate"


def test_a_killed_process_never_lets_more_through(access: Access, database: Database, database_url: str) -> None:
    """What a killed process had reserved is gone until the window ends; what it had not can be had by others."""
    key = granted(access, Limits(requests_per_day=160))
    other = started(database_url, key, 3, "--hang")
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "3\n"
    finally:
        other.kill()
        other.communicate()
    admitted = 0
    for _ in range(200):
        try:
            access.check(key, "ibis")
        except QuotaExceeded:
            break
        admitted += 1
    assert 160 - 3 - 20 <= admitted <= 160 - 3


def test_a_restart_forgets_nothing(acts: Acts, access: Access, database: Database, clock: Clock) -> None:
    """Closing gives back what was reserved and not used, so the next process has exactly the rest."""
    key = granted(access, Limits(requests_per_day=100))
    for _ in range(7):
        access.check(key, "ibis")
    access.close()
    with database.reading() as session:
        assert session.scalars(select(Budget.reserved)).all() == [7]
    again = Access(acts, database, clock)
    try:
        for _ in range(93):
            again.check(key, "ibis")
        facts = refusal(lambda: again.check(key, "ibis"))
    finally:
        again.close()
    assert (facts["reason_code"], facts["policy"], facts["retry_after_s"]) == ("quota", "3", 12 * 3600)


@ONE_DATABASE
def test_each_minute_begins_anew(access: Access, clock: Clock) -> None:
    """Requests a minute are counted in the minutes of UTC; a refusal says how long the minute lasts."""
    key = granted(access, Limits(requests_per_minute=2))
    clock.move(seconds=20)
    states = [access.check(key, "ibis").limits[0] for _ in range(2)]
    assert [(state.name, state.limit, state.left, state.resets_in_s) for state in states] == [
        ("requests_per_minute", 2, 1, 40),
        ("requests_per_minute", 2, 0, 40),
    ]
    assert refusal(lambda: access.check(key, "ibis"))["retry_after_s"] == 40
    clock.move(seconds=40)
    access.check(key, "ibis")


@ONE_DATABASE
def test_tokens_close_a_budget_once_spent(access: Access, clock: Clock) -> None:
    """Tokens are charged after the answer: the call that overdraws is answered, the next is refused for the day."""
    key = granted(access, Limits(tokens_per_day=100))
    access.meter(access.check(key, "ibis"), Tokens(60, 30))
    access.meter(access.check(key, "ibis"), Tokens(20, 30))
    facts = refusal(lambda: access.check(key, "ibis"))
    assert (facts["reason_code"], facts["retry_after_s"]) == ("tokens-day", 12 * 3600)
    clock.move(days=1)
    access.check(key, "ibis")


def test_reserved_tokens_never_overdraw(access: Access, database: Database) -> None:
    """A call that reserves its tokens is refused when they are not there; what it did not use is given back."""
    key = granted(access, Limits(tokens_per_month=100))
    first = access.check(key, "ibis", tokens=80)
    assert refusal(lambda: access.check(key, "ibis", tokens=30))["reason_code"] == "tokens-month"
    access.meter(first, Tokens(10, 20))
    second = access.check(key, "ibis", tokens=70)
    access.meter(second, None)
    access.close()
    with database.reading() as session:
        assert session.scalars(select(Budget.reserved)).all() == [30]


def test_an_overdraft_is_written_for_every_process(
    acts: Acts, access: Access, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens charged beyond a slice stand in the database within the second, so another process refuses."""
    monkeypatch.setattr(budgets, "WRITE_EVERY_S", 0.01)
    key = granted(access, Limits(tokens_per_day=1000))
    access.meter(access.check(key, "ibis"), Tokens(600, 600))
    other = Access(acts, database, clock)
    try:
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            with database.reading() as session:
                if (session.scalar(select(func.max(Budget.reserved))) or 0) >= 1200:
                    break
            time.sleep(0.01)
        assert refusal(lambda: other.check(key, "ibis"))["reason_code"] == "tokens-day"
    finally:
        other.close()


def test_what_lies_idle_is_given_back(
    acts: Acts, access: Access, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that no longer calls keeps nothing from another one."""
    key = granted(access, Limits(requests_per_day=160))
    access.check(key, "ibis")
    with database.reading() as session:
        assert session.scalars(select(Budget.reserved)).one() == 10
    monkeypatch.setattr(budgets, "IDLE_S", -1.0)
    access.flush()
    with database.reading() as session:
        assert session.scalars(select(Budget.reserved)).one() == 1


@ONE_DATABASE
def test_a_limit_by_the_minute_takes_no_more_memory_each_minute(
    access: Access, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is settled of minutes that are over is forgotten; the day's goes on being counted."""
    key = granted(access, Limits(requests_per_day=160, requests_per_minute=3))
    monkeypatch.setattr(budgets, "IDLE_S", -1.0)
    for _ in range(20):
        clock.move(minutes=1)
        access.check(key, "ibis")
        access.check(key, "ibis")
        access.flush()
    assert len({each for each in gc.get_objects() if type(each) is Line and each.window[:10] == "2027-03-01"}) <= 4
    with database.reading() as session:
        assert session.scalars(select(Budget.reserved).where(Budget.kind == "requests_per_day")).one() == 40


@ONE_DATABASE
def test_a_key_narrows_its_grant(access: Access, clock: Clock) -> None:
    """Scopes, residents, an end and limits of a key hold beside its grant's."""
    grant = access.grant("*", "eve", Terms(limits=Limits(requests_per_day=2)), "a study", STEWARD)
    for name in ("ibis", "heron"):
        access.set_tier(name, Standing("on-demand", "entitled"), "r", STEWARD)
    key = access.issue_key(grant, "", KeyTerms(("batch",), ("ibis",), "2027-03-02", Limits(requests_per_minute=1)))
    assert refusal(lambda: access.check(key, "ibis"))["reason_code"] == "key-scope"
    assert refusal(lambda: access.check(key, "heron", "batch"))["reason_code"] == "key-elsewhere"
    assert access.check(key, "ibis", "batch").scope == "batch"
    assert refusal(lambda: access.check(key, "ibis", "batch"))["reason_code"] == "rate"
    access.check(access.issue_key(grant), "heron")
    clock.move(minutes=1)
    assert refusal(lambda: access.check(key, "ibis", "batch"))["reason_code"] == "quota"
    clock.move(days=2)
    assert refusal(lambda: access.check(key, "ibis", "batch"))["reason_code"] == "key-expired"


@pytest.mark.parametrize(
    "terms",
    [
        KeyTerms(("talk",)),
        KeyTerms(()),
        KeyTerms(expires="2027-02-28"),
        KeyTerms(limits=Limits(tokens_per_day=0)),
        KeyTerms(limits=Limits(tokens_per_month=2**70)),
    ],
)
@ONE_DATABASE
def test_a_key_that_allows_nothing_is_not_issued(access: Access, database: Database, terms: KeyTerms) -> None:
    """What makes no sense is one error and leaves no key."""
    with pytest.raises(InputError):
        granted(access, Limits(), terms)
    with database.reading() as session:
        assert session.scalars(select(ApiKey)).all() == []


def test_a_revocation_elsewhere_holds_within_the_bound(
    acts: Acts, access: Access, database: Database, clock: Clock
) -> None:
    """Another process's cache looks at the database's version twice a second: a revoked key and grant end in time."""
    key, second = granted(access, Limits()), granted(access, Limits())
    other = Access(acts, database, clock)
    try:
        other.check(key, "ibis")
        grant = other.check(second, "ibis").grant
        assert other.check_at_once(key, "ibis") is not None
        access.revoke_key(key.split("_")[1])
        access.revoke(str(grant), "the study has ended", STEWARD)
        time.sleep(known.LOOK_EVERY_S)
        with pytest.raises(BadKey):
            other.check(key, "ibis")
        with pytest.raises(NotEntitled):
            other.check(second, "ibis")
    finally:
        other.close()


@ONE_DATABASE
def test_at_once_says_when_it_cannot(access: Access, clock: Clock) -> None:
    """Memory alone admits and refuses what it knows, and gives the rest to the caller to ask again in a thread."""
    key = granted(access, Limits(requests_per_day=20))
    assert access.check_at_once(key, "ibis") is None
    access.check(key, "ibis")
    assert access.check_at_once(key, "heron") is None  # nobody asked for heron yet
    while access.check_at_once(key, "ibis") is not None:  # a slice of a twentieth, at first one
        pass
    access.check(key, "ibis")
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    with pytest.raises(BadKey):
        access.check_at_once(wrong, "ibis")


@ONE_DATABASE
def test_a_grant_is_renewed(access: Access, clock: Clock) -> None:
    """An expired grant's keys work again once it is renewed; a revoked one stays revoked."""
    grant = access.grant("ibis", "eve", Terms(expires="2027-03-01"), "r", STEWARD)
    key = access.issue_key(grant)
    clock.move(days=1)
    assert refusal(lambda: access.check(key, "ibis"))["reason_code"] == "grant-expired"
    assert access.renew(grant, "2027-04-01", STEWARD) == "2027-04-01T23:59:59Z"
    access.check(key, "ibis")
    with pytest.raises(InputError):
        access.renew(grant, "2027-03-01", STEWARD)
    access.revoke(grant, "over", STEWARD)
    with pytest.raises(InputError):
        access.renew(grant, None, STEWARD)


def test_all_paid_users(acts: Acts, access: Access, database: Database, clock: Clock) -> None:
    """Whoever is on the list of paying users may call what their plan covers, each within the plan's limits."""
    for name in ("ibis", "heron"):
        access.set_tier(name, Standing("on-demand", "entitled"), "r", STEWARD)
    access.set_plan("paid", PlanTerms("All paid users", limits=Limits(requests_per_day=2)), "promised", STEWARD)
    people = read_people(b"email,until\nAna@example.org,\n bob@example.org ,2027-03-03\n", "paid.csv")
    done = access.members.take_over("paid", people, "paid.csv", all_of_them=True)
    assert (done.added, done.kept, done.ended) == (2, 0, 0)
    assert access.check_person("ana@EXAMPLE.org", "ibis").code == "granted"
    access.check_person("ana@example.org", "heron")
    assert refusal(lambda: access.check_person("ana@example.org", "ibis"))["reason_code"] == "quota"
    key = access.issue_key(next(m.id for m in access.members.in_plan("paid") if m.who == "bob@example.org"))
    access.check(key, "ibis")
    access.check_person("bob@example.org", "ibis")
    assert refusal(lambda: access.check(key, "ibis"))["reason_code"] == "quota"
    assert refusal(lambda: access.check_person("eve", "ibis"))["reason_code"] == "not-a-member"
    clock.move(days=3)
    assert refusal(lambda: access.check(key, "ibis"))["reason_code"] == "member-ended"
    done = access.members.take_over("paid", {"carl": None}, "paid.csv", all_of_them=True)
    assert (done.added, done.kept, done.ended) == (1, 0, 2)
    assert refusal(lambda: access.check_person("ana@example.org", "ibis"))["reason_code"] == "member-ended"
    access.flush()
    with database.reading() as session:
        assert [(row.name, row.people, row.residents) for row in plans(session, acts.now)] == [("paid", 1, ("*",))]
        assert {(row.who, row.requests) for row in last_uses(session, "ibis")} == {
            ("ana@example.org", 1),
            ("bob@example.org", 1),
        } | {("bob@example.org", 1)}
    access.set_plan("paid", PlanTerms("", state="closed"), "sold", STEWARD)
    assert refusal(lambda: access.check_person("carl", "ibis"))["reason_code"] == "plan-closed"


@ONE_DATABASE
def test_a_plan_names_who_is_called_by_request(access: Access) -> None:
    """A plan for all covers no resident that is called by request; one that names it does."""
    access.set_plan("paid", PlanTerms("Paid"), "", STEWARD)
    access.members.add("paid", "ana")
    assert refusal(lambda: access.check_person("ana", "ibis"))["reason_code"] == "grant-not-by-name"
    access.set_plan("paid", PlanTerms("Paid", ("ibis",)), "", STEWARD)
    assert access.check_person("ana", "ibis").code == "granted"
    access.set_tier("heron", Standing("on-demand", "open"), "", STEWARD)
    assert access.check_person("nobody-at-all", "heron").code == "open"


def test_membership_is_nowhere_but_in_its_row(acts: Acts, access: Access, database: Database, tmp_path: Path) -> None:
    """No file of the ledger or of private parts names a member; erasing deletes the row and its keys."""
    access.set_plan("paid", PlanTerms("Paid", ("ibis",), Limits(requests_per_minute=9)), "", STEWARD)
    member = access.members.add("paid", "ana@example.org")
    access.issue_key(member)
    acts.rebuild()
    assert access.check_person("ana@example.org", "ibis").limits[0].limit == 9
    files = b"".join(
        path.read_bytes() for folder in ("ledger", "home") for path in (tmp_path / folder).rglob("*") if path.is_file()
    )
    assert b"ana@example.org" not in files
    assert access.members.erase("ana@example.org") == 1
    with database.reading() as session:
        assert session.scalars(select(PlanMember)).all() == []
        assert session.scalars(select(ApiKey)).all() == []


@pytest.mark.parametrize(
    ("name", "terms", "error"),
    [
        ("Paid", PlanTerms(""), BadName),
        ("paid", PlanTerms("", ("*", "ibis")), InputError),
        ("paid", PlanTerms("", ("dodo",)), NotFound),
        ("paid", PlanTerms("", ()), InputError),
        ("paid", PlanTerms("", state="shut"), InputError),
        ("paid", PlanTerms("", limits=Limits(-1)), InputError),
    ],
)
@ONE_DATABASE
def test_plans_that_make_no_sense(access: Access, name: str, terms: PlanTerms, error: type[Exception]) -> None:
    """Each is one error, and nothing is recorded."""
    with pytest.raises(error):
        access.set_plan(name, terms, "", STEWARD)
    with pytest.raises(NotFound):
        access.members.in_plan(name)


@pytest.mark.parametrize(
    "file", [b"", b"name\nana\n", b"email\n\xff\n", b"email,until\nana,soon\n", b"email,until\n,\n", b'email\n"ana\n']
)
def test_a_list_that_cannot_be_read_changes_nothing(file: bytes) -> None:
    """Each damage is one clear error."""
    with pytest.raises(BadTable):
        read_people(file, "paid.csv")
