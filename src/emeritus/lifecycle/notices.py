"""What a caller is told: the text of a notice, and the one thing asked of whatever sends it. Pure.

Knows no table and no mail server; `service.py` decides who is owed a notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

ACCESS_WORDS: Mapping[str, str] = {
    "open": "it stays open to everyone who may call it today",
    "entitled": "it stays open to those who are entitled to it",
    "by request": "it can be requested",
    "none": "it cannot be called",
}


class Mailer(Protocol):
    """Takes messages to be sent. A message taken is kept until a mail server accepts it."""

    def queue(self, recipient: str, subject: str, body: str) -> str:
        """Keep one plain-text message for sending; its id. Raises MailFailed when it cannot even be kept."""


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """What every notice of one announcement says. Dates are texts as precise as they were announced."""

    organisation: str
    name: str
    title: str
    deprecated: str
    retired: str
    access: str
    reason: str
    replacement: str | None
    address: str  # the resident's page; empty when the site has no public address


def compose(facts: NoticeFacts) -> tuple[str, str]:
    """Subject and plain-text body; the same for every caller, and without anything personal."""
    subject = " ".join(f"{facts.title} will be retired: {facts.retired}".split())
    lines = [
        f"{facts.organisation} will retire the model {facts.title} ({facts.name}).",
        "",
        f"Deprecated:  {facts.deprecated}",
        f"Retired:     {facts.retired}",
        f"Afterwards:  {ACCESS_WORDS.get(facts.access, facts.access)}",
        f"Reason:      {facts.reason}",
        f"Replacement: {facts.replacement or 'none is named'}",
        "",
        "You receive this because you are on the list of those who call this model.",
        "Requests to it go on being answered until the date of retirement.",
    ]
    if facts.address:
        lines += ["", f"All dates, and every later change of them: {facts.address}"]
    return subject, "\n".join(lines) + "\n"
