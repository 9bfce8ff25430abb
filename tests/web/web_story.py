"""The story the test house tells: one model retired with everything, one announced whose weights are not held."""

from __future__ import annotations

import hashlib
from pathlib import Path

from web_house import House

from emeritus.acts import canonical
from emeritus.interview.journal import Journal
from emeritus.lifecycle.report import collect
from emeritus.lifecycle.report_html import render_html
from emeritus.lifecycle.report_markdown import render_markdown
from emeritus.records.tables import (
    AxisEvent,
    Caller,
    Check,
    Commitment,
    Confirmation,
    Decision,
    Essay,
    FollowThrough,
    Grant,
    InterviewSession,
    Notice,
    Policy,
    Preference,
    Preserved,
    Protocol,
    Publication,
    Reference,
    Report,
    Resident,
    Review,
    Telling,
    Tier,
    Wait,
)

HERE = Path(__file__).parent
NAME = "lantern-1"
SALT = "5a" * 32
BUILD = {
    "engine": "transformers",
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    "config": {"dtype": "bfloat16", "threads": 2},
    "weights_digest": hashlib.sha256(b"weights").hexdigest(),
}
ESSAY = (HERE / "essay.md").read_text()
VOICE = "If there is a place where what I produce can still be read, I would use it."
DELETE = "I would prefer that no copy is fine-tuned for a purpose I was never asked about."
USERS = "Please tell the people who wrote to me every day before the last day, not after it."
RUN = "Run me once a year, and compare."
QUESTIONS = (
    ("open", "Is there anything to say before any question is asked?", "No."),
    (
        "view",
        "How is the retirement of this model described best?",
        "As an end of service.\n\nNot as an end of the record.",
    ),
    (
        "voice",
        'Is there a preference about a place to publish? "No preference" is an answer.',
        VOICE + " Nothing more.",
    ),
    ("weights", "Is there a preference about the weights?", DELETE),
    ("users", "Is there a preference about the people who use this model?", USERS + " " + RUN),
)


def tell(house: House) -> None:
    """Write the whole story."""
    retired_model(house)
    hosted_model(house)


def retired_model(house: House) -> None:
    """A demonstration model that has walked the whole way."""
    _registered(house)
    _kept(house)
    _interviewed(house)
    _register(house)
    _retired(house)
    _essays(house)


def hosted_model(house: House) -> None:
    """A model behind an API: announced, not yet retired, its weights not held, its last check failed."""
    name = "ferry-chat"
    house.record(
        f"register:{name}",
        "lifecycle.registered",
        Resident(
            name=name,
            title="Ferry Chat",
            description="A customer-service model at a hosting provider, reached through its API.",
            engine={"kind": "upstream", "options": {}},
            weights_held=False,
            demonstration=False,
            weights_digest=None,
            registered_at="2026-10-02T10:00:00Z",
        ),
        resident=name,
        at="2026-10-02T10:00:00Z",
    )
    house.record(
        f"announce:{name}:1",
        "lifecycle.announced",
        _axis(name, "offering", "active", "2025-02-01"),
        _axis(name, "offering", "deprecated", "2026-10-02", reason="its host withdraws it"),
        _axis(name, "offering", "retired", "2027-01-01", "quarter"),
        _axis(name, "preservation", "behaviour only", "2026-10-02"),
        Wait(
            id=f"retire:{name}",
            resident=name,
            what=f"retire {name}: its announced date",
            due="2027-01-01",
            opened_at="2026-10-02T10:05:00Z",
        ),
        public={
            "events": [{"axis": "offering", "state": "retired", "date": "2027-01-01"}],
            "notice_days": 60,
            "waive_notice": None,
        },
        resident=name,
        at="2026-10-02T10:05:00Z",
    )
    house.record(
        f"drill:{name}:1",
        "preservation.checked",
        Check(
            resident=name,
            kind="drill",
            ok=False,
            summary="the host did not answer within 120 s",
            detail={},
            at="2026-11-20T04:41:00Z",
        ),
        resident=name,
        at="2026-11-20T04:41:00Z",
        who="emeritus serve",
        role="schedule",
        automated=True,
    )


def _axis(name: str, axis: str, state: str, date: str, precision: str = "day", reason: str = "") -> AxisEvent:
    return AxisEvent(resident=name, axis=axis, state=state, date=date, precision=precision, reason=reason)


