"""Links, acknowledgements, reminders, brown-outs, exports and erasure, over a real ledger and database."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import select

from emeritus.errors import ActConflict, InputError, NotFound
from emeritus.lifecycle import caller_queries, queries
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.caller_queries import as_rows
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement, Lifecycle
from emeritus.records.tables import ActRow, Caller, Message, Notice
from feature_home import STEWARD, FeatureHome

CALLERS = b"contact,label,requests,last_used\nann@example.org,=Ann,12,2026-01-01\nbo@example.org,,3,\n,a script,,\n"
LINK = re.compile(r"https://example\.org/acknowledge/(\S+)")


@dataclass
class Kept:
    """A working mailer that keeps what it took."""

    messages: list[tuple[str, str, str]] = field(default_factory=list)

    def queue(self, recipient: str, subject: str, body: str) -> str:
        """Keep one message."""
        self.messages.append((recipient, subject, body))
        return str(len(self.messages))

    def token(self, recipient: str) -> str:
        """The link in the last message to somebody."""
        body = next(body for to, _, body in reversed(self.messages) if to == recipient)
        (token,) = LINK.findall(body)
        return str(token)


@pytest.fixture
def mail() -> Kept:
    """What was sent."""
    return Kept()


@pytest.fixture
def wren(home: FeatureHome, lifecycle: Lifecycle, mail: Kept) -> Lifecycle:
    """A resident whose callers have been told of its retirement."""
    lifecycle.register(Registration("wren", "Wren"), STEWARD)
    lifecycle.import_callers("wren", CALLERS, "csv", STEWARD)
    announcement = Announcement(parse_when("2026-01-10"), parse_when("2026-06-01"), "Little used.")
    lifecycle.announce("wren", announcement, STEWARD)
    lifecycle.notify("wren", mail, STEWARD)
    return lifecycle


def views(home: FeatureHome) -> dict[str | None, caller_queries.CallerView]:
    """The callers by contact."""
    with home.database.reading() as session:
        return {view.contact: view for view in caller_queries.callers(session, "wren")}


def test_a_link_acknowledges_once_for_the_one_it_was_sent_to(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """Looking records nothing; using it does, once; it is another's link for nobody."""
    token = mail.token("ann@example.org")
    assert token != mail.token("bo@example.org")
    assert wren.notices.link(token).acknowledged_at is None
    assert views(home)["ann@example.org"].acknowledged_at is None
    act = wren.notices.use_link(token)
    home.clock.pass_days(1)
    assert wren.notices.use_link(token).seq == act.seq
    assert wren.notices.link(token).acknowledged_at == act.at
    assert views(home)["ann@example.org"].acknowledged_via == "link"
    assert views(home)["bo@example.org"].acknowledged_at is None
    with home.database.reading() as session:
        assert queries.caller_facts(session, "wren").acknowledged == 1
    caller = views(home)["ann@example.org"].id
    assert caller not in json.dumps(home.ledger.statement(act.seq))
    home.acts.rebuild()
    assert views(home)["ann@example.org"].acknowledged_at == act.at


