"""What every call passes: the facts from memory, the one decision, the budgets, the count. Knows no act.

A call that finds all it needs in memory touches no database; one that does not (the half-second's look, a key seen
for the first time, a slice of a budget used up) reads or reserves it and decides again.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from emeritus.access.budgets import Budgets
from emeritus.access.keys import key_digest
from emeritus.access.known import Caller, Known
from emeritus.access.limits import LimitState, Line
from emeritus.access.meter import WITHOUT_KEY, Meter
from emeritus.access.meter import Line as MeterLine
from emeritus.access.policy import (
    LIMIT_CODES,
    REFUSALS,
    REMEDIES,
    Admission,
    Decision,
    KeyFacts,
    LimitFacts,
    Scope,
    Tokens,
    decide,
    refuse_key,
)
from emeritus.errors import AccessError, NotEntitled
from emeritus.records.database import Database

_NOBODY = KeyFacts(given=False)
_UNKNOWN = KeyFacts(given=True)
_NO_ACCOUNT = KeyFacts(given=False, person=True)
Needs = dict[Line, tuple[int, int]]  # line -> (limit, what this call needs of it)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it asks to be admitted. `tokens`: how many to reserve for it; 0 asks only that some are left."""

    key: str | None
    resident: str
    scope: Scope = "chat"
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A decision, what it asks of which budgets, and the admission once that has been taken."""

    decision: Decision
    needs: Needs
    admission: Admission | None = None


class Gate:
    """Admits calls. Safe in threads; close it to write the last counts and give budgets back."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._meter = Meter(database)
        self._budgets = Budgets(database, clock)
        self.known = Known(database)
        self._deciding = threading.Lock()

    def admit(self, call: Call) -> Admission:
        """Admit a call and count it. Raises BadKey, NotEntitled, OutsideHours or QuotaExceeded; DatabaseUnavailable."""
        self.known.look()
        return self._settle(call, *self._by_key(call.key))

    def admit_at_once(self, call: Call) -> Admission | None:
        """The same where memory has all that is needed, without waiting for anything; None where it has not."""
        if not self.known.fresh or not self.known.has(call.key, call.resident):
            return None
        weighed = self._weigh(call, *self._by_key(call.key))
        if weighed.admission is None and (weighed.decision.allowed or weighed.decision.code in LIMIT_CODES):
            return None  # the database may have more
        return _answer(weighed)

    def admit_person(self, who: str, call: Call) -> Admission:
        """Admit someone who is signed in, by whichever of their plans and grants carries it. Raises as `admit` does."""
        self.known.look()
        callers = self.known.person(who)
        if not callers:
            return self._settle(call, None, _NO_ACCOUNT)
        refused: list[AccessError] = []
        for caller in callers:
            try:
                return self._settle(call, caller, caller.facts)
            except AccessError as error:
                refused.append(error)
        # one that says when to come back says more than one that does not cover the resident
        raise next((error for error in refused if not isinstance(error, NotEntitled)), refused[0])

    def admit_known(self, prefix: str, call: Call) -> Admission:
        """Admit a call of whoever was known by a key of that prefix before; its secret was compared then."""
        self.known.look()
        caller = self.known.by_prefix(prefix)
        return self._settle(call, caller, _UNKNOWN if caller is None else caller.facts)

    def holder(self, key: str | None, scope: Scope) -> tuple[str, str]:
        """A good key's prefix, and the grant or membership it stands on. Raises BadKey, NotEntitled."""
        self.known.look()
        caller, facts = self._by_key(key)
        refused = refuse_key(facts, self._clock(), scope)
        if refused is not None or caller is None:
            raise _refusal(refused or Decision(False, "key-missing", "a key is needed, and none was sent"))
        return caller.prefix, caller.grant.id

    def decide_person(self, who: str | None, resident: str) -> Decision:
        """What the policy says of someone, by what carries them furthest, limits aside; counts nothing."""
        self.known.look()
        callers = () if who is None else self.known.person(who)
        facts = [caller.facts for caller in callers] or [_NOBODY if who is None else _NO_ACCOUNT]
        standing, now = self.known.standing(resident), self._clock().astimezone(UTC)
        decisions = [decide(each, standing, resident, now) for each in facts]
        return next((each for each in decisions if each.allowed), decisions[0])

    def meter(self, admission: Admission, tokens: Tokens | None) -> None:
        """Record what an admitted request used; None gives the request back. Only touches memory, and never raises."""
        used = 0 if tokens is None else tokens.prompt + tokens.completion
        self._budgets.charge(
            [
                (line, used - taken if line.kind.unit == "tokens" else -taken)
                for line, taken in admission.charged
                if tokens is None or line.kind.unit == "tokens"
            ]
        )
        line_of = _line(admission)
        if tokens is None:
            self._meter.count(line_of, self._clock(), requests=-1)
        else:
            self._meter.count(line_of, self._clock(), prompt_tokens=tokens.prompt, completion_tokens=tokens.completion)

    def flush(self) -> None:
        """Write counts and debts gathered so far. Raises DatabaseUnavailable; they are then kept."""
        self._meter.flush()
        self._budgets.write()

    def close(self) -> None:
        """Write the last counts and give back what is left of budgets. Call before the database is disposed."""
        self._meter.close()
        self._budgets.close()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _settle(self, call: Call, caller: Caller | None, facts: KeyFacts) -> Admission:
        """Weigh until the call has its answer, filling what budgets stand in its way while the database has more."""
        while True:
            weighed = self._weigh(call, caller, facts)
            if weighed.decision.code in LIMIT_CODES:
                if self._budgets.fill(weighed.needs):
                    continue
                weighed = self._weigh(call, caller, facts)  # now only what is used up is short
            if weighed.admission is not None or not weighed.decision.allowed:
                return _answer(weighed)
            # else an answer's tokens were charged between the look and the taking

    def _by_key(self, key: str | None) -> tuple[Caller | None, KeyFacts]:
        if key is None:
            return None, _NOBODY
        caller = self.known.caller(key)
        if caller is None or not hmac.compare_digest(caller.sha256, key_digest(key)):
            return None, _UNKNOWN
        return caller, caller.facts

    def _weigh(self, call: Call, caller: Caller | None, facts: KeyFacts) -> _Weighed:
        """Decide, take what an admitted call needs, and count it."""
        now = self._clock().astimezone(UTC)
        standing = self.known.standing(call.resident)  # may read the database: before anybody has to wait for us
        with self._deciding:  # nobody takes from a budget between the look at it and the taking
            needs, short = self._needs(call, caller, now)
            decision = decide(
                replace(facts, limits=short) if short else facts, standing, call.resident, now, call.scope
            )
            if not decision.allowed:
                return _Weighed(decision, needs)
            if decision.code == "open":
                needs = {}
            # one that reserves no tokens must find one left, and takes none
            taken = {line: need for line, (_, need) in needs.items() if line.kind.unit == "requests" or call.tokens}
            if not self._budgets.take(taken):
                return _Weighed(decision, needs)
        admission = Admission(
            call.resident,
            None if caller is None else caller.prefix,
            None if caller is None else caller.grant.id,
            decision.code,
            decision.policy,
            now.date().isoformat(),
            call.scope,
            tuple((line, taken.get(line, 0)) for line in needs),
            self._states(needs, now),
        )
        self._meter.count(_line(admission), now, requests=1)
        return _Weighed(decision, needs, admission)

    def _needs(self, call: Call, caller: Caller | None, now: datetime) -> tuple[Needs, tuple[LimitFacts, ...]]:
        """What a call needs of which budgets, and the limits of which it is not there: no others change a decision."""
        needs: Needs = {}
        short: list[LimitFacts] = []
        for subject, kind, limit, of_key in caller.limits if caller is not None else ():
            line = Line(subject, kind, kind.at(now)[0])
            need = 1 if kind.unit == "requests" else max(1, call.tokens)
            needs[line] = (limit, need)
            if self._budgets.left(line) < need:
                short.append(LimitFacts(kind, limit, False, of_key))
        return needs, tuple(short)

    def _states(self, needs: Needs, now: datetime) -> tuple[LimitState, ...]:
        left = self._budgets.known_left
        return tuple(
            [
                LimitState(line.kind.name, line.kind.unit, limit, left(line, limit), line.kind.at(now)[1])
                for line, (limit, _) in needs.items()
            ]
        )


def _answer(weighed: _Weighed) -> Admission:
    if weighed.admission is not None:
        return weighed.admission
    raise _refusal(weighed.decision)


def _refusal(decision: Decision) -> AccessError:
    facts = {"reason_code": decision.code, "policy": decision.policy}
    refusal = REFUSALS[decision.code](decision.reason, remedy=REMEDIES.get(decision.code), **facts)
    if decision.retry_after_s is not None:
        refusal.facts["retry_after_s"] = decision.retry_after_s
    return refusal


def _line(admission: Admission) -> MeterLine:
    return MeterLine(admission.prefix or WITHOUT_KEY, admission.resident, admission.day)
