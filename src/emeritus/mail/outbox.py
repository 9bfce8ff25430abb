"""The outbox: every message is a row before it is tried, and stays one until a server has taken it.

Where no mail server is set, delivering writes the message as a file instead. A server may take a message and the
process end before the row says so; it is then sent again under the same Message-ID. Deliveries on one machine take
turns; on several machines two at once may both send a message, again under one id.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from emeritus.errors import MailFailed
from emeritus.mail.messages import Letter, build
from emeritus.mail.server import connected, parse_server
from emeritus.records.database import Database
from emeritus.records.tables import Message
from emeritus.records.upsert import insert_for
from emeritus.settings import Settings

if TYPE_CHECKING:
    from aiosmtplib import SMTP


TURN_S = 0.05  # between two looks whether it is this delivery's turn


@dataclass(slots=True)
class Delivery:
    """What a delivery did: ids taken, and ids that stay with the reason."""

    sent: list[str] = field(default_factory=list)
    failed: dict[str, MailFailed] = field(default_factory=dict)


class Outbox:
    """Messages on their way out."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._url = settings.smtp_url.get_secret_value()
        self._sender = settings.mail_from
        self._folder = settings.home / "outbox"
        self._lock = settings.home / "outbox.lock"

    @property
    def folder(self) -> Path | None:
        """Where delivered messages lie as files; None when a mail server takes them."""
        return None if self._url else self._folder

    def queue(self, recipient: str, subject: str, body: str, headers: Mapping[str, str] | None = None) -> str:
        """Keep one plain-text message for sending; its id. Raises MailFailed when no message can be made of it."""
        message_id = secrets.token_hex(16)
        self._keep(message_id, Letter(recipient, subject, body, dict(headers or {})))
        return message_id

    def queue_once(self, about: str, recipient: str, subject: str, body: str) -> bool:
        """The same, unless a message `about` that was kept before; whether it was not. Safe to repeat."""
        return self._keep(hashlib.sha256(about.encode()).hexdigest()[:32], Letter(recipient, subject, body))

    def _keep(self, message_id: str, letter: Letter) -> bool:
        now = _now()
        build(letter, self._sender, message_id, now)
        with self._database.session() as session:
            kept = insert_for(session, Message).values(
                id=message_id,
                recipient=letter.recipient,
                subject=letter.subject,
                body=letter.body,
                headers=dict(letter.headers),
                created_at=_stamp(now),
                sent_at=None,
                attempts=0,
                last_error=None,
            )
            return session.scalar(kept.on_conflict_do_nothing().returning(Message.id)) is not None

    async def deliver(self) -> Delivery:
        """Try every message that waits, oldest first. Never raises MailFailed: what failed is kept and reported.

        Raises BadSettings when the server's address cannot be read.
        """
        done = Delivery()
        async with self._my_turn():
            waiting = await asyncio.to_thread(self._waiting)
            if not self._url:
                await self._write_files(waiting, done)
            elif waiting:
                await self._send_all(waiting, done)
        return done

    async def _send_all(self, waiting: list[Message], done: Delivery) -> None:
        """Over one connection; what it could not try fails as the connection did."""
        server = parse_server(self._url)
        rest = list(waiting)
        try:
            async with connected(server) as client:
                while rest:
                    await self._send(client, rest[0], done)
                    rest.pop(0)
        except MailFailed as error:
            for row in rest:
                await self._failed(row, error, done)

    async def _send(self, client: SMTP, row: Message, done: Delivery) -> None:
        """One message. Raises MailFailed when the connection is lost; a refusal of this message alone is noted."""
        import aiosmtplib

        try:
            await client.send_message(self._message(row))
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError) as error:
            raise MailFailed(f"the mail server went away: {error}") from error
        except MailFailed as error:
            await self._failed(row, error, done)
        except (aiosmtplib.SMTPException, ValueError) as error:
            await self._failed(row, MailFailed(f"the mail server refused the message: {error}"), done)
        else:
            await asyncio.to_thread(self._note, row.id, None)
            done.sent.append(row.id)

    async def _write_files(self, waiting: list[Message], done: Delivery) -> None:
        for row in waiting:
            try:
                message = self._message(row)
                await asyncio.to_thread(write_message, self._folder / f"{row.id}.eml", message)
            except OSError as error:
                await self._failed(row, MailFailed(f"the message could not be written: {error}"), done)
            except MailFailed as error:
                await self._failed(row, error, done)
            else:
                await asyncio.to_thread(self._note, row.id, None)
                done.sent.append(row.id)

    async def _failed(self, row: Message, error: MailFailed, done: Delivery) -> None:
        await asyncio.to_thread(self._note, row.id, error.message)
        done.failed[row.id] = error

    def _message(self, row: Message) -> EmailMessage:
        letter = Letter(row.recipient, row.subject, row.body, row.headers)
        return build(letter, self._sender, row.id, datetime.fromisoformat(row.created_at))

    def _waiting(self) -> list[Message]:
        with self._database.reading() as session:
            return list(
                session.scalars(
                    select(Message).where(Message.sent_at.is_(None)).order_by(Message.created_at, Message.id)
                )
            )

    def _note(self, message_id: str, error: str | None) -> None:
        """That a message was tried: taken when there is no error."""
        tried = {"attempts": Message.attempts + 1, "last_error": error}
        taken = {"sent_at": _stamp(_now())} if error is None else {}
        with self._database.session() as session:
            session.execute(update(Message).where(Message.id == message_id).values(**tried, **taken))

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """Be the only delivery of this home on this machine.

        Waits without a thread: deliveries that waited in the pool's threads could fill it, and the one whose turn it is
        needs a thread to read and note what it sends.
        """
        with _open_lock(self._lock) as fd:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(TURN_S)
            yield


def write_message(path: Path, message: EmailMessage) -> None:
    """Write a message as a file, durable and whole, taking the place of an earlier try. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(message.as_bytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):  # the second holds the name of a folder just made
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    """A lock file's descriptor; closing it lets go of the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
