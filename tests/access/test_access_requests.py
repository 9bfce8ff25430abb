"""Requests for access: every step an act, every missed deadline in the applicant's favour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from access_house import STEWARD, Clock
from sqlalchemy import select

from emeritus.access.policy import Standing
from emeritus.access.requests import queries
from emeritus.access.requests.service import Application, Requests
from emeritus.access.requests.states import (
    AUTO_CODES,
    DECLINE_CODES,
    TRANSITIONS,
    Asked,
    Generosity,
    Step,
    after,
    judge,
)
from emeritus.access.service import Access
from emeritus.acts import Actor, Acts
from emeritus.errors import AccessError, DecisionRefused, InputError, NotEntitled, NotFound, QuotaExceeded, TooManyTries
from emeritus.records.database import Database
from emeritus.records.tables import AccessRequest, AccessStep, Grant
from emeritus.settings import Settings

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it decides nothing here
BEN, CARO = Actor("ben"), Actor("caro")
MUCH = Application("Eve", "interpretability of answers", "eve@home.example", 5000)
LITTLE = Application("Eve", "a comparison", "", 20)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults."""
    return Settings(home=tmp_path)


@pytest.fixture
def requests(acts: Acts, access: Access, database: Database, settings: Settings, clock: Clock) -> Iterator[Requests]:
    """The service, over a home where a decline takes two."""
    return Requests(acts, database, access, settings, clock)


def view(requests: Requests, database: Database, acts: Acts, request: str) -> queries.RequestView:
    """A request as it stands."""
    with database.reading() as session:
        return queries.one(session, request, acts.now, 30)


def declined(requests: Requests) -> str:
    """A request that two have declined."""
    made = requests.submit("ibis", MUCH)
    requests.decline(made.id, "capacity", "It is a small machine.", STEWARD)
    assert requests.decline(made.id, "capacity", "It is a small machine.", BEN) == "declined"
    return made.id


@ONE_DATABASE
def test_a_small_quota_is_granted_at_once(requests: Requests, access: Access, clock: Clock) -> None:
    """Whoever asks for little has a working key a moment later, with no address given, and the quota holds."""
    made = requests.submit("ibis", LITTLE)
    assert made.state == "auto-granted"
    key = requests.new_key(requests.by_link(made.secret), "laptop")
    for _ in range(20):
        assert access.check(key, "ibis").code == "granted"
    with pytest.raises(QuotaExceeded):
        access.check(key, "ibis")
    with pytest.raises(NotEntitled):
        access.check(key, "heron")


@ONE_DATABASE
def test_asking_for_more_is_reviewed(requests: Requests, access: Access, database: Database, acts: Acts) -> None:
    """A person asks back, the applicant answers, a person grants; each step is there with who and when."""
    made = requests.submit("ibis", MUCH)
    assert made.state == "in review"
    with pytest.raises(DecisionRefused):
        requests.new_key(made.id)
    assert requests.ask(made.id, "For how long?", STEWARD) == "info needed"
    assert requests.answer(made.id, "Until June.") == "in review"
    assert requests.grant(made.id, BEN, text="Welcome.") == "granted"
    seen = view(requests, database, acts, made.id)
    assert [(step.step, step.text, step.source.actor) for step in seen.steps] == [
        ("submit", None, "the applicant"),
        ("review", None, "emeritus policy"),
        ("ask", "For how long?", "ana"),
        ("answer", "Until June.", "the applicant"),
        ("grant", "Welcome.", "ben"),
    ]
    assert seen.grant is not None
    assert (seen.grant.requests_per_day, seen.grant.state) == (5000, "active")
    assert access.check(requests.new_key(made.id), "ibis").code == "granted"


