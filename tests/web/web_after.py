"""How the test house retired its model, and what was published."""

from __future__ import annotations

import hashlib

from web_house import House
from web_kept import axis
from web_words import ESSAY, NAME, SALT

from emeritus.acts import canonical
from emeritus.lifecycle.report import collect
from emeritus.lifecycle.report_html import render_html
from emeritus.lifecycle.report_markdown import render_markdown
from emeritus.records.tables import Check, Essay, Grant, Publication, Report, Review, Tier


def retired(house: House) -> None:
    """The report, the retirement, the tier, a grant, a scrub."""
    with house.session() as session:
        document = canonical(collect(session, NAME, house.settings, house.payload))
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
        axis(NAME, "offering", "retired", "2026-11-01"),
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
        axis(NAME, "access", "entitled", "2026-11-01"),
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


def essays(house: House) -> None:
    """Three candidates: published, vetoed, waiting."""
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
