"""What people are told when a model does not answer them: plain words for every reason code, and what they can do.

Knows no request and no page.
"""

from __future__ import annotations

from dataclasses import dataclass

from emeritus.errors import AccessError, BrownedOut, Busy, EmeritusError

PLAIN = {  # reason code of the access policy -> what it means for someone on this page, and what they can do
    "key-missing": ("This model answers people who are signed in.", "Sign in, or ask for access."),
    "not-a-member": (
        "Your account has no plan and no grant that includes this model.",
        "Ask for access to it.",
    ),
    "member-ended": ("Your membership of the plan that includes this model has ended.", "Ask for access to it."),
    "plan-closed": ("The plan that included this model for you has been closed.", "Ask for access to it."),
    "grant-revoked": ("Your access to this model has been revoked.", "Its page says how to ask."),
    "grant-expired": ("Your access to this model has run out.", "Renew it, or ask for access again."),
    "grant-elsewhere": ("Your plan does not include this model.", "Ask for access to it."),
    "grant-not-by-name": ("This model is called by request, and your plan does not name it.", "Ask for access to it."),
    "access-none": ("This model is kept and answers nobody.", "Its page says what is planned."),
    "tier-not-live": ("This model is kept and answers no conversations now.", "Its page says what is planned."),
    "outside-hours": ("This model answers in its visiting hours, and they are not now.", "Come back then."),
    "rate": ("Your plan's requests for this minute are used up.", "Wait a minute, then send it again."),
    "quota": ("Your plan's requests for today (UTC) are used up.", "Come back after midnight UTC."),
    "tokens-day": ("Your plan's tokens for today (UTC) are used up.", "Come back after midnight UTC."),
    "tokens-month": ("Your plan's tokens for this month (UTC) are used up.", "Come back next month."),
}
ASK = frozenset(
    {
        "key-missing",
        "not-a-member",
        "member-ended",
        "plan-closed",
        "grant-expired",
        "grant-elsewhere",
        "grant-not-by-name",
    }
)  # where asking for access helps


@dataclass(frozen=True, slots=True)
class Told:
    """An error in plain words. `code`: the reason's, or the error's own."""

    code: str
    says: str
    remedy: str
    ask: bool = False

    def as_dict(self) -> dict[str, str | bool]:
        """As the page's script reads it."""
        return {"code": self.code, "says": self.says, "remedy": self.remedy, "ask": self.ask}


def reason(code: str, otherwise: str = "") -> Told:
    """A reason of the access policy."""
    says, remedy = PLAIN.get(code, (otherwise or "This model cannot be called now.", ""))
    return Told(code, says, remedy, code in ASK)


def plain(error: EmeritusError, told: str) -> Told:
    """An error for whoever asked; `told` is what may be said of it."""
    code = error.facts.get("reason_code")
    if isinstance(error, AccessError) and isinstance(code, str):
        return reason(code, _sentence(told))
    if isinstance(error, Busy | BrownedOut):
        return Told(error.code, _sentence(told), error.remedy)
    return Told(error.code, _sentence(told), error.remedy if told == error.message else "Try again in a moment.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
