"""The one table of exit codes. docs/errors.md prints it; a test walks every error class against it."""

from __future__ import annotations

from emeritus import errors

OK = 0
CHECK_FAILED = 1  # a check ran and its answer is no: damage found, a ledger that does not verify, a drill that differs
USAGE = 2  # the command line itself (typer's own)
INTERRUPTED = 130

EXIT_CODES: dict[type[errors.EmeritusError], int] = {
    errors.EmeritusError: 70,
    errors.InputError: 3,
    errors.StoreError: 4,
    errors.LedgerError: 5,
    errors.EngineError: 6,
    errors.RuleError: 7,
    errors.AccessError: 8,
    errors.PlatformError: 9,
}


def exit_code(error: errors.EmeritusError) -> int:
    """The exit code of an error: its own, or that of the nearest base in the table."""
    return next(EXIT_CODES[cls] for cls in type(error).__mro__ if cls in EXIT_CODES)
