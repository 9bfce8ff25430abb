"""The read sides: what is overdue at a moment, where a preference stands, which state is in force."""

from __future__ import annotations

import pytest
import web_story
import web_words
from web_house import NOW, House

from emeritus.access import queries as access
from emeritus.app import PROJECTORS
from emeritus.corner import queries as corner
from emeritus.errors import NotFound
from emeritus.interview import queries as interview
from emeritus.lifecycle import queries as lifecycle
from emeritus.preservation import queries as preservation
from emeritus.records.dates import is_past
from emeritus.records.tables import AxisEvent, Check, Decision, Grant, Preference
from emeritus.web.rendering import ACTS

NAME = web_words.NAME


def at(house: House, now: str) -> tuple[dict[str, interview.PreferenceView], tuple[interview.CommitmentView, ...]]:
    """The register and its commitments at a moment."""
    with house.session() as session:
        found = interview.preferences(session, now, 30, NAME)
        return {view.id: view for view in found}, interview.commitments(session, now, NAME)


@pytest.mark.parametrize(
    ("now", "overdue"),
    [("2026-10-10T23:59:59Z", False), ("2026-10-11T00:00:00Z", True)],
)
def test_an_undecided_preference_falls_overdue(told: House, now: str, overdue: bool) -> None:
    """A decision is owed until the end of the last day, thirty days after coding."""
    register, _ = at(told, now)
    users = register[f"{NAME}:users"]
    assert (users.standing, users.decide_by, users.overdue) == ("undecided", "2026-10-10", overdue)


def test_standing_follows_the_decision_in_force(told: House) -> None:
    """Granted, declined and withdrawn are told apart, and nothing is owed on them."""
    register, _ = at(told, NOW)
    standing = {key.partition(":")[2]: view.standing for key, view in register.items()}
    assert standing == {"voice": "granted", "tuning": "declined", "users": "undecided", "drill": "closed"}
    assert register[f"{NAME}:voice"].decide_by is None


def test_a_deferral_is_owed_by_its_review_date(house: House) -> None:
    """A later decision replaces the earlier one; a deferral is undecided until its review date, then overdue."""
    web_story.retired_model(house)
    house.record(
        "decide:again",
        "preference.decided",
        Decision(
            preference=f"{NAME}:tuning",
            outcome="defer",
            reasons="the planner does not stand yet",
            options=[],
            decider="R. Okafor",
            decider_role="steward",
            second=None,
            conflict="none declared",
            cost={},
            review_date="2026-12-01",
            automated=False,
            at=NOW,
        ),
    )
    register, _ = at(house, NOW)
    deferred = register[f"{NAME}:tuning"]
    assert [decision.outcome for decision in deferred.decisions] == ["decline", "defer"]
    assert (deferred.standing, deferred.decide_by, deferred.overdue) == ("undecided", "2026-12-01", False)
    assert at(house, "2026-12-02T00:00:00Z")[0][f"{NAME}:tuning"].overdue


def test_what_is_superseded_is_counted_once(house: House) -> None:
    """A granted preference that another record superseded no longer counts as granted."""
    web_story.retired_model(house)
    with house.database.session() as session:
        row = session.get(Preference, f"{NAME}:voice")
        assert row is not None
        row.state = "superseded"
    assert at(house, NOW)[0][f"{NAME}:voice"].standing == "closed"


def test_commitments(told: House) -> None:
    """Verified is done whatever its date; open and past due is overdue; open and not yet due is not."""
    _, promises = at(told, NOW)
    assert {promise.id.partition(":")[2]: (promise.status, promise.overdue) for promise in promises} == {
        "channel": ("verified", False),
        "log": ("open", True),
        "weekly": ("open", False),
    }


def test_counts(told: House) -> None:
    """The four numbers add up over all residents."""
    with told.session() as session:
        register = interview.preferences(session, NOW, 30)
        counts = interview.counts(register, interview.commitments(session, NOW))
    assert (counts.granted, counts.declined, counts.undecided, counts.overdue) == (1, 1, 1, 2)


def test_axis_in_force(told: House) -> None:
    """The latest state whose date has come is in force; a later act's date for the same state stands alone."""
    with told.session() as session:
        before = lifecycle.timeline(session, NAME, "2026-10-31T12:00:00Z")
        after = lifecycle.timeline(session, NAME, "2026-11-01T00:00:00Z")
    assert before.offering is not None
    assert before.offering.state == "deprecated"  # the announced 31 October was superseded by 1 November
    assert after.offering is not None
    assert after.offering.state == "retired"
    assert [event.date for event in after.events if event.superseded] == ["2026-10-31"]
    announced = after.first("offering", "retired")
    assert announced is not None
    assert announced.date == "2026-11-01"


