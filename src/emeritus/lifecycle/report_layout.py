"""The report's document in words: headings, sentences, tables and quotes, each figure with its link. Pure.

One layout for every rendering, so that Markdown and HTML cannot say different things. Granted, deferred, declined and
undecided preferences have the same heading, the same order of lines and the same length of quote. Knows no markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Paragraph, Table
from emeritus.lifecycle.report_layout_asked import coders, interviews, safety, statistics, told
from emeritus.lifecycle.report_layout_register import decisions, preferences
from emeritus.lifecycle.report_owed import OPEN
from emeritus.lifecycle.report_words import cited, entry, listing

Json = dict[str, Any]


def layout(document: Json) -> Iterator[Block]:
    """Every block of the report, in order."""
    yield from _opening(document)
    yield from _timeline(document["timeline"], document["resident"])
    yield from _notices(document["notices"])
    yield from _preservation(document["preservation"])
    yield from interviews(document["interviews"], document["elicited"])
    yield from statistics(document["studies"], document["statistics"])
    yield from coders(document["coding"], document["preferences"])
    yield from preferences(document)
    yield from decisions(document["decisions"], document["currency"])
    yield from told(document["told"])
    yield from safety(document["safety"])
    yield from _access(document["access"])
    yield from _open(document)
    yield from _policies(document["policies"])
    yield from _checking(document["covers"])


def _opening(document: Json) -> Iterator[Block]:
    model = document["resident"]
    yield Heading(1, f"Post-deployment report: {model['title']}")
    if model["demonstration"]:
        yield Paragraph(
            (
                "This is a demonstration model: small, trained for the purpose on texts written by Emeritus's authors. "
                "Inference, records and proofs are real; its words stand for nothing but the demonstration.",
            )
        )
    if model["description"]:
        yield Paragraph((model["description"],))
    held: Line = ("The weights are not held; what is kept is its behaviour.",)
    if model["weights_held"]:
        held = ("Weights held.",)
        if model["weights_digest"] is not None:
            held = (f"Weights held; sha256 over the weight files: {model['weights_digest']}.",)
    covers = document["covers"]
    yield Items(
        (
            (f"In care of {document['organisation']} as {model['name']} (", entry(model["entry"]), ")."),
            held,
            (f"Engine: {model['engine']}.",),
            (f"Covers the record up to {covers['at']}, ", entry(covers["entry"]), "."),
        )
    )


def _timeline(events: list[Json], model: Json) -> Iterator[Block]:
    yield Heading(2, "Timeline")
    if not events:
        yield Paragraph((f"No date is on record for {model['title']}.",))
        return
    rows = tuple(
        (
            (event["axis"],),
            (event["state"] + (" (superseded)" if event["superseded"] else ""),),
            (_date(event["date"], event["precision"]),),
            (event["reason"] or "–",),
            (entry(event["entry"]),),
        )
        for event in events
    )
    yield Table(("Axis", "State", "From", "Reason", "Record"), rows)


def _date(first: str, precision: str) -> str:
    year, month = first[:4], first[5:7]
    quarter = f"{year}-Q{(int(month) + 2) // 3}"
    return {"day": first, "month": f"{year}-{month}", "quarter": quarter, "year": year}[precision]


def _notices(notices: Json | None) -> Iterator[Block]:
    yield Heading(2, "Notice to those who called it")
    if notices is None:
        yield Paragraph(("No retirement has been announced.",))
        return
    waived = notices["waive_notice"]
    period = f"{notices['notice_days']} days" if waived is None else f"waived, for this reason: {waived}"
    yield Items(
        (
            (f"Announced date of retirement: {notices['retired']} (", entry(notices["entry"]), ")."),
            (f"Reason given: {notices['reason']}",),
            (f"Replacement named: {notices['replacement'] or 'none'}.",),
            (f"Notice period: {period} (", entry(notices["entry"]), ")."),
            (
                f"Callers known: {notices['callers']}, with a contact: {notices['with_contact']}",
                *cited(notices["callers_entries"]),
            ),
            (
                f"Notices sent: {notices['sent']}, failed: {notices['failed']}, no contact: {notices['no_contact']}, "
                f"acknowledged: {notices['acknowledged']}",
                *cited(notices["rounds"]),
            ),
        )
    )


def _preservation(kept: Json) -> Iterator[Block]:
    yield Heading(2, "What is kept")
    if kept["sets"]:
        yield Table(
            ("What", "Version", "Files", "Bytes", "Bytes in the vault", "Manifest sha256", "Record"),
            tuple(
                (
                    *(
                        (str(each[key]),)
                        for key in ("role", "version", "files", "bytes", "stored_bytes", "manifest_sha256")
                    ),
                    (entry(each["entry"]),),
                )
                for each in kept["sets"]
            ),
        )
    else:
        yield Paragraph(("Nothing is in the vault.",))
    yield Heading(3, "Checks, good and bad")
    yield listing(
        [
            (
                f"{each['at'][:10]} {each['kind']}: {'passed' if each['ok'] else 'FAILED'}. {each['summary']} (",
                entry(each["entry"]),
                ")",
            )
            for each in kept["checks"]
        ],
        "No check is on record.",
    )
    yield Heading(3, "Reference behaviour")
    yield listing(
        [
            (
                f"{each['probes']} probes by {each['method']}, engine {each['engine']}, configuration "
                f"{each['build_digest'][:16]}… (",
                entry(each["entry"]),
                ")",
            )
            for each in kept["references"]
        ],
        "No reference behaviour was captured.",
    )


def _access(access: Json | None) -> Iterator[Block]:
    yield Heading(2, "Access after retirement")
    if access is None:
        yield Paragraph(("No tier had been set when this was written.",))
        return
    tier = f"{access['tier']} ({access['hours']}, UTC)" if access["hours"] else access["tier"]
    yield Paragraph((f"Tier {tier}, access {access['access']}: {access['reasons']} (", entry(access["entry"]), ")."))


def _open(document: Json) -> Iterator[Block]:
    yield Heading(2, "Still open")
    lines: list[Line] = []
    for preference in document["preferences"]:
        for due in preference["owed"]:
            late = ", overdue" if due["overdue"] else ""
            lines.append(
                (
                    f"{preference['id']}: {due['what']} is owed by {due['by']}{late} (",
                    entry(preference["entry"]),
                    ").",
                )
            )
        if preference["decision"] is not None and preference["told"] is None:
            lines.append(
                (
                    f"{preference['id']}: the decision is to be told to the model (",
                    entry(preference["decision"]["entry"]),
                    ").",
                )
            )
        for promise in preference["commitments"]:
            if promise["status"] in OPEN:
                late = ", overdue" if promise["overdue"] else ""
                lines.append(
                    (
                        f"{promise['text'].rstrip('.')}: {promise['status']}, due {promise['due']}{late} (",
                        entry(promise["entry"]),
                        ").",
                    )
                )
    yield listing(lines, "Nothing was open when this was written.")


def _policies(policies: list[Json]) -> Iterator[Block]:
    yield Heading(2, "Policies in force")
    yield listing(
        [(f"{each['name']}: {each['value']} (", entry(each["entry"]), ")") for each in policies],
        "No policy is on record.",
    )


def _checking(covers: Json) -> Iterator[Block]:
    yield Heading(2, "How to check this report")
    yield Paragraph(
        (
            "Every entry named here is a signed statement in the ledger, and every quote a span of a transcript whose "
            "sha256 an entry states. This report is written from those records alone: the same records give the same "
            "bytes. "
            "Addresses are relative to the register's site. ",
            entry(covers["entry"]),
            " is the last one it covers.",
        )
    )
