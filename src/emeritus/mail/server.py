"""The mail server a setting names, and one connection to it. Knows SMTP and no table.

TLS from the first byte with smtps://; with smtp:// STARTTLS whenever the server offers it, and no password ever
travels unencrypted except to this machine itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from emeritus.errors import BadSettings, MailFailed

if TYPE_CHECKING:
    from aiosmtplib import SMTP

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where messages go."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"  # never the password

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_server(url: str) -> Server:
    """`smtp://` (port 587) or `smtps://` (port 465), `user:password@` percent-encoded. Raises BadSettings."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadSettings("smtp_url cannot be read", setting="smtp_url") from error
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise BadSettings("smtp_url is not smtp://user:password@host:port", setting="smtp_url")
    tls = parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if (user is None) != (password is None):
        raise BadSettings("smtp_url has a user or a password but not both", setting="smtp_url")
    return Server(parts.hostname, port or (465 if tls else 587), tls, user, password)


@asynccontextmanager
async def connected(server: Server, timeout_s: float = TIMEOUT_S) -> AsyncIterator[SMTP]:
    """A connection, encrypted where the server can and signed in where the settings say so. Raises MailFailed."""
    import aiosmtplib

    client = aiosmtplib.SMTP(hostname=server.host, port=server.port, use_tls=server.tls, timeout=timeout_s)
    try:
        try:
            await client.connect()
            if server.user is not None and server.password is not None:
                if client.get_transport_info("sslcontext") is None and not server.is_local:
                    raise MailFailed(
                        f"{server.host} offers no encryption, so the password was not sent",
                        remedy="Use smtps://, or a server that offers STARTTLS.",
                    )
                await client.login(server.user, server.password)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailFailed(f"the mail server {server.host}:{server.port} cannot be used: {error}") from error
        yield client
    finally:
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
        client.close()
