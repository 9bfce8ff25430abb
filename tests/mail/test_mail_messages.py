"""Messages and server addresses: what can be sent, and what must not be."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from emeritus.errors import BadSettings, MailFailed
from emeritus.mail.messages import Letter, build, unsubscribe
from emeritus.mail.server import Server, parse_server

WHEN = datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_a_message_is_what_was_written() -> None:
    """Text beyond ASCII and long lines arrive as they were; the id and date are the row's."""
    body = "Grüße, 世界\n" + "x" * 2000 + "\n.\n"
    letter = Letter("ana@example.org", "Ibis – wird verabschiedet", body, unsubscribe("https://house.example/u/1"))
    read = message_from_bytes(build(letter, "house@example.net", "abc", WHEN).as_bytes(), policy=default)
    assert read["To"] == "ana@example.org"
    assert read["Subject"] == letter.subject
    assert read["Message-ID"] == "<abc@example.net>"
    assert read["Date"].datetime == WHEN
    assert read["List-Unsubscribe"] == "<https://house.example/u/1>"
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read.get_content().replace("\r\n", "\n") == body


@pytest.mark.parametrize(
    "letter",
    [
        Letter("", "s", "b"),
        Letter("ana", "s", "b"),
        Letter("ana@", "s", "b"),
        Letter("ana@example.org, ben@example.org", "s", "b"),
        Letter("Ana <ana@example.org>", "s", "b"),
        Letter("ana@example.org\r\nBcc: all@example.org", "s", "b"),
        Letter("ana@example.org", "", "b"),
        Letter("ana@example.org", "s\nBcc: all@example.org", "b"),
        Letter("ana@example.org", "s\r\n\r\nbody", "b"),
        Letter("ana@example.org", "s", "b", {"X-A": "1\r\nBcc: all@example.org"}),
        Letter("ana@example.org", "s", "b", {"X-A: 1\r\nBcc": "all@example.org"}),
        Letter("ana@example.org", "s", "b", {"to": "all@example.org"}),
        Letter("ana@example.org", "s", "b\udc80"),
    ],
    ids=range(13),
)
def test_what_no_message_can_be_made_of(letter: Letter) -> None:
    """No address, several, or a header smuggled into a field: refused with MailFailed."""
    with pytest.raises(MailFailed):
        build(letter, "house@example.net", "abc", WHEN)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", Server("mail.example", 587, False)),
        ("smtps://mail.example", Server("mail.example", 465, True)),
        ("smtp://u%40x:p%2Fw@mail.example:25/", Server("mail.example", 25, False, "u@x", "p/w")),
        ("smtp://[::1]:2525", Server("::1", 2525, False)),
    ],
)
def test_server_addresses(url: str, server: Server) -> None:
    """Host, port, encryption and credentials are read from one address; the password is never printed."""
    assert parse_server(url) == server
    assert server.password is None or server.password not in repr(server)


@pytest.mark.parametrize(
    "url",
    ["mail.example", "http://mail.example", "smtp://", "smtp://h:x", "smtp://h:99999", "smtp://u@h", "smtp://h?tls=0"],
)
def test_unreadable_server_addresses(url: str) -> None:
    """What names no server is a setting's error."""
    with pytest.raises(BadSettings):
        parse_server(url)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("h.example", False)]
)
def test_this_machine(host: str, local: bool) -> None:
    """Only loopback counts as this machine."""
    assert Server(host, 25, False).is_local is local