@ONE_DATABASE
def test_a_decline_takes_a_reason_and_two_people(requests: Requests, database: Database, acts: Acts) -> None:
    """One alone proposes; the same one again is refused; a second declines; the reason's code is public."""
    made = requests.submit("ibis", MUCH)
    with pytest.raises(InputError):
        requests.decline(made.id, "dislike", "No.", STEWARD)
    with pytest.raises(InputError):
        requests.decline(made.id, "misuse", "  ", STEWARD)
    assert requests.decline(made.id, "misuse", "It would flood it.", STEWARD) == "in review"
    assert view(requests, database, acts, made.id).proposed_by == "ana"
    with pytest.raises(DecisionRefused):
        requests.decline(made.id, "misuse", "Still.", STEWARD)
    assert requests.decline(made.id, "misuse", "It would flood it.", BEN) == "declined"
    with pytest.raises(DecisionRefused):
        requests.grant(made.id, CARO)


@ONE_DATABASE
def test_a_small_group_may_waive_the_second_person(
    acts: Acts, access: Access, database: Database, tmp_path: Path, clock: Clock
) -> None:
    """With the policy waived one person declines; an appeal still takes another."""
    alone = Settings(home=tmp_path, second_access_reviewer="waived")
    requests = Requests(acts, database, access, alone, clock)
    made = requests.submit("ibis", MUCH)
    assert requests.decline(made.id, "legal", "An embargo.", STEWARD) == "declined"
    requests.appeal(made.id, "I live elsewhere.")
    with pytest.raises(DecisionRefused):
        requests.grant(made.id, STEWARD)
    assert requests.grant(made.id, BEN, 100) == "overturned"


@ONE_DATABASE
def test_appeals_are_decided_by_someone_else(requests: Requests, access: Access) -> None:
    """Neither of the two who declined decides the appeal, in either way; a third may uphold, and that is the end."""
    request = declined(requests)
    assert requests.appeal(request, "It is not small at night.") == "appealed"
    for one in (STEWARD, BEN):
        with pytest.raises(DecisionRefused):
            requests.grant(request, one)
        with pytest.raises(DecisionRefused):
            requests.decline(request, "capacity", "No.", one)
    assert requests.decline(request, "capacity", "Nor at night.", CARO) == "upheld"
    with pytest.raises(DecisionRefused):
        requests.appeal(request, "Again.")


def test_missed_deadlines_favour_the_applicant(
    requests: Requests, access: Access, database: Database, acts: Acts, clock: Clock
) -> None:
    """However long nothing ran: a review or appeal not decided in time grants at the low quota, and says so."""
    slow, appealed, asked = requests.submit("ibis", MUCH), declined(requests), requests.submit("heron", MUCH)
    requests.appeal(appealed, "Please look again.")
    requests.ask(asked.id, "What for?", STEWARD)
    assert requests.attend() == {}
    clock.move(days=7)
    assert requests.attend() == {}  # the last day is still in time
    clock.move(days=400)
    assert requests.attend() == {"overdue-grant": 1, "overdue-overturn": 1, "lapse": 1}
    assert requests.attend() == {}
    low = view(requests, database, acts, slow.id)
    assert (low.state, low.code) == ("auto-granted", "review-overdue")
    assert low.grant is not None
    assert low.grant.requests_per_day == 50
    assert low.steps[-1].source.automated
    assert view(requests, database, acts, appealed).state == "overturned"
    assert view(requests, database, acts, asked.id).state == "in review"
    assert access.check(requests.new_key(slow.id), "ibis").code == "granted"


