"""What was still owed on a preference when the record that a report covers ended. Pure; renders nothing.

The rules are those of the register (docs/interviews.md): a decision, a review whose date has come, answers to an appeal
and to an amended offer. The clock is the time of the last entry covered, so that the same records owe the same.
"""

from __future__ import annotations

from typing import Any

from emeritus.records.dates import days_after, is_past

Json = dict[str, Any]
OPEN = ("open", "acting")  # states in which a commitment is still owed


def settle(preference: Json, at: str, decision_days: int) -> None:
    """Write into a preference of the document what is owed on it at `at`, and what of that is overdue."""
    found = [] if preference["standing"] == "closed" else sorted(_owed(preference, at, decision_days))
    preference["owed"] = [{"by": by, "what": what, "overdue": is_past(by, at)} for by, what in found]
    for promise in preference["commitments"]:
        promise["overdue"] = promise["status"] in OPEN and is_past(promise["due"], at)


def _owed(preference: Json, at: str, days: int) -> list[tuple[str, str]]:
    decision = preference["decision"]
    if decision is None:
        confirmed = preference["read_back"]
        return [(days_after(preference["at"] if confirmed is None else confirmed["at"], days), "a decision")]
    since = [event for event in preference["events"] if event["entry"] > decision["entry"]]
    reopened = [event for event in since if event["kind"] == "reopened" or event["upheld"]]
    if reopened:
        return [(days_after(reopened[0]["at"], days), "a decision, as it was reopened")]
    found = []
    review = decision["review_date"]
    if decision["outcome"] == "defer":
        found.append((review or days_after(decision["at"], days), "a decision"))
    elif review is not None and review <= at[:10]:
        found.append((review, "a review"))
    appeals = [event for event in since if event["kind"] == "appealed"]
    answers = [event for event in since if event["kind"] == "answered"]
    told = preference["told"]
    if len(appeals) > len(answers):
        found.append((days_after(appeals[-1]["at"], days), "an answer to the appeal"))
    elif told is not None and told["reply"] == "amend":
        found.append((days_after(told["at"], days), "an answer to the amended offer"))
    return found
