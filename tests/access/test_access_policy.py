"""The one function that decides who may call."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from emeritus.access import policy
from emeritus.access.limits import KINDS
from emeritus.access.policy import (
    ACCESSES,
    REFUSALS,
    SCOPES,
    GrantFacts,
    KeyFacts,
    LimitFacts,
    Standing,
    decide,
)
from emeritus.errors import InputError
from emeritus.tiers import Tier

NOW = datetime(2027, 3, 1, 23, 59, 30, tzinfo=UTC)
GRANT = GrantFacts("g-1", frozenset({"ibis"}), "active", None)
EVERY = replace(GRANT, residents=frozenset({"*"}))
MEMBER = replace(GRANT, id="m-1", plan=True)
NOBODY = KeyFacts(given=False, person=True)
LIVE = Standing("on-demand", "by request")
OPEN_HOURS, CLOSED_HOURS = "mon 22:00-02:00", "tue-sun 09:00-17:00"  # now is a Monday
NO_KEY = KeyFacts(given=False)
UNKNOWN = KeyFacts(given=True)


def key(grant: GrantFacts = GRANT, *used_up: str, **more: Any) -> KeyFacts:
    """A known key of a grant; of its limits, one of each kind, the named ones are used up."""
    limits = tuple(LimitFacts(kind, 5, kind.name not in used_up) for kind in KINDS)
    return KeyFacts(True, "abc", grant=grant, limits=limits, **more)


@pytest.mark.parametrize(
    ("facts", "standing", "code"),
    [
        (NO_KEY, LIVE, "key-missing"),
        (key(), Standing(), "access-none"),
        (UNKNOWN, LIVE, "key-unknown"),
        (UNKNOWN, replace(LIVE, access="open"), "key-unknown"),
        (key(revoked=True), replace(LIVE, access="open"), "key-revoked"),
        (key(), replace(LIVE, access="none"), "access-none"),
        (key(), replace(LIVE, tier="archive"), "tier-not-live"),
        (key(), replace(LIVE, tier="correspondence"), "tier-not-live"),
        (key(replace(GRANT, state="revoked")), LIVE, "grant-revoked"),
        (key(replace(GRANT, residents=frozenset({"heron"}))), LIVE, "grant-elsewhere"),
        (key(EVERY), LIVE, "grant-not-by-name"),
        (key(GRANT, "requests_per_minute"), LIVE, "rate"),
        (key(GRANT, "requests_per_day"), LIVE, "quota"),
        (key(GRANT, "requests_per_day"), replace(LIVE, access="open"), "open"),
        (key(GRANT, "requests_per_minute", "tokens_per_day"), LIVE, "tokens-day"),
        (key(GRANT, "requests_per_minute", "tokens_per_month"), LIVE, "tokens-month"),
        (key(scopes=frozenset({"batch"})), LIVE, "key-scope"),
        (key(scopes=frozenset({"batch"})), replace(LIVE, access="open"), "key-scope"),
        (key(residents=frozenset({"heron"})), LIVE, "key-elsewhere"),
        (key(expires="2027-03-01T23:59:29Z"), LIVE, "key-expired"),
        (key(expires="2027-03-01T23:59:30Z"), LIVE, "granted"),
        (key(MEMBER), LIVE, "granted"),
        (key(replace(MEMBER, state="ended")), LIVE, "member-ended"),
        (key(replace(MEMBER, expires="2027-03-01T23:59:29Z")), LIVE, "member-ended"),
        (key(replace(MEMBER, state="closed")), LIVE, "plan-closed"),
        (NOBODY, LIVE, "not-a-member"),
        (NOBODY, replace(LIVE, access="open"), "open"),
        (key(replace(GRANT, expires="2027-03-01T23:59:29Z")), LIVE, "grant-expired"),
        (key(replace(GRANT, expires="2027-03-01T23:59:30Z")), LIVE, "granted"),
        (key(), LIVE, "granted"),
        (key(EVERY), replace(LIVE, access="entitled"), "granted"),
        (key(), Standing("hours", "entitled", OPEN_HOURS), "granted"),
        (key(), Standing("hours", "entitled", CLOSED_HOURS), "outside-hours"),
        (NO_KEY, Standing("hours", "entitled", CLOSED_HOURS), "key-missing"),
        (key(EVERY), Standing("hours", "by request", CLOSED_HOURS), "grant-not-by-name"),
        (NO_KEY, Standing("hours", "open", OPEN_HOURS), "open"),
        (NO_KEY, Standing("hours", "open", CLOSED_HOURS), "outside-hours"),
        (NO_KEY, replace(LIVE, access="open"), "open"),
        (key(replace(GRANT, state="revoked")), replace(LIVE, access="open"), "open"),
    ],
)
def test_every_reason_code(facts: KeyFacts, standing: Standing, code: str) -> None:
    """Each situation gets its own code, and only open and granted are allowed."""
    decision = decide(facts, standing, "ibis", NOW)
    assert (decision.code, decision.allowed) == (code, code in {"open", "granted"})
    assert decision.policy == policy.POLICY_VERSION
    assert decision.allowed or code in REFUSALS


def test_no_reason_is_unreachable_or_unknown() -> None:
    """Over every combination of what matters, the reasons given are exactly those of the table, and two admissions."""
    ended, good = "2027-03-01T23:59:29Z", None
    grants = [None] + [
        GrantFacts("g-1", frozenset({residents}), state, expires, plan)
        for residents in ("ibis", "heron", "*")
        for state in ("active", "revoked", "ended", "closed")
        for expires in (ended, good)
        for plan in (False, True)
    ]
    limits = [(), *((LimitFacts(kind, 5, False),) for kind in KINDS)]
    callers = itertools.chain(
        (
            KeyFacts(given, "abc", grant=grant, limits=short, person=not given)
            for given in (True, False)
            for grant in grants
            for short in limits
        ),
        (
            KeyFacts(True, "abc", revoked, MEMBER, expires, scopes, residents)
            for revoked in (True, False)
            for expires in (ended, good)
            for scopes in (None, frozenset({"batch"}))
            for residents in (None, frozenset({"heron"}))
        ),
        (NO_KEY,),
    )
    standings = [Standing(*each) for each in itertools.product(Tier, ACCESSES, (OPEN_HOURS, CLOSED_HOURS))]
    found = {
        decide(facts, standing, "ibis", NOW, scope).code
        for facts in callers
        for standing in standings
        for scope in SCOPES
    }
    assert found == {*REFUSALS, "open", "granted"}


def test_a_batch_is_answered_in_the_residents_own_time() -> None:
    """The scope batch reaches the tier correspondence, waits for no visiting hours, and always has an owner."""
    correspondence = Standing("correspondence", "entitled")
    assert decide(key(), correspondence, "ibis", NOW, "batch").code == "granted"
    assert decide(key(), correspondence, "ibis", NOW, "chat").code == "tier-not-live"
    assert decide(key(), Standing("hours", "entitled", CLOSED_HOURS), "ibis", NOW, "batch").code == "granted"
    assert decide(NO_KEY, replace(LIVE, access="open"), "ibis", NOW, "batch").code == "key-missing"
    assert decide(key(), Standing("archive", "entitled"), "ibis", NOW, "batch").code == "tier-not-live"


def test_nothing_is_allowed_without_a_grant_unless_open() -> None:
    """Over all tiers and access states, a call without a key is allowed exactly where a live resident is open."""
    for tier, access in itertools.product(Tier, ACCESSES):
        hours = OPEN_HOURS if tier == Tier.HOURS else None
        allowed = decide(NO_KEY, Standing(tier, access, hours).check(), "ibis", NOW).allowed
        assert allowed == (access == "open" and tier in {"awake", "on-demand", "hours"})


def test_closed_hours_say_when_they_open() -> None:
    """A call outside visiting hours carries the seconds to the next ones, and uses nothing of a quota."""
    decision = decide(key(GRANT, "requests_per_day"), Standing("hours", "entitled", CLOSED_HOURS), "ibis", NOW)
    assert (decision.code, decision.retry_after_s) == ("outside-hours", 9 * 3600 + 30)
    assert "Tue 2027-03-02 09:00" in decision.reason


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing("asleep", "open"), "no tier"),
        (Standing("awake", "everyone"), "no access state"),
        (Standing("hours", "open"), "needs visiting hours"),
        (Standing("hours", "open", " , "), "needs visiting hours"),
        (Standing("hours", "open", "lunchtime"), "'lunchtime' cannot be read"),
        (Standing("awake", "open", OPEN_HOURS), "belong to the tier 'hours'"),
    ],
)
def test_a_standing_that_cannot_be_is_refused(standing: Standing, said: str) -> None:
    """Before anything is recorded."""
    with pytest.raises(InputError, match=said):
        standing.check()


def test_a_used_up_limit_says_when_it_begins_anew() -> None:
    """Each kind of limit carries the seconds to the end of its window, wherever the clock's zone is."""
    waits = {kind.name: decide(key(GRANT, kind.name), LIVE, "ibis", NOW).retry_after_s for kind in KINDS}
    assert waits == {
        "requests_per_minute": 30,
        "requests_per_day": 30,
        "tokens_per_day": 30,
        "tokens_per_month": 30 * 86400 + 30,
    }
    assert KINDS[1].resets_in_s((NOW + timedelta(seconds=30)).astimezone(timezone(timedelta(hours=5)))) == 86400
    assert KINDS[3].resets_in_s(datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)) == 1