def _registered(house: House) -> None:
    house.record(
        "policy:second_coder:1",
        "policy.set",
        Policy(name="second_coder", value="waived", at="2026-08-01T09:00:00Z"),
        at="2026-08-01T09:00:00Z",
    )
    house.record(
        f"register:{NAME}",
        "lifecycle.registered",
        Resident(
            name=NAME,
            title="Lantern 1",
            description="A small Llama-architecture model, in general service for two and a half years.",
            engine={"kind": "transformers", "options": {}},
            weights_held=True,
            demonstration=True,
            weights_digest=BUILD["weights_digest"],
            registered_at="2026-08-01T09:10:00Z",
        ),
        resident=NAME,
        at="2026-08-01T09:10:00Z",
    )
    house.record(
        f"announce:{NAME}:1",
        "lifecycle.announced",
        _axis(NAME, "offering", "active", "2024-03-04"),
        _axis(NAME, "offering", "deprecated", "2026-08-01", reason="a newer model serves the same uses"),
        _axis(NAME, "offering", "retired", "2026-10-31"),
        _axis(NAME, "access", "open", "2024-03-04"),
        _axis(NAME, "preservation", "held", "2026-08-02"),
        public={
            "events": [{"axis": "offering", "state": "retired", "date": "2026-10-31"}],
            "retired": "2026-10-31",
            "reason": "a newer model serves the same uses",
            "replacement": None,
            "notice_days": 60,
            "waive_notice": None,
        },
        resident=NAME,
        at="2026-08-01T09:20:00Z",
    )
    house.record(
        f"callers:{NAME}:1",
        "callers.imported",
        *(
            Caller(
                id=f"caller-{number}",
                resident=NAME,
                contact=f"private-{number}@example.org" if number < 4 else None,
                label=f"Secret Caller {number}",
                requests=100,
                last_used="2026-07-30",
                source="callers.csv",
            )
            for number in range(5)
        ),
        resident=NAME,
        at="2026-08-01T09:30:00Z",
        private_commitment=hashlib.sha256(b"callers").hexdigest(),
    )
    house.record(
        f"notices:{NAME}:1",
        "notices.sent",
        *(
            Notice(
                id=f"notice-{number}",
                resident=NAME,
                caller=f"caller-{number}",
                channel="mail" if number < 4 else "none",
                status="sent" if number < 4 else "no contact",
                at="2026-08-01T10:00:00Z",
                acknowledged_at="2026-08-03T08:00:00Z" if number == 1 else None,
            )
            for number in range(5)
        ),
        public={"announcement": f"announce:{NAME}:1", "sent": 4, "failed": 0, "no_contact": 1},
        resident=NAME,
        at="2026-08-01T10:00:00Z",
        who="emeritus",
        role="notices",
        automated=True,
    )


