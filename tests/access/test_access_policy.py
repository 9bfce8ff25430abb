"""The one function that decides who may call."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from emeritus.access import policy
from emeritus.access.policy import (
    ACCESSES,
    REFUSALS,
    GrantFacts,
    KeyFacts,
    Standing,
    decide,
    seconds_to_next_day,
)
from emeritus.errors import InputError
from emeritus.tiers import Tier

NOW = datetime(2027, 3, 1, 23, 59, 30, tzinfo=UTC)
GRANT = GrantFacts("g-1", "ibis", "active", None, None, 0)
EVERY = replace(GRANT, resident="*")
LIVE = Standing("on-demand", "by request")
OPEN_HOURS, CLOSED_HOURS = "mon 22:00-02:00", "tue-sun 09:00-17:00"  # now is a Monday
NO_KEY = KeyFacts(given=False)
UNKNOWN = KeyFacts(given=True)


def key(grant: GrantFacts = GRANT, *, revoked: bool = False) -> KeyFacts:
    """A known key of a grant."""
    return KeyFacts(True, "abc", revoked, grant)


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
        (key(replace(GRANT, resident="heron")), LIVE, "grant-elsewhere"),
        (key(EVERY), LIVE, "grant-not-by-name"),
        (key(replace(GRANT, requests_per_day=2, used_today=2)), LIVE, "quota"),
        (key(replace(GRANT, expires="2027-03-01T23:59:29Z")), LIVE, "grant-expired"),
        (key(replace(GRANT, expires="2027-03-01T23:59:30Z")), LIVE, "granted"),
        (key(replace(GRANT, requests_per_day=2, used_today=1)), LIVE, "granted"),
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


def test_every_refusal_has_an_error() -> None:
    """Each code in the table of refusals is one the function can give."""
    source = inspect.getsource(policy).split("def decide", 1)[1]
    assert all(f'"{code}"' in source for code in REFUSALS)


def test_nothing_is_allowed_without_a_grant_unless_open() -> None:
    """Over all tiers and access states, a call without a key is allowed exactly where a live resident is open."""
    for tier, access in itertools.product(Tier, ACCESSES):
        hours = OPEN_HOURS if tier == Tier.HOURS else None
        allowed = decide(NO_KEY, Standing(tier, access, hours).check(), "ibis", NOW).allowed
        assert allowed == (access == "open" and tier in {"awake", "on-demand", "hours"})


def test_closed_hours_say_when_they_open() -> None:
    """A call outside visiting hours carries the seconds to the next ones, and uses nothing of a quota."""
    grant = replace(GRANT, requests_per_day=1, used_today=1)
    decision = decide(key(grant), Standing("hours", "entitled", CLOSED_HOURS), "ibis", NOW)
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


def test_quota_says_when_the_next_day_begins() -> None:
    """A used-up day carries the seconds to UTC midnight, wherever the clock's zone is."""
    decision = decide(key(replace(GRANT, requests_per_day=1, used_today=5)), LIVE, "ibis", NOW)
    assert decision.retry_after_s == 30
    assert seconds_to_next_day(NOW + timedelta(seconds=30)) == 86400
