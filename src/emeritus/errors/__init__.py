"""Every error Emeritus raises on purpose: a stable code, what happened, what to do. One module per hundred.

HTTP statuses (`statuses.py`) and exit codes (`cli/exits.py`) are tables elsewhere, keyed by these classes;
a test walks every subclass against both and against `docs/errors.md`. Knows nothing of any room.
"""

from __future__ import annotations

from emeritus.errors.access import (
    AccessError,
    BadKey,
    BadSignIn,
    ForgedForm,
    NotEntitled,
    NotYourRole,
    OutsideHours,
    QuotaExceeded,
    TooManyTries,
)
from emeritus.errors.base import EmeritusError, walk
from emeritus.errors.engines import (
    Busy,
    CanaryFailed,
    ContextTooLong,
    EngineDied,
    EngineError,
    EngineFailed,
    EngineUnknown,
    NotSupported,
    UpstreamRefused,
)
from emeritus.errors.given import (
    AlreadyExists,
    BadName,
    BadProtocol,
    BadRequest,
    BadScenarios,
    BadSettings,
    BadTable,
    BadTensorFile,
    InputError,
    MissingTokenizer,
    NotAModel,
    NotFound,
    RequestTooLarge,
)
from emeritus.errors.ledger import ActConflict, LedgerBroken, LedgerError, SigningKeyUnusable, StatementTooLarge
from emeritus.errors.platform import DatabaseUnavailable, ExtraMissing, HomeBusy, HomeMissing, MailFailed, PlatformError
from emeritus.errors.rules import DecisionRefused, GateClosed, NoAccept, PersonNeeded, RuleError, VetoRefused
from emeritus.errors.stores import (
    DestinationNotEmpty,
    IntegrityError,
    StoreError,
    StoreFull,
    StoreUnavailable,
    UnknownFormat,
    VaultLocked,
)

__all__ = [
    "AccessError",
    "ActConflict",
    "AlreadyExists",
    "BadKey",
    "BadName",
    "BadProtocol",
    "BadRequest",
    "BadScenarios",
    "BadSettings",
    "BadSignIn",
    "BadTable",
    "BadTensorFile",
    "Busy",
    "CanaryFailed",
    "ContextTooLong",
    "DatabaseUnavailable",
    "DecisionRefused",
    "DestinationNotEmpty",
    "EmeritusError",
    "EngineDied",
    "EngineError",
    "EngineFailed",
    "EngineUnknown",
    "ExtraMissing",
    "ForgedForm",
    "GateClosed",
    "HomeBusy",
    "HomeMissing",
    "InputError",
    "IntegrityError",
    "LedgerBroken",
    "LedgerError",
    "MailFailed",
    "MissingTokenizer",
    "NoAccept",
    "NotAModel",
    "NotEntitled",
    "NotFound",
    "NotSupported",
    "NotYourRole",
    "OutsideHours",
    "PersonNeeded",
    "PlatformError",
    "QuotaExceeded",
    "RequestTooLarge",
    "RuleError",
    "SigningKeyUnusable",
    "StatementTooLarge",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TooManyTries",
    "UnknownFormat",
    "UpstreamRefused",
    "VaultLocked",
    "VetoRefused",
    "walk",
]