@ONE_DATABASE
def test_a_submission_cut_short_is_settled(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between submitting and the first step by policy leaves a request that upkeep moves on."""
    with monkeypatch.context() as broken:
        broken.setattr(Requests, "_settle", lambda *_: "submitted")
        made = requests.submit("ibis", LITTLE)
    with pytest.raises(DecisionRefused):
        requests.new_key(made.id)
    assert requests.attend() == {"settled": 1}
    assert requests.new_key(made.id)


@ONE_DATABASE
def test_grants_expire_and_are_renewed(
    requests: Requests, access: Access, database: Database, acts: Acts, clock: Clock
) -> None:
    """Active, expiring, renewed by the applicant, expired, renewed again, revoked with a reason: then no more."""
    made = requests.submit("ibis", LITTLE)
    key = requests.new_key(made.id)

    def state() -> str:
        found = view(requests, database, acts, made.id).grant
        assert found is not None
        return f"{found.state} {found.renewals}"

    assert state() == "active 0"
    with pytest.raises(DecisionRefused):
        requests.renew(made.id)
    clock.move(days=170)
    assert state() == "expiring 0"
    requests.renew(made.id)
    assert state() == "active 1"
    clock.move(days=181)
    assert state() == "expired 1"
    with pytest.raises(NotEntitled):
        access.check(key, "ibis")
    requests.renew(made.id, STEWARD)
    access.check(key, "ibis")
    grant = view(requests, database, acts, made.id).grant
    assert grant is not None
    access.revoke(grant.id, "the key was published", STEWARD)
    assert state() == "revoked 2"
    clock.move(days=200)
    with pytest.raises(InputError):
        requests.renew(made.id)
    assert requests.submit("heron", LITTLE).state == "in review"  # one revoked before is looked at by people


def test_who_asks_stays_out_of_the_ledger_and_can_be_erased(
    requests: Requests, access: Access, acts: Acts, database: Database, tmp_path: Path
) -> None:
    """No ledger file holds a word of the applicant's; after erasing nothing does, and the key goes on working."""
    made = requests.submit("ibis", MUCH)
    requests.ask(made.id, "Which lab, Eve?", STEWARD)
    requests.answer(made.id, "The one by the sea.")
    requests.grant(made.id, STEWARD)
    key = requests.new_key(made.id)

    def stored(folder: str) -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file())

    words = (b"Eve", b"eve@home.example", b"interpretability", b"by the sea", made.secret.encode())
    assert not any(word in stored("ledger") for word in words)
    requests.erase(made.id)
    assert not any(word in stored("ledger") + stored("home") for word in words)
    with database.reading() as session:
        row = session.scalars(select(AccessRequest)).one()
        assert (row.who, row.contact, row.purpose, row.link_sha256, row.state) == (None, None, None, None, "granted")
        assert session.scalars(select(Grant.holder)).all() == [None]
        assert set(session.scalars(select(AccessStep.text))) == {None}
    with pytest.raises(NotFound):
        requests.by_link(made.secret)
    assert access.check(key, "ibis").code == "granted"


def test_a_rebuild_brings_every_request_back(requests: Requests, acts: Acts, database: Database, clock: Clock) -> None:
    """Requests, steps and their grants are what the ledger and the private files say."""
    requests.submit("ibis", LITTLE)
    requests.appeal(declined(requests), "Look again.")
    clock.move(days=9)
    requests.attend()

    def rows() -> list[dict[str, Any]]:
        with database.reading() as session:
            return [
                {column.key: getattr(row, column.key) for column in table.__table__.columns}
                for table in (AccessRequest, AccessStep, Grant)
                for row in session.scalars(select(table).order_by(table.id))
            ]

    before = rows()
    acts.rebuild()
    assert rows() == before
    assert len(before) == 2 + 8 + 2


