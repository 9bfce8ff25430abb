"""Access over a real ledger and both databases."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from access_house import STEWARD, Clock
from sqlalchemy import select

from emeritus.access import meter as metering
from emeritus.access.dates import last_moment
from emeritus.access.limits import Limits
from emeritus.access.policy import Standing, Tokens
from emeritus.access.queries import calls_by_day, to_keep_awake
from emeritus.access.service import Access, Terms
from emeritus.acts import Acts
from emeritus.errors import (
    AccessError,
    BadKey,
    DatabaseUnavailable,
    InputError,
    NotEntitled,
    NotFound,
    QuotaExceeded,
)
from emeritus.records.database import Database
from emeritus.records.tables import ApiKey, Grant, Tier, Usage

ANY = Terms()


def granted(access: Access, terms: Terms = ANY, resident: str = "ibis") -> tuple[str, str]:
    """A grant for someone, and a key of it."""
    grant = access.grant(resident, "eve@example.org", terms, "a study of answers", STEWARD)
    return grant, access.issue_key(grant, "laptop")


def usage(database: Database) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(resident, day) -> requests, prompt tokens, completion tokens, over all keys."""
    with database.session() as session:
        return {
            (row.resident, row.day): (row.requests, row.prompt_tokens, row.completion_tokens)
            for row in session.scalars(select(Usage))
        }


def test_a_key_opens_what_its_grant_names(access: Access) -> None:
    """A granted key is admitted to its resident, under its grant, and to no other."""
    grant, key = granted(access)
    admission = access.check(key, "ibis")
    assert (admission.grant, admission.prefix) == (grant, key.split("_")[1])
    with pytest.raises(NotEntitled) as refused:
        access.check(key, "heron")
    assert refused.value.facts["reason_code"] == "grant-elsewhere"


@pytest.mark.parametrize(
    "wrong", ["", "em_", "em_000000000000_" + "A" * 43, "sk-1234", "em_\u0660" * 20, "x\x00y", "A" * 100_000]
)
def test_wrong_keys_are_refused_alike(access: Access, wrong: str) -> None:
    """Malformed and unknown keys get the same answer."""
    with pytest.raises(BadKey) as refused:
        access.check(wrong, "ibis")
    assert refused.value.facts["reason_code"] == "key-unknown"


def test_a_right_prefix_with_a_wrong_secret_is_refused(access: Access) -> None:
    """The prefix alone, which people see, opens nothing."""
    _, key = granted(access)
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    with pytest.raises(BadKey):
        access.check(wrong, "ibis")


def test_the_key_is_stored_only_as_its_hash(access: Access, database: Database) -> None:
    """256 random bits are shown once; the row holds prefix and SHA-256."""
    _, key = granted(access)
    assert re.fullmatch(r"em_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", key)
    with database.session() as session:
        row = session.scalars(select(ApiKey)).one()
        stored = json.dumps({each.name: getattr(row, each.name) for each in ApiKey.__table__.columns})
    assert row.prefix in key
    assert key.split("_", 2)[2] not in stored


def test_a_revoked_grant_ends_every_key(access: Access) -> None:
    """Revoking closes the grant's keys, needs a reason, happens once, and lets no new key be issued."""
    grant, key = granted(access)
    with pytest.raises(InputError):
        access.revoke(grant, "  ", STEWARD)
    access.revoke(grant, "the study has ended", STEWARD)
    access.revoke(grant, "again", STEWARD)
    with pytest.raises(NotEntitled):
        access.check(key, "ibis")
    with pytest.raises(AccessError):
        access.issue_key(grant)


def test_one_key_is_revoked_alone(access: Access) -> None:
    """Revoking a key leaves the grant's other keys."""
    grant, first = granted(access)
    second = access.issue_key(grant)
    access.revoke_key(first.split("_")[1])
    access.revoke_key(first.split("_")[1])
    with pytest.raises(BadKey) as refused:
        access.check(first, "ibis")
    assert refused.value.facts["reason_code"] == "key-revoked"
    assert access.check(second, "ibis").code == "granted"
    with pytest.raises(NotFound):
        access.revoke_key("000000000000")


def test_a_grant_ends_after_its_last_day(access: Access, clock: Clock) -> None:
    """A date counts to the end of its day, UTC."""
    _, key = granted(access, Terms(expires="2027-03-01"))
    clock.move(hours=11, minutes=59, seconds=59)
    access.check(key, "ibis")
    clock.move(seconds=1)
    with pytest.raises(NotEntitled) as refused:
        access.check(key, "ibis")
    assert refused.value.facts["reason_code"] == "grant-expired"


@pytest.mark.parametrize("wrong", ["soon", "2027-13-01", "2027-03-01T10:00:00", "", "20270301"])
def test_unusable_dates_are_refused(wrong: str) -> None:
    """What is no date, or no moment in time, is an input error."""
    with pytest.raises(InputError):
        last_moment(wrong)


