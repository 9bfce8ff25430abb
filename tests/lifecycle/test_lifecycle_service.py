"""Registration, policies, announcements, callers and notices, over a real ledger and database."""

import json
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from emeritus.errors import AlreadyExists, BadName, BadTable, InputError, MailFailed, NotFound
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement, Lifecycle
from emeritus.records.tables import AxisEvent, Base, Caller, Message, Notice, Policy, Wait
from emeritus.settings import Settings
from feature_home import STEWARD, FeatureHome

WREN = Registration("wren", "Wren", "A small model.", options={"dtype": "bfloat16"})
CALLERS = (
    b"contact,label,requests,last_used\nann@example.org,Ann's lab,12,2026-01-01\nbo@example.org,,3,\n,a script,,\n"
)


@dataclass
class Outbox:
    """A working mailer that keeps what it took, and refuses some recipients."""

    refuses: set[str] = field(default_factory=set)
    messages: list[tuple[str, str, str]] = field(default_factory=list)

    def queue(self, recipient: str, subject: str, body: str) -> str:
        """Keep one message."""
        if recipient in self.refuses:
            raise MailFailed(f"{recipient} is refused")
        self.messages.append((recipient, subject, body))
        return str(len(self.messages))


def announcement(retired: str = "2026-04-01", **values: object) -> Announcement:
    """A plain announcement; 2026-01-10 is today."""
    return Announcement(parse_when("2026-01-10"), parse_when(retired), "Its successor serves all traffic.", **values)


@pytest.fixture
def wren(lifecycle: Lifecycle) -> Lifecycle:
    """A home with one resident."""
    lifecycle.register(WREN, STEWARD)
    return lifecycle


def test_registering_twice_is_one_act(wren: Lifecycle) -> None:
    """The same facts find the same act; other facts under the name are refused."""
    assert wren.register(WREN, STEWARD).seq == 0
    with pytest.raises(AlreadyExists):
        wren.register(Registration("wren", "Another Wren"), STEWARD)
    assert wren.resident("wren").title == "Wren"


@pytest.mark.parametrize("name", ["", "Wren", "../wren", "a/b", "..", ".a", "-a", "a" * 65, "wren\n"])
def test_a_name_that_could_leave_its_folder_is_refused(lifecycle: Lifecycle, name: str) -> None:
    """Path tricks and capitals are BadName, and nothing is written."""
    with pytest.raises(BadName):
        lifecycle.register(Registration(name), STEWARD)


def test_a_secret_never_enters_the_ledger(home: FeatureHome, lifecycle: Lifecycle) -> None:
    """An engine option that would carry a key is refused before anything is durable."""
    with pytest.raises(InputError, match="secret"):
        lifecycle.register(Registration("wren", options={"API_KEY": "sk-1"}), STEWARD)
    assert home.ledger.size == 0


def test_a_policy_is_public_and_stated_once(home: FeatureHome, lifecycle: Lifecycle) -> None:
    """Setting what is in force already adds nothing; unknown policies and values are refused."""
    for value in ("required", "required", "waived"):
        lifecycle.set_policy("second_decider", value, STEWARD)
    assert [row.value for row in home.read(select(Policy))] == ["required", "waived"]
    with pytest.raises(InputError):
        lifecycle.set_policy("second_decider", "sometimes", STEWARD)
    with pytest.raises(InputError):
        lifecycle.set_policy("notice", "waived", STEWARD)


def test_an_announcement_dates_the_axes_and_opens_a_wait(home: FeatureHome, wren: Lifecycle) -> None:
    """Deprecated, retired and the access afterwards are dated; a coarse date keeps its precision."""
    wren.announce("wren", announcement("2026-Q2", access="entitled"), STEWARD)
    rows = [(row.axis, row.state, row.date, row.precision) for row in home.read(select(AxisEvent))]
    assert rows == [
        ("offering", "deprecated", "2026-01-10", "day"),
        ("offering", "retired", "2026-04-01", "quarter"),
        ("access", "entitled", "2026-04-01", "quarter"),
    ]
    (wait,) = home.read(select(Wait))
    assert (wait.id, wait.due, wait.closed_at) == ("retire:wren", "2026-04-01", None)


