"""The HTTP status of every error: one table, read by both faces, so that a page and the API never disagree.

Knows the error classes and nothing of any room or web framework. A class without a line of its own takes its nearest
ancestor's; a test walks every subclass.
"""

from __future__ import annotations

from emeritus import errors

HTTP_STATUS: dict[type[errors.EmeritusError], int] = {
    errors.EmeritusError: 500,
    errors.InputError: 400,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.RequestTooLarge: 413,
    errors.StoreError: 500,
    errors.StoreFull: 507,
    errors.StoreUnavailable: 503,
    errors.DestinationNotEmpty: 409,
    errors.LedgerError: 500,
    errors.StatementTooLarge: 413,
    errors.ActConflict: 409,
    errors.EngineError: 502,
    errors.EngineUnknown: 400,
    errors.ContextTooLong: 400,
    errors.CanaryFailed: 503,
    errors.Busy: 503,
    errors.NotSupported: 400,
    errors.AnswerTooLong: 422,
    errors.OutOfMemory: 503,
    errors.RuleError: 409,
    errors.BrownedOut: 503,
    errors.AccessError: 403,
    errors.BadKey: 401,
    errors.BadSignIn: 401,
    errors.SignInUnavailable: 503,
    errors.QuotaExceeded: 429,
    errors.TooManyTries: 429,
    errors.OutsideHours: 503,
    errors.PlatformError: 500,
    errors.DatabaseUnavailable: 503,
    errors.HomeBusy: 503,
}


def http_status(error: errors.EmeritusError | type[errors.EmeritusError]) -> int:
    """The status to answer with: the class's own line, else its nearest ancestor's."""
    cls = error if isinstance(error, type) else type(error)
    return next(HTTP_STATUS[base] for base in cls.__mro__ if base in HTTP_STATUS)
