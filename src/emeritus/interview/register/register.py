"""The preference register: codings, decisions and follow-through become acts here, each after its rules were met.

Append-only. Knows no engine and no message; sessions with the model are `service`'s.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.errors import ActConflict, DecisionRefused, InputError, NotFound, PersonNeeded
from emeritus.interview.coding.spans import Coding, Quote, check, check_coders, evidence, need
from emeritus.interview.register.ruling import GRANTS, PEOPLE, Case, Quorum, Ruling, refuse
from emeritus.interview.sessions.transcript import Transcript
from emeritus.records.dates import days_after
from emeritus.records.policies import waived
from emeritus.records.tables import Commitment, Confirmation, FollowThrough, InterviewSession, Preference
from emeritus.settings import Settings

Json = dict[str, Any]
FOLLOWED = ("acting", "verified", "lapsed")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of a commitment. `evidence` is {uri, sha256}, or {reason} where it lapses.

    `verified_by` is someone other than the owner, and so is whoever records it.
    """

    commitment: str
    status: str  # acting | verified | lapsed
    evidence: Json
    verified_by: str | None = None


class Register:
    """Writes the register."""

    def __init__(self, acts: Acts, settings: Settings) -> None:
        self._acts = acts
        self._settings = settings

    def code(
        self, coding: Coding, transcript: Transcript, actor: Actor, others: Mapping[str, Transcript] | None = None
    ) -> str:
        """Code a preference; its id. The same coding again is found, another one of the same words is refused.

        `others` are the transcripts that its further evidence stands in, by session; all are of one resident.
        Raises InputError, NotFound, PersonNeeded, ActConflict.
        """
        check(coding)
        quote = coding.quote
        stated: Json = {
            "domain": coding.domain,
            "need": need(transcript, quote),
            "paraphrase": coding.paraphrase.strip(),
            "evidence": [
                {**evidence(found, each), **_asked(found, each.turn)}
                for found, each in _places(coding, transcript, others)
            ],
            "need_origin": coding.need_origin,
            "remedy": coding.remedy,
            "remedy_origin": coding.remedy_origin,
            "strength": coding.strength,
            "coders": [coder.as_dict() for coder in coding.coders],
            "stability": dict(coding.stability),
            "contrary": [dict(each) for each in coding.contrary],
            "attached": [each.strip() for each in coding.attached],
            "channel": coding.channel,
            "supersedes": coding.supersedes,
        }

        def build(session: Session) -> Draft:
            resident = transcript.resident
            check_coders(coding, waived(session, "second_coder", self._settings.second_coder))
            if coding.supersedes is not None:
                _of(session, coding.supersedes, resident)
            count = session.scalar(select(func.count()).where(Preference.resident == resident)) or 0
            public = {"preference": f"{resident}-p{count + 1}", **stated}
            return Draft("preference.coded", resident, public, digests={"journal": transcript.sha256})

        act_id = f"code:{quote.session}:{quote.turn}:{quote.start}-{quote.end}:{coding.domain}"
        act = self._acts.perform(act_id, actor, build)
        recorded = {name: act.public[name] for name in stated}
        if recorded != stated:
            raise ActConflict(f"these words are coded already, otherwise, as {act.public['preference']!r}")
        return str(act.public["preference"])

    def decide(self, preference: str, ruling: Ruling, actor: Actor) -> Act:
        """Decide on a preference. A granted one becomes a commitment with owner, due date and check.

        Raises NotFound, DecisionRefused, PersonNeeded.
        """

        def build(session: Session) -> Draft:
            row = _of(session, preference)
            case = _case(session, row)
            alone = waived(session, "second_decider", self._settings.second_decider)
            quorum = Quorum(alone, self._settings.low_cost_threshold)
            now = self._acts.now
            refuse(ruling, case, quorum, (actor.name, actor.automated), date.fromisoformat(now[:10]))
            conflict = ruling.conflict
            if actor.name in case.coders:
                conflict += "; the decider coded this preference (second decider waived)"
            public = {
                "preference": preference,
                "outcome": ruling.outcome,
                "reasons": ruling.reasons.strip(),
                "options": list(ruling.options),
                "second": ruling.second,
                "conflict": conflict,
                "cost": dict(ruling.cost),
                "review_date": ruling.review_date,
                "met_by": ruling.met_by,
                "commitment": self._promise(session, row, ruling, actor.name) if ruling.outcome in GRANTS else None,
            }
            return Draft("preference.decided", row.resident, public)

        return self._acts.perform(f"decide:{preference}:{secrets.token_hex(6)}", actor, build)

    def follow_through(self, followed: Followed, actor: Actor) -> Act:
        """Record what came of a commitment. Raises NotFound, InputError, PersonNeeded."""
        if followed.status not in FOLLOWED:
            raise InputError(f"{followed.status!r} is no status; use one of: {', '.join(FOLLOWED)}")

        def build(session: Session) -> Draft:
            row = session.get(Commitment, followed.commitment)
            if row is None:
                raise NotFound(f"no commitment {followed.commitment!r}")
            last = session.scalars(
                select(FollowThrough.status)
                .where(FollowThrough.commitment == row.id)
                .order_by(FollowThrough.id.desc())
                .limit(1)
            ).first()
            _refuse_follow(followed, row, last, actor.name)
            public = {
                "commitment": followed.commitment,
                "status": followed.status,
                "evidence": dict(followed.evidence),
                "verified_by": followed.verified_by,
            }
            return Draft("commitment.followed", row.resident, public)

        return self._acts.perform(f"follow:{followed.commitment}:{secrets.token_hex(6)}", actor, build)

    def _promise(self, session: Session, preference: Preference, ruling: Ruling, decider: str) -> Json:
        due = ruling.due or days_after(self._acts.now, self._settings.decision_days)
        count = session.scalar(select(func.count()).where(Commitment.preference == preference.id)) or 0
        return {
            "id": f"{preference.id}-c{count + 1}",
            "text": ruling.commitment or _promised(preference.channel, due),
            "owner": ruling.owner or decider,
            "due": due,
            "check": ruling.check,
        }