def test_states_of_one_day_stand_in_the_order_recorded(house: House) -> None:
    """When two states of an axis begin on one day, the one recorded later is in force."""
    states = [
        AxisEvent(resident="x", axis="offering", state=state, date="2026-11-01", precision="day", reason="")
        for state in ("active", "deprecated", "retired")
    ]
    house.record("announce", "lifecycle.announced", *states)
    with house.session() as session:
        timeline = lifecycle.timeline(session, "x", NOW)
    assert timeline.offering is not None
    assert timeline.offering.state == "retired"


def test_callers_are_counts(told: House) -> None:
    """Who was told and who could not be are counted by caller, not by notice."""
    with told.session() as session:
        facts = lifecycle.caller_facts(session, NAME)
    assert facts == lifecycle.CallerFacts(callers=5, with_contact=4, notified=4, failed=1, acknowledged=1)


def test_checks_of_the_vault_count_for_everyone(house: House) -> None:
    """A failed scrub of the whole vault is each resident's newest check; the good one before it stays listed."""
    for number, ok in enumerate((True, False)):
        house.record(
            f"scrub:{number}",
            "preservation.checked",
            Check(resident=None, kind="scrub", ok=ok, summary="s", detail={}, at=f"2026-11-0{number + 1}T00:00:00Z"),
        )
    with house.session() as session:
        kept = preservation.preservation(session, "anyone")
    assert kept.last_check is not None
    assert not kept.last_check.ok
    assert [check.ok for check in kept.last_checks] == [False]
    assert len(kept.checks) == 2


def test_grants_for_everyone_count_and_ended_ones_do_not(house: House) -> None:
    """A grant for every resident counts for each; revoked and expired ones are ended."""
    for number, (resident, state, expires) in enumerate(
        (("*", "active", None), ("x", "revoked", None), ("x", "active", "2026-01-01"), ("other", "active", None))
    ):
        house.record(
            f"grant:{number}",
            "access.granted",
            Grant(
                id=f"g{number}",
                resident=resident,
                holder=None,
                plan="p",
                state=state,
                reason="",
                requests_per_day=None,
                expires=expires,
                at=NOW,
            ),
        )
    with house.session() as session:
        state = access.access_state(session, "x", NOW)
    assert (state.grants_active, state.grants_ended, state.tier, state.requests) == (1, 2, None, 0)


def test_candidates_and_vetoes(told: House) -> None:
    """Each candidate is published, vetoed or waiting, and none is lost."""
    with told.session() as session:
        assert corner.counts(session) == corner.CornerCounts(candidates=3, published=1, vetoed=1, waiting=1)
        assert [view.context for view in corner.candidates(session)] == ["news"]
        with pytest.raises(NotFound):
            corner.essay(session, "lantern-1:essay:2")


def test_waits(told: House) -> None:
    """A wait is open until its day has passed, then overdue."""
    with told.session() as session:
        (wait,) = lifecycle.waits(session, NOW, "ferry-chat")
        assert not wait.overdue
        assert lifecycle.waits(session, "2027-01-02T00:00:00Z", "ferry-chat")[0].overdue


def test_unknown_names(told: House) -> None:
    """What does not exist raises NotFound."""
    with told.session() as session:
        for ask in (
            lambda: lifecycle.resident(session, "nobody"),
            lambda: lifecycle.latest_report(session, "ferry-chat"),
            lambda: interview.interview_session(session, "ferry-chat", f"{NAME}-baseline-1"),
            lambda: interview.protocol(session, "0" * 64),
        ):
            with pytest.raises(NotFound):
                ask()


@pytest.mark.parametrize(
    ("due", "past"),
    [("2026-11-20", True), ("2026-11-21", False), ("2026-11-21T08:59:59Z", True), ("2026-11-21T09:00:01Z", False)],
)
def test_is_past(due: str, past: bool) -> None:
    """A bare date lasts to the end of its day, a moment to its second."""
    assert is_past(due, NOW) is past


def test_every_act_has_words() -> None:
    """Every kind of act that can be recorded is named in words people read."""
    assert set(ACTS) == set(PROJECTORS)
