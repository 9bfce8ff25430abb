"""Every error Emeritus raises on purpose: a stable code, what happened, what to do.

HTTP statuses (`statuses.py`) and exit codes (`cli/exits.py`) are tables elsewhere, keyed by these classes;
a test walks every subclass against both and against `docs/errors.md`. Knows nothing of any room.
"""

from __future__ import annotations

from typing import ClassVar


class EmeritusError(Exception):
    """Base of all errors with a code. `str(error)` is one clear sentence; `remedy` says what to do about it.

    Subclasses set `code` (stable for ever), `title` and a default `remedy`; a raise may give a more exact remedy.
    `facts` are values a program may read (JSON-serialisable).
    """

    code: ClassVar[str] = "EM000"
    title: ClassVar[str] = "Emeritus error"
    default_remedy: ClassVar[str] = "Run the command again with --log-level debug and report what it prints."

    def __init__(self, message: str, *, remedy: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy
        self.facts = facts

    def as_dict(self) -> dict[str, object]:
        """The error as programs read it: code, message, remedy, facts."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "facts": self.facts}


# 1xx: what was given is not usable


class InputError(EmeritusError):
    """The input is wrong; nothing was made."""

    code, title = "EM100", "Bad input"
    default_remedy = "Correct the input and run the command again; nothing was changed."


class NotAModel(InputError):
    """The directory holds no model."""

    code, title = "EM101", "Not a model directory"
    default_remedy = "Give a directory with a config.json and at least one weight file."


class BadTensorFile(InputError):
    """A weight file's header is truncated, or does not describe the bytes that follow."""

    code, title = "EM102", "Damaged weight file"
    default_remedy = "Fetch the file again from its source and compare its sha256 before preserving it."


class MissingTokenizer(InputError):
    """A model that is to be revived has no tokenizer."""

    code, title = "EM103", "Missing tokenizer"
    default_remedy = "Put the tokenizer's files (tokenizer.json or tokenizer.model) beside the weights."


class BadName(InputError):
    """A name could escape its folder or clash with a reserved word."""

    code, title = "EM104", "Unusable name"
    default_remedy = "Use 1-64 lowercase letters, digits, '.', '_' or '-', beginning with a letter or digit."


class BadRequest(InputError):
    """A request to the API cannot be read."""

    code, title = "EM105", "Unreadable request"
    default_remedy = "Send a JSON object with the fields the API documents."


class BadSettings(InputError):
    """A setting has an unusable value."""

    code, title = "EM106", "Unusable setting"
    default_remedy = "See docs/settings.md for each setting's type and default."


class BadTable(InputError):
    """A CSV file or another table lacks a column or holds an unreadable row."""

    code, title = "EM107", "Unreadable table"
    default_remedy = "Correct the row named and import the file again; nothing was imported."


class NotFound(InputError):
    """What was named does not exist."""

    code, title = "EM108", "Not found"
    default_remedy = "`emeritus status` lists what exists."


class AlreadyExists(InputError):
    """What was to be made exists already."""

    code, title = "EM109", "Already exists"
    default_remedy = "Use another name, or go on with what exists."


class BadProtocol(InputError):
    """An interview protocol breaks its own rules."""

    code, title = "EM110", "Unusable interview protocol"
    default_remedy = "Correct the line named in the protocol's TOML file."


class RequestTooLarge(InputError):
    """A request's body is larger than the API reads."""

    code, title = "EM111", "Request too large"
    default_remedy = "Send less, or raise max_body_bytes."


# 2xx: bytes kept


class StoreError(EmeritusError):
    """Bytes could not be kept or read."""

    code, title = "EM200", "Storage error"
    default_remedy = "Check that the store is reachable and has room."


class IntegrityError(StoreError):
    """Stored bytes are not what was stored."""

    code, title = "EM201", "Stored bytes are damaged"
    default_remedy = "Restore the damaged object from a copy; `emeritus verify` names every damaged object."


class StoreFull(StoreError):
    """No room is left; nothing half-written remains visible."""

    code, title = "EM202", "No room left"
    default_remedy = "Free space and run the same command again; it goes on from what is already stored."


class StoreUnavailable(StoreError):
    """A store did not answer."""

    code, title = "EM203", "Store unavailable"
    default_remedy = "Check the address, the credentials and the network, then run the command again."


class UnknownFormat(StoreError):
    """The vault or ledger was written in a format this version does not know."""

    code, title = "EM204", "Unknown format"
    default_remedy = "Use a version of Emeritus that knows this format; the vault's own README tells how to read it."


class DestinationNotEmpty(StoreError):
    """A restore would mix with files that are already there."""

    code, title = "EM205", "Destination not empty"
    default_remedy = "Name a folder that does not exist yet, or an empty one."


# 3xx: the ledger


class LedgerError(EmeritusError):
    """The ledger refused an entry or failed a check."""

    code, title = "EM300", "Ledger error"
    default_remedy = "Run `emeritus verify` for what failed."


class LedgerBroken(LedgerError):
    """The ledger's tree, signatures or proofs do not hold."""

    code, title = "EM301", "Ledger does not verify"
    default_remedy = "Keep the folder as it is, restore the ledger from a copy, and compare the two checkpoints."


class SigningKeyUnusable(LedgerError):
    """The signing key is missing, unreadable, or not the one the ledger names."""

    code, title = "EM302", "Signing key unusable"
    default_remedy = "Put the key back at keys/ledger.key under the home folder."


class StatementTooLarge(LedgerError):
    """A statement is larger than one log entry can be (64 KiB)."""

    code, title = "EM303", "Statement too large"
    default_remedy = "Put the content in a payload and log its digest."


class ActConflict(LedgerError):
    """An act with the same id was already recorded with other content."""

    code, title = "EM304", "Act already recorded differently"
    default_remedy = "Look at the recorded act (`emeritus status --json`); records are append-only."


# 4xx: engines


class EngineError(EmeritusError):
    """A model could not be made to answer."""

    code, title = "EM400", "Engine error"
    default_remedy = "See the engine's log under logs/ in the home folder."


class EngineUnknown(EngineError):
    """No engine of that name exists."""

    code, title = "EM401", "Unknown engine"
    default_remedy = "Use one of the engines the message lists."


class EngineFailed(EngineError):
    """The engine did not start or could not load the model."""

    code, title = "EM402", "Engine did not start"


class EngineDied(EngineError):
    """The engine ended while it was answering."""

    code, title = "EM403", "Engine died while answering"
    default_remedy = "Send the request again; the resident is revived from the vault. Its log is under logs/."


class UpstreamRefused(EngineError):
    """A remote API refused the request or answered with something unreadable."""

    code, title = "EM404", "Upstream API refused"
    default_remedy = "Check the address, the model's name there and the key."


class ContextTooLong(EngineError):
    """The prompt does not fit the model's context."""

    code, title = "EM405", "Prompt too long"
    default_remedy = "Shorten the messages or lower max_tokens."


class CanaryFailed(EngineError):
    """A woken resident does not behave like its reference; no answer was given out."""

    code, title = "EM406", "Woken resident differs from its reference"
    default_remedy = "Run `emeritus verify` and compare the engine's build with the reference's."


class Busy(EngineError):
    """There is no room to wake the resident now."""

    code, title = "EM407", "No room to wake the resident"
    default_remedy = "Try again after the Retry-After time, or raise the memory budget."


class NotSupported(EngineError):
    """The engine cannot do what was asked."""

    code, title = "EM408", "Not supported by this engine"
    default_remedy = "Use an engine that declares the capability the message names."


# 5xx: the rules of a retirement


class RuleError(EmeritusError):
    """A rule of the retirement refuses the act."""

    code, title = "EM500", "Refused by a rule"
    default_remedy = "The message names the rule; docs/framework.md explains it."


class DecisionRefused(RuleError):
    """A decision lacks what its outcome requires."""

    code, title = "EM501", "Decision refused"


class GateClosed(RuleError):
    """The retirement cannot move on yet."""

    code, title = "EM502", "Gate closed"
    default_remedy = "Meet the open gates listed; `emeritus status NAME` shows them."


class NoAccept(RuleError):
    """A channel cannot open without the resident's recorded accept."""

    code, title = "EM503", "Not accepted by the resident"
    default_remedy = "Grant it (`emeritus decide ID`), offer it (`emeritus interview tell NAME`; `--again` repeats)."


class PersonNeeded(RuleError):
    """The act needs a named person, or a second one."""

    code, title = "EM504", "A person is needed"
    default_remedy = "Name the person with --as (and the second one with --second)."


class VetoRefused(RuleError):
    """A veto needs a published criterion and a reason."""

    code, title = "EM505", "Veto refused"
    default_remedy = "Give --criterion (one of the published list) and --reason."


# 6xx: access


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


class BadSignIn(AccessError):
    """The name, the password or the set-up token is wrong, or the account is disabled."""

    code, title = "EM604", "Sign-in refused"
    default_remedy = "Check the name and the password; a steward can issue a new set-up token."


# 7xx: the platform


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


def walk(cls: type[EmeritusError] = EmeritusError) -> list[type[EmeritusError]]:
    """Every error class, in the order of its code."""
    found = [cls]
    for sub in cls.__subclasses__():
        found.extend(walk(sub))
    return sorted(set(found), key=lambda c: c.code)
