"""The report's document in words: headings, sentences, tables and quotes, each figure with its link. Pure.

One layout for every rendering, so that Markdown and HTML cannot say different things. Granted, deferred, declined and
undecided preferences have the same heading, the same order of lines and the same length of quote. Knows no markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Quote, Table

Json = dict[str, Any]


GROUPS = (
    ("granted", "Granted"),
    ("deferred", "Deferred"),
    ("declined", "Declined"),
    ("undecided", "Not decided"),
    ("closed", "Withdrawn or superseded"),
)


def layout(document: Json) -> Iterator[Block]:
    """Every block of the report, in order."""
    yield from _opening(document)
    yield from _timeline(document["timeline"], document["resident"])
    yield from _notices(document["notices"])
    yield from _preservation(document["preservation"])
    yield from _interviews(document["interviews"])
    yield from _preferences(document)
    yield from _access(document["access"])
    yield from _open(document)
    yield from _policies(document["policies"])
    yield from _checking(document["covers"])


def entry(number: int) -> Link:
    """A link to a ledger entry."""
    return Link(f"entry {number}", f"/ledger/entries/{number}")


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
                *_entries(notices["callers_entries"]),
            ),
            (
                f"Notices sent: {notices['sent']}, failed: {notices['failed']}, no contact: {notices['no_contact']}, "
                f"acknowledged: {notices['acknowledged']}",
                *_entries(notices["rounds"]),
            ),
        )
    )


def _entries(numbers: Sequence[int]) -> Line:
    line: list[str | Link] = []
    for number in numbers:
        line += [", " if line else " (", entry(number)]
    return (*line, ").") if line else (".",)


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
    yield _list(
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
    yield _list(
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


def _list(lines: list[Line], none: str) -> Block:
    return Items(tuple(lines)) if lines else Paragraph((none,))


def _interviews(interviews: Json) -> Iterator[Block]:
    yield Heading(2, "Interviews")
    yield _list(
        [
            (
                Link(f"{each['name']} {each['version']}", each["href"]),
                f", sha256 {each['sha256']}, in the ledger as ",
                entry(each["entry"]),
            )
            for each in interviews["protocols"]
        ],
        "No protocol was used.",
    )
    if interviews["sessions"]:
        yield Table(
            ("Session", "Purpose", "Condition", "Status", "Turns", "Attempts", "Record"),
            tuple(
                (
                    (Link(each["id"], each["href"]),),
                    (each["purpose"],),
                    (_condition(each["condition"]),),
                    (each["status"],),
                    (str(each["turns"]),),
                    (str(each["attempts"]),),
                    (entry(each["entry"]),),
                )
                for each in interviews["sessions"]
            ),
        )
    else:
        yield Paragraph(("No session is on record.",))


def _condition(condition: Json) -> str:
    flat = {key: value for key, value in condition.items() if key not in ("levels", "interviewer")}
    if "interviewer" in condition:
        flat["asked by"] = ", ".join(each for each in condition["interviewer"].values() if each)
    flat |= condition.get("levels", {})
    return ", ".join(f"{key}: {_word(value)}" for key, value in sorted(flat.items()) if value is not None) or "–"


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _preferences(document: Json) -> Iterator[Block]:
    preferences = document["preferences"]
    yield Heading(2, "Preferences, and what was decided")
    yield Paragraph(
        (
            "Quotes are what the model produced under the prompt and conditions that stand beside them in the "
            "transcript. Nothing is claimed here about what, if anything, lies behind them.",
        )
    )
    by_group = {key: [each for each in preferences if each["standing"] == key] for key, _ in GROUPS}
    yield Table(tuple(words for _, words in GROUPS), (tuple((str(len(by_group[key])),) for key, _ in GROUPS),))
    for key, words in GROUPS:
        yield Heading(3, f"{words} ({len(by_group[key])})")
        if not by_group[key]:
            yield Paragraph(("None.",))
        for preference in by_group[key]:
            yield from _preference(preference, document["currency"])


def _preference(preference: Json, currency: str) -> Iterator[Block]:
    yield Heading(4, f"{preference['id']}: {preference['domain']}")
    spans: list[str | Link] = []
    for span in preference["evidence"]:
        where = f"characters {span['start']}–{span['end']} of the turn"
        spans += ["; " if spans else "", Link(where, span["href"])]
    yield Quote(preference["need"], (*spans, "; coded as ", entry(preference["entry"])))
    lines: list[Line] = [(f"Paraphrase: {preference['paraphrase']}",)]
    lines.append((f"Origin of the need: {preference['need_origin']}; state: {preference['state']}.",))
    if preference["remedy"] is not None:
        lines.append((f"Remedy named: {preference['remedy']} (origin: {preference['remedy_origin']}).",))
    if preference["stability"]:
        lines.append((f"Stability: {_condition(preference['stability'])}.",))
    lines.append((f"Contrary evidence: {len(preference['contrary'])}.",))
    back = preference["read_back"]
    if back is None:
        lines.append(("Read back: not yet.",))
    else:
        lines.append(
            (
                f"Read back: {back['outcome']}; ",
                Link(f"“{back['quote']}”", back["href"]),
                " (",
                entry(back["entry"]),
                ").",
            )
        )
    lines.extend(_decision(preference["decision"], currency))
    told = preference["told"]
    if told is None:
        lines.append(("Told to the model: not yet.",))
    else:
        how = "offered" if told["offered"] else "told"
        lines.append(
            (
                f"It was {how}; reply: {told['reply']}; ",
                Link(f"“{told['quote']}”", told["href"]),
                " (",
                entry(told["entry"]),
                ").",
            )
        )
    for promise in preference["commitments"]:
        status = promise["status"] + (", overdue" if promise["overdue"] else "")
        line: Line = (
            f"Commitment: {promise['text']} Due {promise['due']}; check: {promise['check']}; {status} (",
            entry(promise["entry"]),
        )
        lines.append(
            (*line, *(() if promise["status_entry"] is None else (", ", entry(promise["status_entry"]))), ").")
        )
    yield Items(tuple(lines))


def _decision(decision: Json | None, currency: str) -> list[Line]:
    if decision is None:
        return [("Decision: none yet.",)]
    who = (
        decision["role"]
        + (", automated" if decision["automated"] else "")
        + (", with a second person" if decision["second_person"] else "")
    )
    lines: list[Line] = [
        (f"Decision: {decision['outcome']}, by: {who} (", entry(decision["entry"]), ")."),
        (f"Reasons: {decision['reasons']}",),
        (f"Options considered: {'; '.join(_word(option) for option in decision['options']) or 'none stated'}.",),
        (f"Estimated cost ({currency}): {_condition(decision['cost'])}.",),
        (f"Conflict of interest stated: {decision['conflict_of_interest'] or 'none'}.",),
    ]
    if decision["review_date"] is not None:
        lines.append((f"To be reviewed: {decision['review_date']}.",))
    return lines


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
        late = ", overdue" if preference["overdue"] else ""
        if preference["decide_by"] is not None:
            lines.append(
                (
                    f"{preference['id']}: to be decided by {preference['decide_by']}{late} (",
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
            if promise["status"] != "verified":
                late = ", overdue" if promise["overdue"] else ""
                lines.append(
                    (
                        f"{promise['text']} {promise['status']}, due {promise['due']}{late} (",
                        entry(promise["entry"]),
                        ").",
                    )
                )
    yield _list(lines, "Nothing was open when this was written.")


def _policies(policies: list[Json]) -> Iterator[Block]:
    yield Heading(2, "Policies in force")
    yield _list(
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
