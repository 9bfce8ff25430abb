"""Errors 7xx: what Emeritus stands on."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


class PlatformError(EmeritusError):
    """Something Emeritus stands on failed."""

    code, title = "EM700", "Platform error"


class DatabaseUnavailable(PlatformError):
    """The database did not answer or stayed locked."""

    code, title = "EM701", "Database unavailable"
    default_remedy = "Check the database address; another process may hold it."


class HomeMissing(PlatformError):
    """There is no Emeritus home at that folder."""

    code, title = "EM702", "No Emeritus home"
    default_remedy = "Make one with `emeritus init`, or point --home or EMERITUS_HOME at it."


class HomeBusy(PlatformError):
    """Another process holds the home's lock for longer than we wait."""

    code, title = "EM703", "Home is in use"
    default_remedy = "Wait for the other command to end, or look for a stuck process."


class ExtraMissing(PlatformError):
    """An optional part is not installed."""

    code, title = "EM704", "Optional part not installed"
    default_remedy = "Install the extra that is named, e.g. pip install 'emeritus[local]' (a checkout: '.[local]')."


class MailFailed(PlatformError):
    """A mail server refused a message."""

    code, title = "EM705", "Mail not accepted"
    default_remedy = "Check the smtp settings; the message stays in the outbox and is tried again."