def test_public_figures(requests: Requests, database: Database, clock: Clock) -> None:
    """Medians, shares and reasons by code, of the decided ones; no name among them."""
    requests.submit("ibis", LITTLE)
    first = requests.submit("ibis", MUCH)
    declined(requests)
    clock.move(hours=10)
    requests.grant(first.id, BEN)
    requests.submit("heron", MUCH)
    with database.reading() as session:
        every, ibis = queries.figures(session), queries.figures(session, "ibis")
        nobody = queries.figures(session, "crane")
        assert queries.residents_asked_for(session) == ("heron", "ibis")
    assert (every.requests, every.waiting, ibis.requests, ibis.waiting) == (4, 1, 3, 0)
    assert (ibis.granted, ibis.auto_granted, ibis.declined) == (2, 1, 1)
    assert (ibis.median_hours, ibis.slowest_hours) == (0, 10)
    assert (ibis.approval_rate, ibis.auto_share, ibis.reasons) == (2 / 3, 1 / 2, {"capacity": 1})
    assert (nobody.requests, nobody.median_hours, nobody.approval_rate, nobody.auto_share) == (0, None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        Application("", "p"),
        Application("Eve", " "),
        Application("Eve", "p", "c" * 300),
        Application("Eve", "p" * 5000),
        Application("Eve", "p", "", 0),
        Application("Eve", "p", "", 10**9),
        Application("E\x00ve", "p"),
        Application("Eve", "\ud800"),
    ],
)
@ONE_DATABASE
def test_an_application_that_cannot_be_leaves_nothing(
    requests: Requests, database: Database, wrong: Application
) -> None:
    """One clear error, and no row."""
    with pytest.raises(InputError):
        requests.submit("ibis", wrong)
    with database.reading() as session:
        assert session.scalars(select(AccessRequest)).all() == []


@ONE_DATABASE
def test_only_who_can_be_called_by_request_is_asked_for(requests: Requests, access: Access) -> None:
    """Nobody asks for a resident that answers nobody, or everybody, or is not there."""
    access.set_tier("ibis", Standing("archive", "none"), "", STEWARD)
    access.set_tier("heron", Standing("awake", "open"), "", STEWARD)
    for name, error in (("ibis", InputError), ("heron", InputError), ("dodo", NotFound)):
        with pytest.raises(error):
            requests.submit(name, LITTLE)


@ONE_DATABASE
def test_too_much_is_refused(requests: Requests) -> None:
    """Five requests an hour from an address, five keys of a grant."""
    made = [requests.submit("ibis", LITTLE, "192.0.2.1") for _ in range(5)]
    with pytest.raises(TooManyTries):
        requests.submit("ibis", LITTLE, "192.0.2.1")
    for _ in range(5):
        requests.new_key(made[0].id)
    with pytest.raises(AccessError):
        requests.new_key(made[0].id)


@pytest.mark.parametrize(
    ("asked", "step", "code"),
    [
        (Asked(50, 0, False, 0), "auto-grant", "low-quota"),
        (Asked(51, 0, False, 0), "review", "asks-for-more"),
        (Asked(1, 1, False, 0), "review", "already-granted"),
        (Asked(1, 0, True, 0), "review", "revoked-before"),
        (Asked(1, 0, False, 100), "review", "many-today"),
    ],
)
def test_what_is_granted_at_once(asked: Asked, step: Step, code: str) -> None:
    """The policy's whole table; every code has its words."""
    assert judge(asked, Generosity(50, 100)) == (step, code)
    assert code in AUTO_CODES


def test_every_state_is_reached_and_every_other_step_refused() -> None:
    """From submission each state can be reached; a step that does not fit names those that do."""
    reached = {"submitted"}
    for _ in TRANSITIONS:
        reached |= {to for (at, _step), to in TRANSITIONS.items() if at in reached}
    assert reached == {"submitted", *TRANSITIONS.values()}
    steps: set[Step] = {step for _, step in TRANSITIONS}
    for state in reached:
        for step in steps:
            if (state, step) not in TRANSITIONS:
                with pytest.raises(DecisionRefused):
                    after(state, step)
    assert not set(DECLINE_CODES) & set(AUTO_CODES)


@ONE_DATABASE
def test_two_processes_decide_once(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision that comes a moment after another is refused with what stands."""
    made = requests.submit("ibis", MUCH)
    decide: list[Callable[[], str]] = [lambda: requests.grant(made.id, STEWARD), lambda: requests.grant(made.id, BEN)]
    assert decide[0]() == "granted"
    with pytest.raises(DecisionRefused, match="granted"):
        decide[1]()
