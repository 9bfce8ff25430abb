"""Errors 5xx: the rules of a retirement."""

from __future__ import annotations

from emeritus.errors.base import EmeritusError


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


class BaseNeeded(RuleError):
    """A resident is to be removed from which others are kept as differences."""

    code, title = "EM506", "Others rest on it"
    default_remedy = "Keep it, or have those that rest on it removed first."


class PersonNeeded(RuleError):
    """The act needs a named person, or a second one."""

    code, title = "EM504", "A person is needed"
    default_remedy = "Name the person with --as (and the second one with --second)."


class BrownedOut(RuleError):
    """The model is in an announced brown-out: calls to it fail on purpose until the window ends."""

    code, title = "EM507", "Brown-out before a retirement"
    default_remedy = "Call again after the window (Retry-After), and move to another model before the retirement."


class VetoRefused(RuleError):
    """A veto needs a published criterion and a reason."""

    code, title = "EM505", "Veto refused"
    default_remedy = "Give --criterion (one of the published list) and --reason."
