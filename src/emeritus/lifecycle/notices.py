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


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """What the notice of one planned brown-out says beside the facts of the announcement. Moments are RFC 3339, UTC."""

    starts: str
    ends: str
    reason: str
    cancelled: str | None = None  # why it will not take place


def compose(facts: NoticeFacts, link: str = "", reminder: int = 0) -> tuple[str, str]:
    """Subject and plain-text body of a notice, or of its n-th reminder.

    `link` is the one caller's own address for saying that it has been read; nothing else in the text is personal.
    """
    again = "Reminder: " if reminder else ""
    subject = " ".join(f"{again}{facts.title} will be retired: {facts.retired}".split())
    lines = [
        f"{facts.organisation} will retire the model {facts.title} ({facts.name}).",
        "",
        f"Deprecated:  {facts.deprecated}",
        f"Retired:     {facts.retired}",
        f"Afterwards:  {ACCESS_WORDS.get(facts.access, facts.access)}",
        f"Reason:      {facts.reason}",
        f"Replacement: {facts.replacement or 'none is named'}",
        "",
        *_why(facts),
        "",
        *_asked(link, f"This is reminder {reminder}." if reminder else ""),
    ]
    return subject, "\n".join(lines) + "\n"


def compose_window(facts: NoticeFacts, window: WindowFacts, link: str = "") -> tuple[str, str]:
    """Subject and body of the notice that calls will fail for a while, or that they will not after all."""
    if window.cancelled is not None:
        subject = f"{facts.title}: the brown-out of {window.starts} is cancelled"
        said = [f"The window from {window.starts} to {window.ends} will not take place: {window.cancelled}"]
    else:
        subject = f"{facts.title} will not answer from {window.starts} to {window.ends}"
        said = [
            f"Calls to the model {facts.title} ({facts.name}) will fail on purpose:",
            "",
            f"From:    {window.starts}",
            f"Until:   {window.ends}",
            f"Reason:  {window.reason}",
            "",
            "They fail with status 503, the type `model_brown_out` and Retry-After, so that whatever",
            f"still depends on the model is found before it is retired ({facts.retired}).",
            f"Replacement: {facts.replacement or 'none is named'}.",
        ]
    return " ".join(subject.split()), "\n".join([*said, "", *_why(facts), "", *_asked(link, "")]) + "\n"


def _why(facts: NoticeFacts) -> list[str]:
    lines = [
        "You receive this because you are on the list of those who call this model.",
        "Requests to it go on being answered until the date of retirement.",
    ]
    return [*lines, "", f"All dates, and every later change of them: {facts.address}"] if facts.address else lines


def _asked(link: str, before: str) -> list[str]:
    lines = [before] if before else []
    if link:
        return [*lines, "Please say that you have read this, once; no reminder follows then:", link]
    return [*lines, "Please answer that you have read this; no reminder follows then."]
