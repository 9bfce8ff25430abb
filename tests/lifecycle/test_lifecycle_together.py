"""Several programs at once: what one of them did, the others find."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement, Lifecycle
from emeritus.records.tables import ActRow
from feature_home import STEWARD, FeatureHome

CALLERS = b"contact,label,requests,last_used\nann@example.org,,,\nbo@example.org,,,\n"
ANNOUNCED = Announcement(parse_when("2026-01-10"), parse_when("2026-04-01"), "Little used.")
PROGRAMS = 4


class SlowOutbox:
    """A mailer that takes its time, so that whoever looks meanwhile sees nothing sent yet."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    def queue(self, recipient: str, subject: str, body: str) -> str:
        """Keep one message, slowly."""
        time.sleep(0.05)
        self.recipients.append(recipient)
        return str(len(self.recipients))


def test_announcing_at_once_is_one_announcement_and_one_message_each(home: FeatureHome, lifecycle: Lifecycle) -> None:
    """Nobody is told twice, however many ask at the same moment."""
    lifecycle.register(Registration("wren"), STEWARD)
    lifecycle.import_callers("wren", CALLERS, "proxy", STEWARD)
    mailer, together = SlowOutbox(), threading.Barrier(PROGRAMS)

    def program() -> tuple[str, object]:
        together.wait()
        announced = lifecycle.announce("wren", ANNOUNCED, STEWARD).id
        together.wait()
        told = lifecycle.notify("wren", mailer, STEWARD)["sent"]
        together.wait()
        report = lifecycle.write_report("wren", STEWARD).id
        return f"{announced} {report}", told

    with ThreadPoolExecutor(PROGRAMS) as threads:
        said = {each.result() for each in [threads.submit(program) for _ in range(PROGRAMS)]}
    assert len(said) == 1
    assert {told for _, told in said} == {2}
    assert sorted(mailer.recipients) == ["ann@example.org", "bo@example.org"]
    kinds = [row.kind for row in home.read(select(ActRow))]
    assert [kinds.count(each) for each in ("lifecycle.announced", "notices.sent", "report.written")] == [1, 1, 1]
