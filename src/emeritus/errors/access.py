"""Errors 6xx: who may call."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


class AccessError(EmeritusError):
    """The caller may not do this."""

    code, title = "EM600", "Access refused"
    default_remedy = "Ask the steward for a grant."


class BadKey(AccessError):
    """The API key is missing, malformed, unknown or revoked."""

    code, title = "EM601", "Wrong API key"
    default_remedy = "Send `Authorization: Bearer <key>` with a key from `emeritus access key`."


class NotEntitled(AccessError):
    """The key is good but carries no right to call this resident."""

    code, title = "EM602", "No grant for this resident"
    default_remedy = "Ask the steward for a grant: `emeritus access grant NAME --to WHO` gives one."


class QuotaExceeded(AccessError):
    """The grant's limit is used up for now."""

    code, title = "EM603", "Quota exceeded"
    default_remedy = "Wait for the time in Retry-After, or ask for a larger grant."


class OutsideHours(AccessError):
    """The resident answers in published visiting hours, and these are not running."""

    code, title = "EM605", "Outside visiting hours"
    default_remedy = "Call again in the visiting hours; the message and the resident's page give them."


class BadSignIn(AccessError):
    """The name, the password or the set-up token is wrong, or the account is disabled."""

    code, title = "EM604", "Sign-in refused"
    default_remedy = "Check the name and the password; a steward can issue a new set-up token."


class SignInUnavailable(AccessError):
    """The provider that people sign in at does not answer, or not as it should."""

    code, title = "EM609", "The sign-in provider does not answer"
    default_remedy = "Try again in a moment; local accounts sign in with their password all the same."


class NotYourRole(AccessError):
    """The person signed in has another role than the page or the act is for."""

    code, title = "EM606", "Not open to this role"
    default_remedy = "Ask a steward, who can do it or change the role: `emeritus people role NAME ROLE`."


class ForgedForm(AccessError):
    """A form was sent that no page of this site gave to this browser."""

    code, title = "EM607", "Form not accepted"
    default_remedy = "Open the page again, allow its cookie, and send the form from there."


class TooManyTries(AccessError):
    """Too many tries in a short time."""

    code, title = "EM608", "Too many tries"
    default_remedy = "Wait a quarter of an hour, then try again."