def test_the_same_announcement_twice_is_one_act(home: FeatureHome, wren: Lifecycle) -> None:
    """Repeating changes nothing; a changed one is a new act, also when it returns to an earlier one."""
    first = wren.announce("wren", announcement(), STEWARD)
    assert wren.announce("wren", announcement(), STEWARD).id == first.id
    assert wren.announce("wren", announcement("2026-05-01"), STEWARD).id != first.id
    assert wren.announce("wren", announcement(), STEWARD).id != first.id
    assert home.ledger.size == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"retired": "2026-03-10"}, "less than 60 days"),
        ({"retired": "2026-01-09", "waive_notice": "None call it."}, "comes before deprecated"),
        ({"access": "sometimes"}, "access is never"),
        ({"waive_notice": " "}, "waiver"),
    ],
)
def test_a_bad_announcement_writes_nothing(
    home: FeatureHome, wren: Lifecycle, values: dict[str, str], message: str
) -> None:
    """Short notice, dates that run backwards, an unknown access state and an unreasoned waiver are refused."""
    with pytest.raises(InputError, match=message):
        wren.announce("wren", announcement(**values), STEWARD)
    assert home.ledger.size == 1


def test_an_announcement_needs_a_reason_and_a_resident(wren: Lifecycle) -> None:
    """No reason, no announcement; nor for a model nobody registered."""
    with pytest.raises(InputError, match="reason"):
        wren.announce("wren", Announcement(parse_when("2026"), parse_when("2027"), " "), STEWARD)
    with pytest.raises(NotFound):
        wren.announce("robin", announcement(), STEWARD)


def test_a_waived_notice_is_a_public_policy(home: FeatureHome, wren: Lifecycle) -> None:
    """A short notice is possible with a reason, which the ledger and the policies show."""
    act = wren.announce("wren", announcement("2026-01-10", waive_notice="Nobody calls it."), STEWARD)
    assert act.public["waive_notice"] == "Nobody calls it."
    assert [(row.name, row.value) for row in home.read(select(Policy))] == [("notice_period:wren", "waived")]


def test_callers_are_private_and_their_ids_random(home: FeatureHome, wren: Lifecycle) -> None:
    """The rows have the contacts; no file of the ledger has any of them, nor anything derived from them."""
    act = wren.import_callers("wren", CALLERS, "csv", STEWARD)
    assert act.public == {"source": "csv", "callers": 3, "with_contact": 2, "new": 3}
    assert {row.contact for row in home.read(select(Caller))} == {"ann@example.org", "bo@example.org", None}
    statement = json.dumps(home.ledger.statement(act.seq))
    assert "ann" not in statement.replace(STEWARD.name, "").lower()
    assert all(row.id not in statement for row in home.read(select(Caller)))


def test_importing_again_keeps_ids_and_takes_new_figures(home: FeatureHome, wren: Lifecycle) -> None:
    """A caller known by contact, or by label where there is none, is the same caller."""
    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    before = {row.id: row.contact or row.label for row in home.read(select(Caller))}
    again = CALLERS.replace(b"ann@example.org,Ann's lab,12", b"Ann@Example.org,Ann's lab,99")
    assert wren.import_callers("wren", again, "csv", STEWARD).public["new"] == 0
    rows = home.read(select(Caller))
    assert {row.id for row in rows} == set(before)
    assert max(row.requests or 0 for row in rows) == 99


def test_a_faulty_file_imports_nothing(home: FeatureHome, wren: Lifecycle) -> None:
    """One bad line and no caller is imported."""
    with pytest.raises(BadTable, match="line 5"):
        wren.import_callers("wren", CALLERS + b"no address,,,\n", "csv", STEWARD)
    assert home.read(select(Caller)) == []
    assert home.ledger.size == 1


def test_erased_callers_are_gone_and_counts_stay(home: FeatureHome, wren: Lifecycle) -> None:
    """Erasing the private part empties the rows; the public counts and the ledger stay whole."""
    act = wren.import_callers("wren", CALLERS, "csv", STEWARD)
    home.acts.erase_private(act.id)
    assert home.read(select(Caller)) == []
    found = home.acts.find(act.id)
    assert found is not None
    assert found.private_withheld
    assert found.public["callers"] == 3
    assert home.ledger.verify().ok


def test_every_caller_is_told_once(home: FeatureHome, wren: Lifecycle) -> None:
    """A second round finds nobody; counts are public, the list is not."""
    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    wren.announce("wren", announcement(replacement="robin"), STEWARD)
    outbox = Outbox()
    counts = wren.notify("wren", outbox, STEWARD)
    assert (counts["sent"], counts["failed"], counts["no_contact"], counts["owed"]) == (2, 0, 1, 0)
    size = home.ledger.size
    assert wren.notify("wren", outbox, STEWARD) == counts
    assert home.ledger.size == size
    assert sorted(recipient for recipient, _, _ in outbox.messages) == ["ann@example.org", "bo@example.org"]
    subject, body = outbox.messages[0][1:]
    assert subject == "Wren will be retired: 2026-04-01"
    for fact in ("Example Lab", "Replacement: robin", "Its successor", "https://example.org/residents/wren"):
        assert fact in body