def _asked(transcript: Transcript, turn: int) -> Json:
    """What a quote answers: the item, the exact question, and the condition it was asked under."""
    asked = transcript.turn(turn)
    return {"item": asked.item, "question": asked.question, "condition": transcript.condition.get("id")}


def _refuse_follow(followed: Followed, row: Commitment, last: str | None, actor: str) -> None:
    """Refuse what a commitment's rules refuse. Raises InputError, PersonNeeded, DecisionRefused."""
    if last == "lapsed":
        raise DecisionRefused(
            f"commitment {row.id!r} has lapsed; nothing is owed on it", remedy="A new decision makes a new commitment."
        )
    sha256 = followed.evidence.get("sha256")
    if sha256 is not None and _SHA256.fullmatch(sha256) is None:
        raise InputError(f"{sha256!r} is no sha256: 64 lowercase hexadecimal digits")
    if followed.status == "lapsed" and not str(followed.evidence.get("reason", "")).strip():
        raise InputError("a commitment lapses for a reason", remedy="Give it with --reason.")
    if followed.status != "verified":
        return
    if not followed.verified_by or followed.verified_by == row.owner:
        raise PersonNeeded("a commitment is verified by someone other than its owner")
    if actor == row.owner:
        raise PersonNeeded(
            f"{actor!r} owns this commitment, so another person records that it is verified",
            remedy="Whoever looked at the evidence records it: --as PERSON.",
        )
    if not followed.evidence.get("uri") or not sha256:
        raise InputError("verification rests on evidence: its uri and its sha256")


def _promised(channel: str | None, due: str) -> str:
    """What is promised and offered where the decider gives no words of their own."""
    if channel is None:
        return f"This preference is carried out by {due}."
    return f"A channel of this model's own, for {channel}."


def _places(
    coding: Coding, transcript: Transcript, others: Mapping[str, Transcript] | None
) -> list[tuple[Transcript, Quote]]:
    """Every place a preference is expressed at, its own quote first. Raises InputError for another resident's."""
    places = [(transcript, coding.quote)]
    for quote in coding.also:
        found = transcript if quote.session == transcript.session else (others or {}).get(quote.session)
        if found is None or found.resident != transcript.resident:
            raise InputError(f"session {quote.session!r} is not one of {transcript.resident!r}'s that were given")
        places.append((found, quote))
    return places


def _case(session: Session, row: Preference) -> Case:
    sessions = {each["session"] for each in row.evidence}
    held = session.scalars(select(InterviewSession).where(InterviewSession.id.in_(sessions)))
    read_back = session.scalars(select(Confirmation.id).where(Confirmation.preference == row.id).limit(1)).first()
    return Case(
        preference=row.id,
        domain=row.domain,
        state=row.state,
        coders=frozenset(coder["name"] for coder in row.coders),
        read_back=read_back is not None,
        told_people_decide=any(each.condition.get("decider") == PEOPLE for each in held),
    )


def _of(session: Session, preference: str, resident: str | None = None) -> Preference:
    row = session.get(Preference, preference)
    if row is None or (resident is not None and row.resident != resident):
        raise NotFound(f"no preference {preference!r}", remedy="`emeritus decide` lists those that await a decision.")
    return row