def test_a_replacement_changed_in_mid_window_is_announced_anew(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """Its notice period begins again, everybody is told and asked again, and what was said before stands on record."""
    told, before = mail.token("ann@example.org"), len(mail.messages)
    wren.notices.use_link(told)
    home.clock.pass_days(100)
    changed = Announcement(parse_when("2026-01-10"), parse_when("2026-06-01"), "Little used.", replacement="heron")
    with pytest.raises(InputError, match="days"):
        wren.announce("wren", changed, STEWARD)  # 42 days before the date: too late to change what was said
    later = replace(changed, retired=parse_when("2026-06-20"))
    act = wren.announce("wren", later, STEWARD)
    assert views(home)["ann@example.org"].acknowledged_at is None
    assert wren.notify("wren", mail, STEWARD)["sent"] == 2
    assert all("Replacement: heron" in body for _, _, body in mail.messages[before:])
    assert wren.notices.link(mail.token("ann@example.org")).announcement == act.id
    stood = home.read(select(ActRow).where(ActRow.kind == "lifecycle.announced").order_by(ActRow.seq))
    assert [each.public["replacement"] for each in stood] == [None, "heron"]


def test_a_changed_link_is_nobodys(wren: Lifecycle, mail: Kept) -> None:
    """Every other text is refused alike: another caller, entry or code, or none of it."""
    caller, seq, mac = mail.token("ann@example.org").split("-")
    other = mail.token("bo@example.org").split("-")[0]
    for text in (f"{other}-{seq}-{mac}", f"{caller}-0-{mac}", f"{caller}-{seq}-{mac[:-1]}", "", "--", f"{caller}-٣-x"):
        with pytest.raises(NotFound, match="not one of ours"):
            wren.notices.link(text)


def test_a_person_records_an_acknowledgement_that_came_another_way(home: FeatureHome, wren: Lifecycle) -> None:
    """By contact or by id; whoever is not on the list is named as such."""
    wren.notices.acknowledge("wren", "bo@example.org", "person", STEWARD)
    assert views(home)["bo@example.org"].acknowledged_via == "person"
    with pytest.raises(NotFound, match="no caller"):
        wren.notices.acknowledge("wren", "zoe@example.org", "person", STEWARD)


def test_reminders_go_to_the_silent_and_end(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """After the pause, not before, not to those who answered, and no more often than the settings say."""
    assert wren.notices.remind("wren", mail, STEWARD) == {"reminded": 0, "failed": 0}
    wren.notices.use_link(mail.token("ann@example.org"))
    home.clock.pass_days(13)
    assert wren.notices.remind("wren", mail, STEWARD)["reminded"] == 0
    sent = len(mail.messages)
    for _ in range(5):
        home.clock.pass_days(14)
        wren.notices.remind("wren", mail, STEWARD)
        assert wren.notices.remind("wren", mail, STEWARD)["reminded"] == 0
    reminders = mail.messages[sent:]
    assert [to for to, _, _ in reminders] == ["bo@example.org"] * 3
    assert all(subject.startswith("Reminder: ") for _, subject, _ in reminders)
    assert views(home)["bo@example.org"].reminders == 3
    assert wren.notify("wren", mail, STEWARD)["sent"] == 2  # reminders are no first notices
    assert {row.kind for row in home.read(select(Notice))} == {"notice", "reminder"}


def test_a_brown_out_is_announced_runs_and_ends(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """It is a public statement a day ahead; it runs between its moments; those who call are told."""
    window = ("2026-01-12T09:00Z", "2026-01-12T11:00+00:00")
    found = wren.brown_outs.plan("wren", window, "To find who still calls.", STEWARD)
    assert wren.brown_outs.plan("wren", window, "To find who still calls.", STEWARD) == found
    assert wren.notices.tell_of_window(found, mail, STEWARD) == {"sent": 2, "failed": 0}
    assert wren.notices.tell_of_window(found, mail, STEWARD) == {"sent": 2, "failed": 0}
    assert [subject for _, subject, _ in mail.messages[2:]] == [
        "Wren will not answer from 2026-01-12T09:00:00Z to 2026-01-12T11:00:00Z"
    ] * 2
    with home.database.reading() as session:
        for now, running in (
            ("2026-01-12T08:59:59Z", False),
            ("2026-01-12T09:00:00Z", True),
            ("2026-01-12T10:59:59Z", True),
            ("2026-01-12T11:00:00Z", False),
        ):
            assert (queries.brown_out(session, "wren", now) is not None) is running
    with pytest.raises(ActConflict, match=found):
        wren.brown_outs.plan("wren", ("2026-01-12T10:00Z", "2026-01-12T12:00Z"), "Again.", STEWARD)


def test_a_cancelled_brown_out_never_runs(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """Its moments are free again, and those who were told are told so."""
    window = ("2026-01-12T09:00Z", "2026-01-12T11:00Z")
    found = wren.brown_outs.plan("wren", window, "A test.", STEWARD)
    wren.brown_outs.cancel(found, "Bad day.", STEWARD)
    wren.notices.tell_of_window(found, mail, STEWARD)
    assert mail.messages[-1][1] == "Wren: the brown-out of 2026-01-12T09:00:00Z is cancelled"
    home.acts.rebuild()
    with home.database.reading() as session:
        assert queries.brown_out(session, "wren", "2026-01-12T10:00:00Z") is None
        assert caller_queries.brown_outs(session)[0].cancelled_for == "Bad day."
    assert wren.brown_outs.plan("wren", window, "A test.", STEWARD) != found


@pytest.mark.parametrize(
    ("window", "reason", "message"),
    [
        (("2026-01-11T11:00Z", "2026-01-11T12:00Z"), "x", "at least 1 day"),
        (("2026-01-12T12:00Z", "2026-01-12T12:00Z"), "x", "ends after"),
        (("2026-01-12T12:00Z", "2026-01-13T12:01Z"), "x", "lasts"),
        (("2026-01-12T12:00", "2026-01-12T13:00Z"), "x", "no time zone"),
        (("noon", "2026-01-12T13:00Z"), "x", "no moment"),
        (("2026-01-12T12:00Z", "2026-01-12T13:00Z"), " ", "needs a reason"),
    ],
)
def test_a_bad_brown_out_writes_nothing(
    home: FeatureHome, wren: Lifecycle, window: tuple[str, str], reason: str, message: str
) -> None:
    """Short notice, times that run backwards or say too little, no reason."""
    size = home.ledger.size
    with pytest.raises(InputError, match=message):
        wren.brown_outs.plan("wren", window, reason, STEWARD)
    assert home.ledger.size == size


def test_only_what_is_about_to_retire_browns_out(lifecycle: Lifecycle) -> None:
    """Without an announcement there is nothing to notice; what does not exist cannot be cancelled."""
    lifecycle.register(Registration("robin"), STEWARD)
    with pytest.raises(InputError, match="no announced retirement"):
        lifecycle.brown_outs.plan("robin", ("2026-01-12T12:00Z", "2026-01-12T13:00Z"), "x", STEWARD)
    with pytest.raises(NotFound):
        lifecycle.brown_outs.cancel("b-1", "x", STEWARD)


def test_an_export_runs_no_formula(home: FeatureHome, wren: Lifecycle) -> None:
    """What a caller calls itself is text in a spreadsheet, whatever it begins with; figures stay figures."""
    text = io.StringIO()
    csv.writer(text).writerows(as_rows(tuple(views(home).values())))
    rows = {row["contact"]: row for row in csv.DictReader(io.StringIO(text.getvalue()))}
    assert (rows["ann@example.org"]["label"], rows["ann@example.org"]["requests"]) == ("'=Ann", "12")
    assert rows["bo@example.org"]["told"] == "sent"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows.values() for cell in row.values())


def test_one_callers_data_is_erased_and_the_others_stay(home: FeatureHome, wren: Lifecycle, mail: Kept) -> None:
    """No row, file or waiting message has the address any more; the others keep their ids; every proof holds."""
    token = mail.token("ann@example.org")
    before = views(home)
    with home.database.session() as session:
        session.add(Message(id="m", recipient="ann@example.org", subject="", body="", headers={}, created_at=""))
    wren.callers.erase("wren", before["ann@example.org"].id, STEWARD)
    assert {row.id for row in home.read(select(Caller))} == {before["bo@example.org"].id, before[None].id}
    assert home.read(select(Message)) == []
    for path in home.folder.rglob("*"):
        if path.is_file():
            assert b"ann@example.org" not in path.read_bytes(), path
    assert home.ledger.verify().ok
    with pytest.raises(NotFound):
        wren.notices.link(token)
    with pytest.raises(NotFound):
        wren.callers.erase("wren", before["ann@example.org"].id, STEWARD)
    assert wren.notify("wren", mail, STEWARD)["sent"] == 2
