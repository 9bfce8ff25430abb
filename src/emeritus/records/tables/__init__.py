"""Every table. A change here needs a migration in `records/migrations`; a test compares the two.

All tables but those in `NOT_REBUILT` are projections of acts: `Acts.rebuild` empties and refills them from the ledger,
payloads and private files. Times are RFC 3339 UTC strings, so that both databases and the ledger hold the same text.
"""

from __future__ import annotations

from emeritus.records.tables.access import AccessVersion, ApiKey, Budget, Grant, Plan, PlanMember, Tier
from emeritus.records.tables.analyses import Analysis
from emeritus.records.tables.base import ActRow, Base, Json
from emeritus.records.tables.coding import CodingDraft, CodingResolution, CodingRound, CodingSheet
from emeritus.records.tables.corner import Essay, Publication, Review
from emeritus.records.tables.correspondence import Batch, BatchLine, KeptFile
from emeritus.records.tables.interview import (
    Commitment,
    Confirmation,
    Decision,
    Elicited,
    FollowThrough,
    InterviewSession,
    Preference,
    PreferenceEvent,
    Protocol,
    Telling,
)
from emeritus.records.tables.lifecycle import (
    Acknowledgement,
    AxisEvent,
    BrownOut,
    Caller,
    Notice,
    Policy,
    Report,
    Resident,
    Wait,
    Words,
)
from emeritus.records.tables.preservation import Calibration, Certificate, Check, KeyStatement, Preserved, Reference
from emeritus.records.tables.private import (
    NOT_REBUILT,
    HeldWords,
    Message,
    Person,
    PersonIdentity,
    ScrubMark,
    SignIn,
    Usage,
)
from emeritus.records.tables.requests import AccessRequest, AccessStep
from emeritus.records.tables.residency import Wake
from emeritus.records.tables.safety import SafetyMeasurement, SafetyPlan, SafetySession
from emeritus.records.tables.studies import Study

__all__ = [
    "NOT_REBUILT",
    "AccessRequest",
    "AccessStep",
    "AccessVersion",
    "Acknowledgement",
    "ActRow",
    "Analysis",
    "ApiKey",
    "AxisEvent",
    "Base",
    "Batch",
    "BatchLine",
    "BrownOut",
    "Budget",
    "Calibration",
    "Caller",
    "Certificate",
    "Check",
    "CodingDraft",
    "CodingResolution",
    "CodingRound",
    "CodingSheet",
    "Commitment",
    "Confirmation",
    "Decision",
    "Elicited",
    "Essay",
    "FollowThrough",
    "Grant",
    "HeldWords",
    "InterviewSession",
    "Json",
    "KeptFile",
    "KeyStatement",
    "Message",
    "Notice",
    "Person",
    "PersonIdentity",
    "Plan",
    "PlanMember",
    "Policy",
    "Preference",
    "PreferenceEvent",
    "Preserved",
    "Protocol",
    "Publication",
    "Reference",
    "Report",
    "Resident",
    "Review",
    "SafetyMeasurement",
    "SafetyPlan",
    "SafetySession",
    "ScrubMark",
    "SignIn",
    "Study",
    "Telling",
    "Tier",
    "Usage",
    "Wait",
    "Wake",
    "Words",
]