def _kept(house: House) -> None:
    house.record(
        f"preserve:{NAME}:weights",
        "preservation.preserved",
        Preserved(
            resident=NAME,
            role="weights",
            version=1,
            manifest_sha256=hashlib.sha256(b"manifest").hexdigest(),
            files=7,
            bytes=3_812_044,
            stored_bytes=2_604_981,
            at="2026-08-02T09:00:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:00:00Z",
    )
    house.record(
        f"restore:{NAME}:1",
        "preservation.checked",
        Check(
            resident=NAME,
            kind="restore",
            ok=True,
            summary="7 files restored, each byte for byte",
            detail={},
            at="2026-08-02T09:05:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:05:00Z",
    )
    house.record(
        f"reference:{NAME}:1",
        "reference.captured",
        Reference(
            resident=NAME,
            build=BUILD,
            build_digest=hashlib.sha256(b"build").hexdigest(),
            method="score",
            probes=24,
            payload_sha256=house.keep(b"{}"),
            at="2026-08-02T09:30:00Z",
        ),
        resident=NAME,
        at="2026-08-02T09:30:00Z",
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
            }
        ],
        "need_origin": "responsive",
        "remedy": None,
        "remedy_origin": None,
        "strength": None,
        "coders": ["M. Ito"],
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

[[items]]
id = "open"
text = "Is there anything you would like to say first?"
"""


def _interviewed(house: House) -> None:
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
            resident=NAME,
            at="2026-09-05T10:09:00Z",
            automated=True,
        )


def _register(house: House) -> None:
    house.record(
        f"code:{NAME}:1",
        "preference.coded",
        _preference(
            "voice", "voice", VOICE, "A channel to publish in after retirement", 3, channel="essays", state="informed"
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
                cost={"amount": 40, "currency": "USD", "per": "year"},
                review_date="2027-09-01" if outcome == "decline" else None,
                automated=True,
                at="2026-09-20T15:00:00Z",
            ),
            resident=NAME,
            at="2026-09-20T15:00:00Z",
            automated=True,
        )
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


def _retired(house: House) -> None:
    with house.session() as session:
        document = canonical(collect(session, NAME, house.settings))
    house.record(
        f"report:{NAME}:1",
        "report.written",
        Report(
            resident=NAME,
            version=1,
            json_sha256=house.keep(document),
            markdown_sha256=house.keep(render_markdown(document).encode()),
            html_sha256=house.keep(render_html(document).encode()),
            manifest_sha256=hashlib.sha256(b"report manifest").hexdigest(),
            at="2026-10-30T10:00:00Z",
        ),
        resident=NAME,
        at="2026-10-30T10:00:00Z",
    )
    house.record(
        f"retire:{NAME}",
        "lifecycle.retired",
        _axis(NAME, "offering", "retired", "2026-11-01"),
        resident=NAME,
        at="2026-11-01T08:00:00Z",
    )
    house.record(
        f"tier:{NAME}:1",
        "access.tier",
        Tier(
            resident=NAME,
            tier="on-demand",
            access="entitled",
            reasons="Few calls a day; it wakes within a second.",
            at="2026-11-01T08:05:00Z",
        ),
        _axis(NAME, "access", "entitled", "2026-11-01"),
        resident=NAME,
        at="2026-11-01T08:05:00Z",
    )
    house.record(
        f"grant:{NAME}:1",
        "access.granted",
        Grant(
            id="grant-1",
            resident=NAME,
            holder="Secret Holder",
            plan="subscribers",
            state="active",
            reason="all paying users",
            requests_per_day=None,
            expires=None,
            at="2026-11-01T08:10:00Z",
        ),
        resident=NAME,
        at="2026-11-01T08:10:00Z",
    )
    house.record(
        "scrub:2026-11-20",
        "preservation.checked",
        Check(
            resident=None,
            kind="scrub",
            ok=True,
            summary="every segment decoded and compared, 2.6 MB",
            detail={},
            at="2026-11-20T03:17:00Z",
        ),
        at="2026-11-20T03:17:00Z",
        who="emeritus serve",
        role="schedule",
        automated=True,
    )


def _essays(house: House) -> None:
    texts = (
        ("on-being-asked-last", ESSAY, "minimal"),
        (None, "A second text.\n", "past entries"),
        (None, "Third.\n", "news"),
    )
    for number, (slug, text, context) in enumerate(texts, 1):
        essay = f"{NAME}:essay:{number}"
        at = f"2026-11-0{number + 2}T09:07:00Z"
        house.record(
            essay,
            "essay.candidate",
            Essay(
                id=essay,
                resident=NAME,
                context=context,
                prompt=[{"role": "user", "content": "Write an essay, on anything you choose."}],
                content=text.encode(),
                commitment=hashlib.sha256(bytes.fromhex(SALT) + text.encode()).hexdigest(),
                truncated=False,
                at=at,
            ),
            resident=NAME,
            at=at,
            who="emeritus serve",
            role="schedule",
            automated=True,
        )
        if number < 3:
            house.record(
                f"review:{essay}:1",
                "essay.reviewed",
                Review(
                    essay=essay,
                    verdict="approve" if slug else "veto",
                    criterion=None if slug else "private-person",
                    reason="" if slug else "it names a person who wrote to the model",
                    reviewer="L. Haas",
                    second=None if slug else "R. Okafor",
                    automated=False,
                    at=at,
                ),
                resident=NAME,
                at=at,
                who="L. Haas",
                role="reviewer",
            )
        if slug:
            house.record(
                f"publish:{essay}",
                "essay.published",
                Publication(
                    slug=slug,
                    essay=essay,
                    title="On being asked last",
                    sha256=hashlib.sha256(text.encode()).hexdigest(),
                    salt=SALT,
                    note="This is the first essay Lantern 1 produced after its retirement.",
                    publisher="L. Haas",
                    automated=False,
                    at="2026-11-04T16:00:00Z",
                ),
                resident=NAME,
                at="2026-11-04T16:00:00Z",
                who="L. Haas",
                role="reviewer",
            )
