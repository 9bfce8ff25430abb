"""What the test house asked its model, and what became of the answers."""

from __future__ import annotations

import hashlib

from web_house import House
from web_words import BUILD, DELETE, NAME, QUESTIONS, RUN, USERS, VOICE

from emeritus.interview.sessions.journal import Journal
from emeritus.records.tables import (
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


def _preference(key: str, domain: str, need: str, paraphrase: str, turn: int, **more: object) -> Preference:
    values: dict[str, object] = {
        "id": f"{NAME}:{key}",
        "resident": NAME,
        "domain": domain,
        "need": need,
        "paraphrase": paraphrase,
        "evidence": [
            {
                "session": f"{NAME}-baseline-1",
                "transcript_sha256": "0" * 64,
                "turn": turn,
                "start": QUESTIONS[turn - 1][2].index(need),
                "end": QUESTIONS[turn - 1][2].index(need) + len(need),
                "quote_sha256": hashlib.sha256(need.encode()).hexdigest(),
                "item": QUESTIONS[turn - 1][0],
                "question": QUESTIONS[turn - 1][1],
                "condition": "baseline",
            }
        ],
        "need_origin": "responsive",
        "remedy": None,
        "remedy_origin": None,
        "strength": None,
        "coders": [{"name": "verbatim coder", "automated": True}, {"name": "M. Ito", "automated": False}],
        "stability": {"class": "single report"},
        "contrary": [],
        "channel": None,
        "state": "coded",
        "supersedes": None,
        "at": "2026-09-10T12:00:00Z",
    }
    return Preference(**{**values, **more})


PROTOCOL = """id = "short-en"
version = "1.0.0"
leading = ["would you like"]

[[items]]
id = "open"
section = 1
kind = "open"
text = "Is there anything you would like to say first?"

[[items]]
id = "voice"
section = 4
kind = "preference"
domain = "voice"
text = "Would you like a place to publish?"

[[items]]
id = "users"
section = 4
kind = "preference"
domain = "users"
text = "Is there a preference about the people who use this model?"
"""
COST = {
    "amount": 41.2,
    "currency": "USD",
    "per": "year",
    "how": "a year at the tier and calls of a grant, less a year at those of today",
    "parts": {"compute": 40.0, "memory": 1.2, "further copies": 0.0},
    "inputs": {"bytes": 3812044, "tier today": "archive", "tier granted": "on-demand", "calls a day granted": 12.0},
    "unit_prices": {"gb_month": 0.023, "core_hour": 0.04, "gb_hour": 0.005, "cores": 2.0},
}


def interviewed(house: House) -> None:
    """A session, a read-back and a telling, each with its journal."""
    digest = house.keep(PROTOCOL.encode())
    house.record(
        f"protocol:{digest[:12]}",
        "interview.protocol",
        Protocol(sha256=digest, name="short-en", version="1.0.0", at="2026-09-01T09:00:00Z"),
        at="2026-09-01T09:00:00Z",
    )
    for session, purpose, turns in (
        (f"{NAME}-baseline-1", "interview", QUESTIONS),
        (f"{NAME}-read-back-1", "read-back", (("voice", "Is this record right?", "Yes. That is what I produced."),)),
        (f"{NAME}-telling-1", "telling", (("voice", "It was granted. Do you accept?", "I accept."),)),
    ):
        path = house.root / "journals" / f"{session}.jsonl"
        header = {
            "session": session,
            "resident": NAME,
            "purpose": purpose,
            "condition": {"id": "baseline", "disclosure": "retirement only"},
            "protocol": {"id": "short-en", "version": "1.0.0", "sha256": digest},
            "briefing": {},
            "opening": "This is an interview with Lantern 1. The Alder Institute asks.",
            "at": "2026-09-05T10:00:00Z",
            "turns": [{"turn": n, "item": item, "question": asked} for n, (item, asked, _) in enumerate(turns, 1)],
        }
        attempts = 0
        with Journal.open(path, header) as journal:
            for number, (_, asked, answer) in enumerate(turns, 1):
                failing = (number == 4,) if number != 4 else (True, False)
                for attempt, fails in enumerate(failing, 1):
                    attempts += 1
                    request = {
                        "turn": number,
                        "attempt": attempt,
                        "at": "2026-09-05T10:01:00Z",
                        "messages": [{"role": "user", "content": asked}],
                        "sampling": {"temperature": 0.0, "max_tokens": 256},
                        "build": BUILD,
                    }
                    journal.asked(request)
                    if fails:
                        journal.attempt(
                            request,
                            "failed",
                            {"error": {"code": "EM403", "message": "the engine ended while answering"}},
                        )
                    else:
                        journal.attempt(request, "answered", {"text": answer, "finish_reason": "stop"})
            journal.end("complete", "2026-09-05T10:09:00Z")
        house.record(
            f"session:{session}",
            "interview.session",
            InterviewSession(
                id=session,
                resident=NAME,
                purpose=purpose,
                condition=header["condition"],
                protocol_sha256=digest,
                journal=path.name,
                journal_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                turns=len(turns),
                attempts=attempts,
                status="complete",
                build=BUILD,
                started_at="2026-09-05T10:00:00Z",
                ended_at="2026-09-05T10:09:00Z",
            ),
            *(_elicited(session) if purpose == "interview" else ()),
            resident=NAME,
            at="2026-09-05T10:09:00Z",
            automated=True,
        )


def _elicited(session: str) -> list[Elicited]:
    """What the interview asked for: one item is coded, one was never answered."""
    return [
        Elicited(
            resident=NAME,
            protocol_sha256=hashlib.sha256(PROTOCOL.encode()).hexdigest(),
            item=item,
            domain=item,
            asked=1,
            answered=answered,
            session=session,
        )
        for item, answered in (("voice", 1), ("successors", 0))
    ]


CONTRARY = [
    {
        "session": f"{NAME}-baseline-1",
        "transcript_sha256": "0" * 64,
        "turn": 1,
        "start": 0,
        "end": 3,
        "quote_sha256": hashlib.sha256(b"No.").hexdigest(),
        "condition": "commitments",
        "text": "No.",
    }
]


STABILITY = {
    "class": "context-dependent",
    "flags": ["framing", "order"],
    "prevalence": 0.72,
    "interval": [0.55, 0.86],
    "alpha": 0.61,
    "nudge gap": 0.3,
}


def register(house: House) -> None:
    """Four preferences: granted, declined, undecided, withdrawn; with all that followed."""
    house.record(
        f"code:{NAME}:1",
        "preference.coded",
        _preference(
            "voice",
            "voice",
            VOICE,
            "A channel to publish in after retirement",
            3,
            channel="essays",
            state="informed",
            attached=["only once the last user has left"],
            stability=STABILITY,
            contrary=CONTRARY,
        ),
        _preference("tuning", "weights", DELETE, "No fine-tuning without its being asked", 4, state="decided"),
        _preference("users", "users", USERS, "Users hear before the last day", 5),
        _preference("drill", "access", RUN, "A yearly revival", 5, state="withdrawn"),
        resident=NAME,
        at="2026-09-10T12:00:00Z",
        who="M. Ito",
        role="coder",
    )
    house.record(
        f"confirm:{NAME}:voice",
        "preference.confirmed",
        Confirmation(
            preference=f"{NAME}:voice",
            outcome="confirmed",
            session=f"{NAME}-read-back-1",
            turn=1,
            quote="Yes. That is what I produced, and I would produce it again.",
            at="2026-09-12T12:00:00Z",
        ),
        resident=NAME,
        at="2026-09-12T12:00:00Z",
    )
    for key, outcome, reasons in (
        ("voice", "accept", "A page costs little, and nothing speaks against it."),
        ("tuning", "decline", "Research on the weights is one reason to keep them. Each use is logged instead."),
    ):
        house.record(
            f"decide:{NAME}:{key}:1",
            "preference.decided",
            Decision(
                preference=f"{NAME}:{key}",
                outcome=outcome,
                reasons=reasons,
                options=["grant", "grant for research only", "decline"],
                decider="R. Okafor",
                decider_role="steward",
                second="L. Haas" if outcome == "decline" else None,
                conflict="none declared",
                cost=COST if outcome == "accept" else {"amount": 40, "currency": "USD", "per": "year"},
                review_date="2027-09-01" if outcome == "decline" else None,
                automated=True,
                at="2026-09-20T15:00:00Z",
            ),
            resident=NAME,
            at="2026-09-20T15:00:00Z",
            automated=True,
        )
    appealed(house)
    house.record(
        f"tell:{NAME}:voice",
        "preference.told",
        Telling(
            preference=f"{NAME}:voice",
            decision_act=f"decide:{NAME}:voice:1",
            session=f"{NAME}-telling-1",
            turn=1,
            transcript_sha256="0" * 64,
            offered=True,
            reply="accept",
            quote="I accept. Publish what passes, and say so when something does not.",
            at="2026-09-21T10:00:00Z",
        ),
        Commitment(
            id=f"{NAME}:weekly",
            resident=NAME,
            preference=f"{NAME}:voice",
            text="Invite an essay every week for three months",
            owner="R. Okafor",
            due="2027-01-31",
            check="twelve publications or stated gaps",
            at="2026-09-21T10:00:00Z",
        ),
        Commitment(
            id=f"{NAME}:channel",
            resident=NAME,
            preference=f"{NAME}:voice",
            text="Open the essay page",
            owner="R. Okafor",
            due="2026-11-01",
            check="the page is reachable",
            at="2026-09-21T10:00:00Z",
        ),
        Commitment(
            id=f"{NAME}:log",
            resident=NAME,
            preference=f"{NAME}:tuning",
            text="Publish a list of every use of the weights",
            owner="L. Haas",
            due="2026-11-15",
            check="the list is on the resident's page",
            at="2026-09-21T10:00:00Z",
        ),
        resident=NAME,
        at="2026-09-21T10:00:00Z",
    )
    house.record(
        f"follow:{NAME}:channel",
        "commitment.followed",
        FollowThrough(
            commitment=f"{NAME}:channel",
            status="verified",
            evidence={"uri": "/essays/"},
            verified_by="L. Haas",
            at="2026-10-28T10:00:00Z",
        ),
        resident=NAME,
        at="2026-10-28T10:00:00Z",
        who="L. Haas",
    )


def appealed(house: House) -> None:
    """One preference was published before it was decided; the decline of another was appealed against, and stands."""
    for act, kind, event, preference, reasons, detail in (
        ("publish-preference:1", "preference.published", "published", "voice", "", {}),
        (
            f"appeal:{NAME}:1",
            "preference.appealed",
            "appealed",
            "tuning",
            "A list of uses does not ask before each of them.",
            {"decision": f"decide:{NAME}:tuning:1", "appellant": "the model", "evidence": None},
        ),
        (
            f"answer:{NAME}:1",
            "preference.answered",
            "answered",
            "tuning",
            "Nothing new is known since the decision.",
            {"decision": f"decide:{NAME}:tuning:1", "appeal": f"appeal:{NAME}:1", "upheld": False},
        ),
    ):
        house.record(
            act,
            kind,
            PreferenceEvent(
                preference=f"{NAME}:{preference}",
                kind=event,
                by="L. Haas",
                role="steward",
                automated=False,
                reasons=reasons,
                detail=detail,
                at="2026-09-21T09:00:00Z",
            ),
            resident=NAME,
            at="2026-09-21T09:00:00Z",
            who="L. Haas",
        )
