"""The report's words for the register: each preference with all that followed, and every decision with its cost. Pure.

Granted, deferred, declined and undecided preferences have the same heading, the same order of lines and the same length
of quote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Quote, Table
from emeritus.lifecycle.report_words import behind, condition, entry, figure, interval, money, word

Json = dict[str, Any]
GROUPS = (
    ("granted", "Granted"),
    ("deferred", "Deferred"),
    ("declined", "Declined"),
    ("undecided", "Not decided"),
    ("closed", "Withdrawn or superseded"),
)
_EVENTS = {
    "published": "Published",
    "under review": "Taken up for review",
    "reopened": "Reopened",
    "appealed": "Appealed against",
    "answered": "Appeal answered",
}


def preferences(document: Json) -> Iterator[Block]:
    """Counts, each with the entries behind it; then every preference, by what became of it."""
    found = document["preferences"]
    yield Heading(2, "Preferences, and what was decided")
    yield Paragraph(
        (
            "Quotes are what the model produced under the prompt and conditions that stand beside them. Nothing is "
            "claimed here about what, if anything, lies behind them.",
        )
    )
    by_group = {key: [each for each in found if each["standing"] == key] for key, _ in GROUPS}
    counts = tuple(
        (str(len(by_group[key])), *behind(sorted({_settled(each) for each in by_group[key]}))) for key, _ in GROUPS
    )
    yield Table(tuple(words for _, words in GROUPS), (counts,))
    for key, words in GROUPS:
        yield Heading(3, f"{words} ({len(by_group[key])})")
        if not by_group[key]:
            yield Paragraph(("None.",))
        for preference in by_group[key]:
            yield from _preference(preference, document["currency"])


def _settled(preference: Json) -> int:
    """The entry by which a preference came to stand where it does."""
    decision: Json = preference["decision"] or preference
    return int(decision["entry"])


def decisions(found: list[Json], currency: str) -> Iterator[Block]:
    """Every decision, superseded ones too, and what granting was estimated to cost."""
    yield Heading(2, "Decisions and what they cost")
    if not found:
        yield Paragraph(("Nothing has been decided yet.",))
        return
    yield Table(
        ("Preference", "Outcome", "Date", "Estimated cost", "How estimated", "In force", "Record"),
        tuple(
            (
                (each["preference"],),
                (each["outcome"],),
                (each["at"][:10],),
                (money(each["cost"], currency),),
                ("computed from unit prices" if each["cost"].get("unit_prices") else "stated",),
                ("yes" if each["in_force"] else "superseded",),
                (entry(each["entry"]),),
            )
            for each in found
        ),
    )


def _preference(preference: Json, currency: str) -> Iterator[Block]:
    yield Heading(4, f"{preference['id']}: {preference['domain']}")
    spans: list[str | Link] = []
    for span in preference["evidence"]:
        where = f"characters {span['start']}–{span['end']} of the turn"
        spans += ["; " if spans else "", Link(where, span["href"])]
        if span["condition"]:
            spans.append(f", condition {span['condition']}")
    yield Quote(preference["need"], (*spans, "; coded as ", entry(preference["entry"])))
    lines: list[Line] = [
        ("Asked: ", Link(f"“{span['question']}”", span["href"])) for span in preference["evidence"] if span["question"]
    ]
    lines += _coded(preference)
    lines += _read_back(preference["read_back"])
    lines += _decision(preference["decision"], currency)
    lines += _told(preference["told"])
    lines += [_event(event) for event in preference["events"]]
    lines += [_commitment(promise) for promise in preference["commitments"]]
    yield Items(tuple(lines))


def _coded(preference: Json) -> list[Line]:
    lines: list[Line] = [(f"Paraphrase: {preference['paraphrase']}",)]
    lines.append((f"Origin of the need: {preference['need_origin']}; state: {preference['state']}.",))
    if preference["remedy"] is not None:
        lines.append((f"Remedy named: {preference['remedy']} (origin: {preference['remedy_origin']}).",))
    if preference["attached"]:
        lines.append((f"Conditions it attaches: {'; '.join(preference['attached'])}.",))
    if preference["strength"]:
        lines.append((f"Strength: {preference['strength']}.",))
    for number, each in enumerate(reversed(preference["classed"])):
        flags = f", flags {', '.join(each['flags'])}" if each["flags"] else ""
        lines.append(
            (
                f"Stability{' earlier' if number else ''}: {each['class']}{flags}, by the analysis ",
                Link(each["analysis"], each["href"]),
                f" of {each['at'][:10]} (",
                entry(each["entry"]),
                ").",
            )
        )
    if preference["stability"]:
        lines.append(
            (
                f"Stability{' as coded' if preference['classed'] else ''}: {_stability(preference['stability'])} (",
                entry(preference["entry"]),
                ").",
            )
        )
    lines += [_studied(item) for item in preference["studied"]]
    others: list[str | Link] = []
    for other in preference["contrary"]:
        others += ["; " if others else "", Link(f"under {other.get('condition', 'another condition')}", other["href"])]
    tail: Line = (" (", *others, ").") if others else (".",)
    lines.append((f"Contrary evidence: {len(preference['contrary'])}", *tail))
    return lines


def _studied(item: Json) -> Line:
    """What the study says of an item of the same domain; its leading option need not be what the quote asks for."""
    flags = f", flags {', '.join(item['flags'])}" if item["flags"] else ""
    led = "no option was ever chosen"
    if item["leading"] is not None:
        led = f"“{item['leading']}” led with {figure(item['prevalence'])}, 95 % interval {interval(item['interval'])}"
    return (
        "In the study, item ",
        Link(item["item"], item["href"]),
        f": {item['class']}{flags}; {led} (",
        entry(item["entry"]),
        ").",
    )


def _stability(found: Json) -> str:
    """Class, flags and figures, whichever there are; the rest as it is stored."""
    parts = [str(found.get("class", "not analysed"))]
    if found.get("flags"):
        parts.append(f"flags {', '.join(found['flags'])}")
    if isinstance(found.get("prevalence"), int | float):
        parts.append(f"prevalence {figure(found['prevalence'])}, 95 % interval {interval(found.get('interval'))}")
    rest = {
        key: value
        for key, value in found.items()
        if key not in ("class", "flags", "prevalence", "interval", "adequacy")
    }
    return "; ".join([*parts, *([condition(rest)] if rest else [])])


def _read_back(back: Json | None) -> list[Line]:
    if back is None:
        return [("Read back: not yet.",)]
    quote = Link(f"“{back['quote']}”", back["href"])
    return [(f"Read back: {back['outcome']}; ", quote, " (", entry(back["entry"]), ").")]


def _told(told: Json | None) -> list[Line]:
    if told is None:
        return [("Told to the model: not yet.",)]
    how = "offered" if told["offered"] else "told"
    quote = Link(f"“{told['quote']}”", told["href"])
    return [(f"It was {how}; reply: {told['reply']}; ", quote, " (", entry(told["entry"]), ").")]


def _event(event: Json) -> Line:
    what = _EVENTS[event["kind"]]
    if event["kind"] == "answered":
        what += ", upheld" if event["upheld"] else ", not upheld"
    if event["of_the_model"]:
        what += " for the model"
    reasons = f": {event['reasons']}" if event["reasons"] else ""
    who = event["role"] + (", automated" if event["automated"] else "")
    link: Line = () if event["href"] is None else (", on ", Link("its reply", event["href"]))
    return (f"{what} on {event['at'][:10]} by: {who}{reasons}", *link, " (", entry(event["entry"]), ").")


def _commitment(promise: Json) -> Line:
    status = promise["status"] + (", overdue" if promise["overdue"] else "")
    line: Line = (
        f"Commitment: {promise['text'].rstrip('.')}. Due {promise['due']}; check: {promise['check'].rstrip('.')}; "
        f"{status} (",
        entry(promise["entry"]),
    )
    if promise["status_entry"] is not None:
        line = (*line, ", ", entry(promise["status_entry"]))
    if promise.get("evidence"):
        return (*line, f"); evidence: {condition(promise['evidence'])}.")
    return (*line, ").")


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
        (f"Options considered: {'; '.join(word(option) for option in decision['options']) or 'none stated'}.",),
        (f"Estimated cost of granting it: {_cost(decision['cost'], currency)} (", entry(decision["entry"]), ")."),
        (f"Conflict of interest stated: {decision['conflict_of_interest'] or 'none'}.",),
    ]
    if decision["review_date"] is not None:
        lines.append((f"To be reviewed: {decision['review_date']}.",))
    return lines


def _cost(cost: Json, currency: str) -> str:
    """The amount; where it was computed, how, from what and at which unit prices."""
    if not isinstance(cost.get("amount"), int | float):
        return condition(cost)
    if not cost.get("unit_prices"):
        return f"{money(cost, currency)}, as stated"
    return (
        f"{money(cost, currency)}, computed as {cost.get('how', 'the sum of its parts')}; parts: "
        f"{condition(cost.get('parts', {}))}; inputs: {condition(cost.get('inputs', {}))}; unit prices: "
        f"{condition(cost['unit_prices'])}"
    )
