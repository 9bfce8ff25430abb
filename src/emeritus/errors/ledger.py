"""Errors 3xx: the ledger."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


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
