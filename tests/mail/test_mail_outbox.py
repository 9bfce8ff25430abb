"""The outbox against a real SMTP server on loopback, on both databases."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as Protocol
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from emeritus.errors import BadSettings, DatabaseUnavailable, MailFailed
from emeritus.mail.outbox import Outbox
from emeritus.mail.server import Server
from emeritus.records.database import Database
from emeritus.records.tables import Message
from emeritus.settings import Settings


class Mailbox:
    """A mail server's side: takes messages, except to whom it refuses."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refused: set[str] = set()
        self.hang_up = False

    async def handle_RCPT(
        self, server: Protocol, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse whom we refuse."""
        if self.hang_up:
            server.transport.close()
        if address in self.refused:
            return "550 5.1.1 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Protocol, session: Session, envelope: Envelope) -> str:
        """Keep the message."""
        self.taken.append(envelope)
        return "250 OK"


Serve = Callable[..., int]


@pytest.fixture
def mailbox() -> Mailbox:
    """What the server took."""
    return Mailbox()


@pytest.fixture
def serve(mailbox: Mailbox) -> Iterator[Serve]:
    """Start a server with aiosmtpd's own options; its port."""
    running: list[Controller] = []

    def start(**options: object) -> int:
        controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        running.append(controller)
        return int(controller.port)

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def outbox(database: Database, tmp_path: Path) -> Callable[[str], Outbox]:
    """An outbox for a server's address."""
    return lambda url: Outbox(database, Settings(home=tmp_path, smtp_url=url, mail_from="house@example.net"))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows(database: Database) -> dict[str, Message]:
    """Every row by recipient."""
    with database.session() as session:
        return {row.recipient: row for row in session.scalars(select(Message))}


async def test_messages_reach_the_server_once(
    database: Database, outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox
) -> None:
    """Queued messages arrive with their text and headers, are marked sent, and are not sent again."""
    box = outbox(f"smtp://127.0.0.1:{serve()}")
    assert box.folder is None
    first = box.queue("ana@example.org", "Abschied – Ibis", "Grüße\n", {"List-Unsubscribe": "<https://x.example>"})
    second = box.queue("ben@example.org", "s", "b")
    done = await box.deliver()
    assert set(done.sent) == {first, second}
    assert done.failed == {}
    messages = {
        envelope.rcpt_tos[0]: message_from_bytes(envelope.content, policy=default) for envelope in mailbox.taken
    }
    assert messages["ana@example.org"]["Subject"] == "Abschied – Ibis"
    assert messages["ana@example.org"]["List-Unsubscribe"] == "<https://x.example>"
    assert messages["ana@example.org"]["From"] == "house@example.net"
    assert messages["ana@example.org"].get_content().strip() == "Grüße"
    assert all(row.sent_at and row.attempts == 1 and row.last_error is None for row in rows(database).values())
    assert (await box.deliver()).sent == []
    assert len(mailbox.taken) == 2


async def test_deliveries_that_wait_for_their_turn_take_no_thread(
    database: Database, outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox
) -> None:
    """With one thread in the pool eight deliveries at once all end: whose turn it is finds the thread free."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    box = outbox(f"smtp://127.0.0.1:{serve()}")
    box.queue("ana@example.org", "s", "b")
    done = await asyncio.wait_for(asyncio.gather(*(box.deliver() for _ in range(8))), 30)
    assert sum(len(each.sent) for each in done) == len(mailbox.taken) == 1


async def test_one_refused_recipient_keeps_nobody_else_waiting(
    database: Database, outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox
) -> None:
    """A refusal stays in the outbox with its reason, and is tried again until it is taken."""
    mailbox.refused = {"ana@example.org"}
    box = outbox(f"smtp://127.0.0.1:{serve()}")
    refused, other = box.queue("ana@example.org", "s", "b"), box.queue("ben@example.org", "s", "b")
    done = await box.deliver()
    assert done.sent == [other]
    assert "nobody here" in done.failed[refused].message
    row = rows(database)["ana@example.org"]
    assert (row.sent_at, row.attempts) == (None, 1)
    assert "nobody here" in row.last_error
    mailbox.refused = set()
    assert (await box.deliver()).sent == [refused]
    row = rows(database)["ana@example.org"]
    assert (row.attempts, row.last_error) == (2, None)


async def test_a_server_that_is_not_there(database: Database, outbox: Callable[[str], Outbox]) -> None:
    """Nothing is lost: each message keeps why it was not taken."""
    box = outbox(f"smtp://127.0.0.1:{free_port()}")
    waiting = {box.queue("ana@example.org", "s", "b"), box.queue("ben@example.org", "s", "b")}
    done = await box.deliver()
    assert set(done.failed) == waiting
    assert all(isinstance(error, MailFailed) for error in done.failed.values())
    assert [(row.sent_at, row.attempts) for row in rows(database).values()] == [(None, 1)] * 2


async def test_a_server_that_hangs_up(
    database: Database, outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox
) -> None:
    """A connection lost in the middle fails what is left, and the next delivery sends it."""
    mailbox.hang_up = True
    box = outbox(f"smtp://127.0.0.1:{serve()}")
    waiting = {box.queue("ana@example.org", "s", "b"), box.queue("ben@example.org", "s", "b")}
    assert set((await box.deliver()).failed) == waiting
    mailbox.hang_up = False
    assert set((await box.deliver()).sent) == waiting


def sign_in(server: Protocol, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    """Take one password."""
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"house", b"s3cret/word")
    return AuthResult(success=right, handled=False)  # not handled: aiosmtpd itself answers 235 or 535


@pytest.mark.parametrize(("password", "taken"), [("s3cret%2Fword", True), ("wrong", False)])
async def test_signing_in(
    outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox, password: str, taken: bool
) -> None:
    """The password of the setting is used, and a wrong one is a clear failure that does not print it."""
    port = serve(authenticator=sign_in, auth_require_tls=False)
    box = outbox(f"smtp://house:{password}@127.0.0.1:{port}")
    message = box.queue("ana@example.org", "s", "b")
    done = await box.deliver()
    assert (message in done.sent) == bool(mailbox.taken) == taken
    if not taken:
        assert "535" in done.failed[message].message
        assert password not in done.failed[message].message


async def test_no_password_leaves_this_machine_unencrypted(
    outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server elsewhere that offers no encryption never sees the password."""
    tried = []

    def watch(*arguments: object) -> AuthResult:
        tried.append(arguments)
        return AuthResult(success=True)

    port = serve(authenticator=watch, auth_require_tls=False)
    monkeypatch.setattr(Server, "is_local", property(lambda _: False))
    box = outbox(f"smtp://house:word@127.0.0.1:{port}")
    message = box.queue("ana@example.org", "s", "b")
    assert "no encryption" in (await box.deliver()).failed[message].message
    assert tried == []


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS context whose certificate this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


async def test_starttls_is_used_where_offered(
    outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox, certificate: ssl.SSLContext
) -> None:
    """A server that demands STARTTLS before a password gets both."""
    port = serve(tls_context=certificate, require_starttls=True, authenticator=sign_in, auth_required=True)
    box = outbox(f"smtp://house:s3cret%2Fword@localhost:{port}")
    message = box.queue("ana@example.org", "s", "b")
    assert (await box.deliver()).sent == [message]
    assert len(mailbox.taken) == 1


async def test_a_certificate_nobody_vouches_for(
    outbox: Callable[[str], Outbox],
    serve: Serve,
    mailbox: Mailbox,
    certificate: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Encryption with a stranger is refused."""
    monkeypatch.delenv("SSL_CERT_FILE")
    box = outbox(f"smtp://localhost:{serve(tls_context=certificate)}")
    message = box.queue("ana@example.org", "s", "b")
    assert list((await box.deliver()).failed) == [message]
    assert mailbox.taken == []


async def test_without_a_server_messages_become_files(
    database: Database, outbox: Callable[[str], Outbox], tmp_path: Path
) -> None:
    """Each message is a readable .eml in home/outbox, marked sent; nothing half-written lies beside it."""
    box = outbox("")
    message = box.queue("ana@example.org", "Grüße", "Text\n")
    assert (await box.deliver()).sent == [message]
    assert box.folder == tmp_path / "outbox"
    assert [path.name for path in box.folder.iterdir()] == [f"{message}.eml"]
    read = message_from_bytes((box.folder / f"{message}.eml").read_bytes(), policy=default)
    assert (read["Subject"], read.get_content().strip()) == ("Grüße", "Text")
    assert (await box.deliver()).sent == []


async def test_a_folder_that_cannot_be_written(
    database: Database, outbox: Callable[[str], Outbox], tmp_path: Path
) -> None:
    """A message that cannot become a file stays in the outbox."""
    (tmp_path / "outbox").write_text("in the way")
    box = outbox("")
    message = box.queue("ana@example.org", "s", "b")
    assert list((await box.deliver()).failed) == [message]
    (tmp_path / "outbox").unlink()
    assert (await box.deliver()).sent == [message]


async def test_a_crash_before_the_note_repeats_the_same_message(
    outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server took but no row says is sent again, recognisable by its Message-ID."""
    box = outbox(f"smtp://127.0.0.1:{serve()}")
    box.queue("ana@example.org", "s", "b")

    def crash(*_: object) -> None:
        raise DatabaseUnavailable("gone")

    with monkeypatch.context() as crashing:
        crashing.setattr(Outbox, "_note", crash)
        with pytest.raises(DatabaseUnavailable):
            await box.deliver()
    await box.deliver()
    identities = [message_from_bytes(envelope.content)["Message-ID"] for envelope in mailbox.taken]
    assert len(identities) == 2
    assert len(set(identities)) == 1


async def test_deliveries_take_turns(outbox: Callable[[str], Outbox], serve: Serve, mailbox: Mailbox) -> None:
    """Two deliveries at once, as of two processes of one home, send each message once."""
    url = f"smtp://127.0.0.1:{serve()}"
    first, second = outbox(url), outbox(url)
    for number in range(5):
        first.queue(f"reader{number}@example.org", "s", "b")
    both = await asyncio.gather(first.deliver(), second.deliver())
    assert len(mailbox.taken) == 5
    assert sum(len(done.sent) for done in both) == 5


def test_an_unusable_message_is_not_queued(database: Database, outbox: Callable[[str], Outbox]) -> None:
    """What could never be sent is refused at once."""
    with pytest.raises(MailFailed):
        outbox("").queue("not an address", "s", "b")
    assert rows(database) == {}


async def test_an_unreadable_server_address(database: Database, outbox: Callable[[str], Outbox]) -> None:
    """A setting that names no server is said so, and the message stays."""
    box = outbox("mail.example:25")
    box.queue("ana@example.org", "s", "b")
    with pytest.raises(BadSettings):
        await box.deliver()
    assert rows(database)["ana@example.org"].attempts == 0