def test_the_limit_counts_all_keys_of_a_grant_until_midnight(access: Access, clock: Clock) -> None:
    """Two keys share their grant's day; the next UTC day begins afresh."""
    grant, first = granted(access, Terms(limits=Limits(requests_per_day=3)))
    second = access.issue_key(grant)
    access.check(first, "ibis")
    access.check(second, "ibis")
    access.flush()
    access.check(second, "ibis")
    with pytest.raises(QuotaExceeded) as refused:
        access.check(first, "ibis")
    assert refused.value.facts["retry_after_s"] == 12 * 3600
    clock.move(hours=12)
    access.check(first, "ibis")


def test_the_limit_is_exact_in_one_process(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads at once, with batches written all the while, are admitted exactly as often as the grant allows."""
    monkeypatch.setattr(metering, "FLUSH_EVERY_S", 0.005)
    _, key = granted(access, Terms(limits=Limits(requests_per_day=25)))
    start = threading.Barrier(4)

    def call(_: int) -> int:
        start.wait()
        admitted = 0
        for _attempt in range(15):
            try:
                access.check(key, "ibis")
            except QuotaExceeded:
                continue
            admitted += 1
        return admitted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(call, range(4))) == 25


def test_a_request_without_an_answer_is_given_back(access: Access, database: Database) -> None:
    """What was admitted and not answered does not count against the limit, also after it was written."""
    _, key = granted(access, Terms(limits=Limits(requests_per_day=1)))
    admission = access.check(key, "ibis")
    access.flush()
    access.meter(admission, None)
    again = access.check(key, "ibis")
    access.meter(again, Tokens(7, 11))
    access.flush()
    assert usage(database) == {("ibis", "2027-03-01"): (1, 7, 11)}


def test_batches_add_up(access: Access, database: Database) -> None:
    """Rows grow by each batch, from this process and from another one on the same database."""
    _, key = granted(access)
    for _ in range(3):
        access.meter(access.check(key, "ibis"), Tokens(1, 2))
        access.flush()
    assert usage(database) == {("ibis", "2027-03-01"): (3, 3, 6)}


def test_processes_see_each_other_at_once(acts: Acts, access: Access, database: Database, clock: Clock) -> None:
    """Two services over one database share a limit: what one has admitted the other refuses at once."""
    _, key = granted(access, Terms(limits=Limits(requests_per_day=1)))
    other = Access(acts, database, clock)
    try:
        access.check(key, "ibis")
        with pytest.raises(QuotaExceeded):
            other.check(key, "ibis")
    finally:
        other.close()


def test_counts_survive_a_refusing_database(
    access: Access, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that cannot be written is kept, still counts against the limit, and is written when it can be."""
    monkeypatch.setattr(metering, "FLUSH_EVERY_S", 60.0)
    _, key = granted(access, Terms(limits=Limits(requests_per_day=1)))
    access.meter(access.check(key, "ibis"), Tokens(5, 6))

    def refuse(*_: object) -> None:
        raise DatabaseUnavailable("locked")

    with monkeypatch.context() as broken:
        broken.setattr(metering, "_add", refuse)
        with pytest.raises(DatabaseUnavailable):
            access.flush()
    with pytest.raises(QuotaExceeded):
        access.check(key, "ibis")
    access.flush()
    assert usage(database) == {("ibis", "2027-03-01"): (1, 5, 6)}


def test_closing_writes_the_last_counts(acts: Acts, database: Database, clock: Clock) -> None:
    """Nothing counted is lost by an orderly end."""
    access = Access(acts, database, clock)
    access.set_tier("ibis", Standing("awake", "open"), "", STEWARD)
    access.check(None, "ibis")
    access.close()
    assert usage(database) == {("ibis", "2027-03-01"): (1, 0, 0)}


def test_nobody_may_call_before_a_tier_is_set(acts: Acts, database: Database, clock: Clock) -> None:
    """A resident in care answers no calls until an act says so, whatever was granted."""
    access = Access(acts, database, clock)
    _, key = granted(access)
    with pytest.raises(NotEntitled) as refused:
        access.check(key, "ibis")
    assert refused.value.facts["reason_code"] == "access-none"


def test_the_tier_in_force_is_the_last_one(access: Access, database: Database) -> None:
    """Tiers are append-only; the newest decides who may call."""
    access.set_tier("ibis", Standing("on-demand", "open"), "loved by many", STEWARD)
    assert access.check(None, "ibis").prefix is None
    access.set_tier("ibis", Standing("archive", "open"), "no calls for a year", STEWARD)
    with pytest.raises(NotEntitled):
        access.check(None, "ibis")
    with database.session() as session:
        tiers = session.scalars(select(Tier.tier).where(Tier.resident == "ibis").order_by(Tier.id))
        assert tiers.all() == ["on-demand", "on-demand", "archive"]


def test_calls_without_a_key_are_counted(access: Access, database: Database) -> None:
    """An open resident's anonymous calls are metered too."""
    access.set_tier("ibis", Standing("awake", "open"), "", STEWARD)
    access.meter(access.check(None, "ibis"), Tokens(1, 1))
    access.flush()
    assert usage(database) == {("ibis", "2027-03-01"): (1, 1, 1)}


def test_calls_by_day_are_those_of_all_keys(access: Access, database: Database) -> None:
    """Each day's calls of each resident, oldest day first; days too long ago are left out."""
    with database.session() as session:
        for prefix, resident, day, number in [
            ("aa", "ibis", "2027-03-01", 3),
            ("bb", "ibis", "2027-03-01", 4),
            ("aa", "heron", "2027-03-01", 1),
            ("aa", "ibis", "2027-02-10", 2),
            ("aa", "ibis", "2026-12-01", 9),
        ]:
            session.add(
                Usage(key_prefix=prefix, resident=resident, day=day, requests=number, last_at=f"{day}T00:00:00Z")
            )
    with database.reading() as session:
        found = calls_by_day(session, "2027-03-01T10:00:00Z")
    assert found == [{"ibis": 2}, {"ibis": 7, "heron": 1}]


@pytest.mark.parametrize(("tier", "access_state"), [("asleep", "open"), ("awake", "everyone")])
def test_unknown_tiers_are_refused(access: Access, database: Database, tier: str, access_state: str) -> None:
    """A tier or access state outside the published list changes nothing."""
    with pytest.raises(InputError):
        access.set_tier("ibis", Standing(tier, access_state), "", STEWARD)
    with database.session() as session:
        assert {row.tier for row in session.scalars(select(Tier))} == {"on-demand"}


def test_who_is_kept_awake_follows_the_tier_in_force(access: Access, database: Database) -> None:
    """Tier `awake`, and `hours` within its hours; the newest act decides."""
    inside, outside = datetime(2027, 3, 2, 10, tzinfo=UTC), datetime(2027, 3, 2, 18, tzinfo=UTC)

    def kept(now: datetime) -> list[str]:
        with database.session() as session:
            return to_keep_awake(session, now)

    assert kept(inside) == []
    access.set_tier("ibis", Standing("hours", "entitled", "tue 09:00-17:00"), "r", STEWARD)
    assert (kept(inside), kept(outside)) == (["ibis"], [])
    access.set_tier("ibis", Standing("awake", "open"), "r", STEWARD)
    assert kept(outside) == ["ibis"]
    access.set_tier("ibis", Standing("awake", "none"), "r", STEWARD)
    assert kept(outside) == []


def test_unknown_residents_and_grants_are_refused(access: Access) -> None:
    """Nothing is granted, tiered, revoked or keyed that does not exist."""
    with pytest.raises(NotFound):
        access.grant("dodo", "eve", Terms(), "r", STEWARD)
    with pytest.raises(NotFound):
        access.set_tier("dodo", Standing("awake", "open"), "", STEWARD)
    with pytest.raises(NotFound):
        access.revoke("g-0", "r", STEWARD)
    with pytest.raises(NotFound):
        access.issue_key("g-0")
    with pytest.raises(InputError):
        access.grant("ibis", "eve", Terms(limits=Limits(requests_per_day=0)), "r", STEWARD)


def test_holders_stay_out_of_the_ledger_and_can_be_erased(
    acts: Acts, access: Access, database: Database, tmp_path: Path
) -> None:
    """A holder is in the row and in no ledger file; erasing takes them away while the key goes on working."""
    grant, key = granted(access)
    ledger = b"".join(path.read_bytes() for path in (tmp_path / "ledger").rglob("*") if path.is_file())
    assert b"eve@example.org" not in ledger
    with database.session() as session:
        assert session.get_one(Grant, grant).holder == "eve@example.org"
    access.erase_holder(grant)
    with database.session() as session:
        assert session.get_one(Grant, grant).holder is None
        assert session.scalars(select(ApiKey.label)).all() == [""]
    assert access.check(key, "ibis").grant == grant


def test_a_rebuild_brings_everything_back(acts: Acts, access: Access, database: Database) -> None:
    """Tiers, grants and revocations are what the ledger says; keys are kept beside it."""
    _, key = granted(access, Terms("research", Limits(requests_per_day=9), "2027-04-01"))
    ended, _ = granted(access, resident="*")
    access.revoke(ended, "moved away", STEWARD)
    access.set_tier("ibis", Standing("hours", "entitled", "mon-sun 00:00-00:00"), "r", STEWARD)

    def rows() -> list[dict[str, object]]:
        with database.session() as session:
            return [
                {each.name: getattr(row, each.name) for each in table.__table__.columns}
                for table in (Grant, Tier)
                for row in session.scalars(select(table).order_by(table.id))
            ]

    before = rows()
    acts.rebuild()
    assert rows() == before
    assert len(before) == 5
    assert access.check(key, "ibis").code == "granted"
