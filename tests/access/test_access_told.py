"""Mail to applicants: each step and each end told once, by a real mail server, and nothing that opens anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from access_house import STEWARD, Clock
from aiosmtpd.controller import Controller
from sqlalchemy import select

from emeritus.access.requests.service import Application, Requests
from emeritus.access.requests.telling import LATELY, Telling
from emeritus.access.service import Access
from emeritus.acts import Actor, Acts
from emeritus.mail.outbox import Outbox
from emeritus.records.database import Database
from emeritus.records.tables import AccessRequest, Message
from emeritus.settings import Settings

EVE = "eve@home.example"
MUCH = Application("Eve", "interpretability of answers", EVE, 5000, "eve")
LITTLE = Application("Eve", "a comparison", EVE, 20)


class Mailbox:
    """A mail server that takes everything."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        """Take a message."""
        self.taken.append(envelope.content)
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A server on loopback, and its address."""
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"smtp://127.0.0.1:{port}"
    controller.stop()


@pytest.fixture
def settings(tmp_path: Path, mailbox: tuple[Mailbox, str]) -> Settings:
    """A house with an address and a mail server."""
    return Settings(home=tmp_path, smtp_url=mailbox[1], mail_from="house@example.net", base_url="https://house.example")


@pytest.fixture
def requests(acts: Acts, access: Access, database: Database, settings: Settings, clock: Clock) -> Requests:
    """Requests in a home where a decline takes two."""
    return Requests(acts, database, access, settings, clock)


@pytest.fixture
def telling(database: Database, settings: Settings, clock: Clock) -> Telling:
    """What tells applicants."""
    return Telling(database, Outbox(database, settings), settings, clock)


async def delivered(telling: Telling, mailbox: tuple[Mailbox, str]) -> list[tuple[str, str]]:
    """What the server has taken since the last time: (subject, body)."""
    telling.tell()
    assert telling.tell() == 0
    await telling._outbox.deliver()
    box = mailbox[0]
    found = [message_from_bytes(each, policy=policy.default) for each in box.taken]
    box.taken.clear()
    assert all(message["To"] == EVE for message in found)
    return [(message["Subject"], message.get_content()) for message in found]


async def test_every_step_is_told_once(
    requests: Requests, telling: Telling, mailbox: tuple[Mailbox, str], access: Access, database: Database, clock: Clock
) -> None:
    """Review with its deadline, a question, a decline with code and words, the appeal, the grant, and its end."""

    async def only() -> tuple[str, str]:
        (one,) = await delivered(telling, mailbox)
        clock.move(hours=1)
        return one

    made = requests.submit("ibis", MUCH)
    subject, body = await only()
    assert subject == "Your request for ibis: in review"
    assert "A person decides by 2027-03-08." in body
    assert f"https://house.example/access/requests/{made.id}" in body
    assert made.secret not in body
    requests.ask(made.id, "For how long?", STEWARD)
    subject, body = await only()
    assert subject.endswith(": a question")
    assert "For how long?" in body
    requests.answer(made.id, "A month.")
    assert await delivered(telling, mailbox) == []
    requests.decline(made.id, "capacity", "It is a small machine.", STEWARD)
    assert await delivered(telling, mailbox) == []  # one of two proposes: nothing is decided
    requests.decline(made.id, "capacity", "It is a small machine.", Actor("ben"))
    subject, body = await only()
    assert subject.endswith(": declined")
    assert "(capacity)" in body
    assert "It is a small machine." in body
    assert "appeal" in body
    requests.appeal(made.id, "At night then.")
    assert "Someone who did not decline it decides by 2027-03-08." in (await only())[1]
    requests.grant(made.id, Actor("caro"), 900)
    subject, body = await only()
    assert subject.endswith(": granted")
    assert "900 requests a day, until 2027-08-28" in body
    clock.move(days=160)
    subject, body = await only()
    assert subject.endswith(": about to end")
    assert "2027-08-28" in body
    requests.renew(made.id)
    assert await delivered(telling, mailbox) == []
    with database.reading() as session:
        grant = session.scalars(select(AccessRequest.grant)).one()
    access.revoke(grant, "The key was published.", STEWARD)
    subject, body = await only()
    assert subject.endswith(": revoked")
    assert "The key was published." in body
    clock.move(days=LATELY.days + 1)
    assert await delivered(telling, mailbox) == []


async def test_who_cannot_be_told_is_not_and_who_is_erased_is_forgotten(
    requests: Requests, telling: Telling, mailbox: tuple[Mailbox, str], database: Database
) -> None:
    """A contact that is no mail address gets none; a secret link is in no mail; erasing takes mail along."""
    requests.submit("ibis", Application("Ann", "a study", "the second door on the left", 20))
    requests.submit("ibis", Application("Bob", "a study", "", 20))
    assert await delivered(telling, mailbox) == []
    made = requests.submit("heron", LITTLE)
    ((subject, body),) = await delivered(telling, mailbox)
    assert subject == "Your request for heron: granted"
    assert "20 requests a day" in body
    assert "the link that you were given" in body
    assert made.secret not in body
    requests.erase(made.id)
    with database.reading() as session:
        assert session.scalars(select(Message)).all() == []
    assert await delivered(telling, mailbox) == []