def test_a_refused_notice_is_tried_again_alone(home: FeatureHome, wren: Lifecycle) -> None:
    """Who was told is not told again; who could not be is."""
    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    wren.announce("wren", announcement(), STEWARD)
    outbox = Outbox(refuses={"bo@example.org"})
    assert wren.notify("wren", outbox, STEWARD)["failed"] == 1
    outbox.refuses.clear()
    assert wren.notify("wren", outbox, STEWARD)["owed"] == 0
    assert [recipient for recipient, _, _ in outbox.messages].count("ann@example.org") == 1
    assert [recipient for recipient, _, _ in outbox.messages].count("bo@example.org") == 1


def test_a_changed_announcement_is_told_again(wren: Lifecycle) -> None:
    """A notice is about one announcement; new dates mean new notices."""
    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    outbox = Outbox()
    for retired in ("2026-04-01", "2026-06-01"):
        wren.announce("wren", announcement(retired), STEWARD)
        wren.notify("wren", outbox, STEWARD)
    assert len(outbox.messages) == 4


def test_a_round_cut_short_after_queuing_queues_nothing_twice(home: FeatureHome, wren: Lifecycle) -> None:
    """A message that reached the outbox before a crash is found there, and its notice is recorded without another."""

    class Crashing(Outbox):
        """Keeps the first message in the real outbox, then the process ends."""

        def queue(self, recipient: str, subject: str, body: str) -> str:
            if self.messages:
                raise KeyboardInterrupt
            with home.database.session() as session:
                row = Message(id="m", recipient=recipient, subject=subject, body=body, headers={}, created_at="")
                session.add(row)
            return super().queue(recipient, subject, body)

    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    wren.announce("wren", announcement(), STEWARD)
    cut = Crashing()
    with pytest.raises(KeyboardInterrupt):
        wren.notify("wren", cut, STEWARD)
    assert home.read(select(Notice)) == []
    outbox = Outbox()
    assert wren.notify("wren", outbox, STEWARD)["sent"] == 2
    told = {recipient for recipient, _, _ in (*cut.messages, *outbox.messages)}
    assert (len(outbox.messages), told) == (1, {"ann@example.org", "bo@example.org"})


def test_nobody_is_told_of_nothing(wren: Lifecycle) -> None:
    """Without an announcement there is nothing to send."""
    with pytest.raises(NotFound):
        wren.notify("wren", Outbox(), STEWARD)


def test_rebuilding_gives_the_same_rows(home: FeatureHome, wren: Lifecycle) -> None:
    """Every table of lifecycle comes back from ledger and private files as it was."""
    wren.set_policy("second_coder", "waived", STEWARD)
    wren.import_callers("wren", CALLERS, "csv", STEWARD)
    wren.announce("wren", announcement(), STEWARD)
    wren.notify("wren", Outbox(), STEWARD)
    before = _dump(home)
    home.acts.rebuild()
    assert _dump(home) == before
    assert home.read(select(Notice))


def _dump(home: FeatureHome) -> dict[str, list[tuple[object, ...]]]:
    with home.database.reading() as session:
        return {
            table.name: sorted(map(tuple, session.execute(select(table)).all()), key=str)
            for table in Base.metadata.sorted_tables
        }


def test_waits_are_overdue_by_the_clock(home: FeatureHome, wren: Lifecycle) -> None:
    """A wait becomes overdue the day after its date."""
    wren.announce("wren", announcement(), STEWARD)
    home.clock.pass_days(81)  # 2026-04-01
    assert [wait.overdue for wait in wren.waits()] == [False]
    home.clock.pass_days(1)
    assert [wait.overdue for wait in wren.waits("wren")] == [True]


def test_settings_name_the_notice_period(home: FeatureHome, settings: Settings) -> None:
    """The notice period is the setting's, and the announcement states it."""
    short = Lifecycle(home.acts, home.database, settings.model_copy(update={"notice_days": 7}))
    short.register(WREN, STEWARD)
    assert short.announce("wren", announcement("2026-01-17"), STEWARD).public["notice_days"] == 7
    with pytest.raises(InputError):
        short.announce("wren", announcement("2026-01-16"), STEWARD)
