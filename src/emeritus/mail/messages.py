"""One plain-text message as RFC 5322 has it, built with the standard library. Knows no server and no table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from emeritus.errors import MailFailed

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be said to whom. `headers` are added as they are, such as List-Unsubscribe (see `unsubscribe`)."""

    recipient: str
    subject: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


def unsubscribe(address: str) -> dict[str, str]:
    """The headers by which a reader's mail program unsubscribes with one click (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{address}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def build(letter: Letter, sender: str, message_id: str, date: datetime) -> EmailMessage:
    """The message. The same `message_id` on every try lets a mailbox recognise a repeat. Raises MailFailed."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(addr_spec=_clean(sender, "sender"))
        message["To"] = Address(addr_spec=_clean(letter.recipient, "recipient"))
        message["Subject"] = _clean(letter.subject, "subject")
        message["Date"] = format_datetime(date)
        message["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps out-of-office replies away
        for name, value in letter.headers.items():
            if not _HEADER_NAME.fullmatch(name) or name in message:
                raise MailFailed(f"the header {name[:64]!r} cannot be set", remedy="Leave the header out.")
            message[name] = _clean(value, name)
        message.set_content(letter.body, charset="utf-8")
        message.as_bytes()
    except (ValueError, HeaderParseError, UnicodeError, IndexError) as error:
        raise MailFailed(f"no message can be made of this: {error}", remedy="Correct the address or text.") from error
    return message


def is_address(text: str) -> bool:
    """Whether a text could be an e-mail address: one '@' between two parts, and nothing that could end a mail header.

    Real checking is the mail server's.
    """
    local, _, domain = text.rpartition("@")
    return (
        bool(local and domain) and "@" not in local and all(char.isprintable() and char not in " ,;<>" for char in text)
    )


def _clean(text: str, what: str) -> str:
    """The text of a header, refused when it could begin another header."""
    if not text.strip() or _CONTROL.search(text):
        raise MailFailed(f"the {what} is empty or holds a control character", remedy=f"Correct the {what}.")
    return text
