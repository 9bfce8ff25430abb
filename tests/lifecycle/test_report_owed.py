"""What a report says is still owed: by the clock of the last entry it covers."""

from __future__ import annotations

from typing import Any

import pytest

from emeritus.lifecycle.report_owed import settle

CODED: dict[str, Any] = {
    "standing": "undecided",
    "at": "2026-01-01T00:00:00Z",
    "read_back": None,
    "decision": None,
    "told": None,
    "events": [],
    "commitments": [],
}
DECIDED = {"outcome": "decline", "review_date": None, "at": "2026-01-05T00:00:00Z", "entry": 10}
TOLD = {"reply": "accept", "at": "2026-01-06T00:00:00Z"}


def event(kind: str, entry: int, at: str, upheld: bool | None = None) -> dict[str, Any]:
    """Something that was done about it."""
    return {"kind": kind, "entry": entry, "at": at, "upheld": upheld}


APPEALED = event("appealed", 11, "2026-01-07T00:00:00Z")


@pytest.mark.parametrize(
    ("changes", "owed"),
    [
        ({}, [("2026-01-31", "a decision", True)]),
        ({"read_back": {"at": "2026-02-01T00:00:00Z"}}, [("2026-03-03", "a decision", False)]),
        ({"standing": "closed"}, []),
        ({"decision": DECIDED}, []),
        ({"decision": {**DECIDED, "review_date": "2026-02-10"}}, [("2026-02-10", "a review", False)]),
        ({"decision": {**DECIDED, "review_date": "2026-02-11"}}, []),
        (
            {"decision": {**DECIDED, "outcome": "defer", "review_date": "2026-02-09"}},
            [("2026-02-09", "a decision", True)],
        ),
        (
            {"decision": DECIDED, "told": {**TOLD, "reply": "amend"}},
            [("2026-02-05", "an answer to the amended offer", True)],
        ),
        ({"decision": DECIDED, "events": [APPEALED]}, [("2026-02-06", "an answer to the appeal", True)]),
        (
            {"decision": DECIDED, "events": [APPEALED, event("answered", 12, "2026-01-08T00:00:00Z", False)]},
            [],
        ),
        (
            {"decision": DECIDED, "events": [APPEALED, event("answered", 12, "2026-02-01T00:00:00Z", True)]},
            [("2026-03-03", "a decision, as it was reopened", False)],
        ),
        ({"decision": {**DECIDED, "entry": 20}, "events": [event("reopened", 15, "2026-01-08T00:00:00Z")]}, []),
    ],
)
def test_what_is_owed_follows_from_what_happened(changes: dict[str, Any], owed: list[tuple[str, str, bool]]) -> None:
    """At noon on 10 February, with thirty days for a decision."""
    preference = {**CODED, **changes}
    settle(preference, "2026-02-10T12:00:00Z", 30)
    assert [(each["by"], each["what"], each["overdue"]) for each in preference["owed"]] == owed


def test_a_commitment_is_overdue_while_it_is_open() -> None:
    """Verified and lapsed ones are not."""
    states = ("open", "acting", "verified", "lapsed")
    preference = {**CODED, "commitments": [{"status": status, "due": "2026-02-09"} for status in states]}
    settle(preference, "2026-02-10T12:00:00Z", 30)
    assert [each["overdue"] for each in preference["commitments"]] == [True, True, False, False]
