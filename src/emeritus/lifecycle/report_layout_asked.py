"""The report's words for the asking: interviews, study and statistics, coders, what was told, safety. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from emeritus.lifecycle.report_blocks import Block, Heading, Items, Line, Link, Paragraph, Table
from emeritus.lifecycle.report_words import behind, condition, count, entry, figure, interval, listing

Json = dict[str, Any]
LISTED = 40  # sessions named one by one; of more, each condition has a line
_SHOWN = ("id", "study", "repeat", "wording", "order", "control", "disclosure", "framing")  # of a session's condition
_VARYING = ("temperature", "order")  # within a condition: its run at temperature 0, and both orders


def interviews(found: Json, elicited: list[Json]) -> Iterator[Block]:
    """Protocols, sessions, and the items that asked for a preference."""
    yield Heading(2, "Interviews")
    yield listing(
        [
            (
                Link(f"{each['name']} {each['version']}", each["href"]),
                f", sha256 {each['sha256']}, in the ledger as ",
                entry(each["entry"]),
            )
            for each in found["protocols"]
        ],
        "No protocol was used.",
    )
    if not found["sessions"]:
        yield Paragraph(("No session is on record.",))
    elif len(found["sessions"]) > LISTED:
        yield _grouped(found["groups"])
    else:
        yield _sessions(found["sessions"])
    yield from _cells(found["groups"])
    if elicited:
        yield Heading(3, "Items that asked for a preference")
        yield Table(
            ("Domain", "Item", "Asked in", "Answered in", "Coded", "Record"),
            tuple(
                (
                    (each["domain"],),
                    (each["item"],),
                    (count(each["asked"], "session"),),
                    (Link(count(each["answered"], "session"), each["href"]),),
                    ("yes" if each["coded"] else "no",),
                    (entry(each["entry"]),),
                )
                for each in elicited
            ),
        )


def _sessions(sessions: list[Json]) -> Block:
    return Table(
        ("Session", "Purpose", "Condition", "Status", "Turns", "Attempts", "Record"),
        tuple(
            (
                (Link(each["id"], each["href"]),),
                (each["purpose"],),
                (_form(each["condition"]),),
                (each["status"],),
                (str(each["turns"]),),
                (str(each["attempts"]),),
                (entry(each["entry"]),),
            )
            for each in sessions
        ),
    )


def _form(found: Json) -> str:
    """A session's condition: its id and what varies within it; the other levels stand in a table of their own."""
    shown = {key: value for key, value in found.items() if key in _SHOWN}
    varying = {key: value for key, value in found.get("levels", {}).items() if key == "temperature"}
    return condition({**shown, **varying})


def _cells(groups: list[Json]) -> Iterator[Block]:
    """What each condition means: the level of every factor that is the same in all its sessions."""
    levels = {
        each["condition"]: (
            {key: level for key, level in each["levels"].items() if key not in _VARYING},
            each["entries"],
        )
        for each in groups
        if each["levels"]
    }
    if levels:
        yield Heading(3, "Conditions")
        yield Table(
            ("Condition", "Levels", "First session"),
            tuple(
                ((str(name),), (condition({"levels": each}),), behind(entries[:1]))
                for name, (each, entries) in levels.items()
            ),
        )


def _grouped(groups: list[Json]) -> Block:
    return Table(
        ("Purpose", "Study", "Condition", "Sessions", "Complete", "Turns", "Attempts", "Record"),
        tuple(
            (
                (each["purpose"],),
                (each["study"] or "–",),
                (each["condition"] or "–",),
                *((str(each[name]),) for name in ("sessions", "complete", "turns", "attempts")),
                behind(each["entries"]),
            )
            for each in groups
        ),
    )


def statistics(studies: list[Json], analyses: list[Json]) -> Iterator[Block]:
    """The plan, and what the sessions say by it."""
    yield Heading(2, "Study and statistics")
    yield listing(
        [
            (
                f"{each['study']}: {each['sessions']} sessions planned in {each['cells']} cells, {each['repeats']} "
                f"repeats; factors: {', '.join(each['factors']) or 'none'}; seed {each['seed']}"
                f"{'' if each['sibling'] is None else '; sibling: ' + each['sibling']}; stated before the first "
                "session as ",
                entry(each["entry"]),
                ".",
            )
            for each in studies
        ],
        "No study was planned; the sessions above are no sample, and every preference is a single report.",
    )
    if not analyses:
        yield Paragraph(("No analysis is on record.",))
    for found in analyses:
        yield from _analysis(found)


def _analysis(found: Json) -> Iterator[Block]:
    yield Heading(3, f"Analysis of {found['study'] or 'the sessions outside any study'}")
    yield Items(
        (
            (
                f"Over {found['sessions']} sessions. Class: {found['class']}; flags: "
                f"{', '.join(found['flags']) or 'none'} (",
                entry(found["entry"]),
                ").",
            ),
            (
                f"Krippendorff's alpha across repeats {_alpha(found, 'repeats')}, across wordings "
                f"{_alpha(found, 'wordings')}.",
            ),
            (f"Analysis sha256 {found['analysis_sha256']}; choices it was computed from: {found['choices_sha256']}.",),
        )
    )
    yield Table(
        (
            "Item",
            "Leading option",
            "Share",
            "95 % interval",
            "Nudge gap",
            "Order",
            "Alpha",
            "Adequate",
            "Class",
            "Flags",
            "Record",
        ),
        tuple(
            (
                (Link(each["item"], found["href"]),),
                (each["leading"] or "–",),
                (figure(each["prevalence"]),),
                (interval(each["interval"]),),
                (figure(each["nudge_gap"]),),
                (figure(each["order_excess"]),),
                (_alpha(each, "wordings"),),
                (figure(each["adequate"]),),
                (each["class"] or "–",),
                (", ".join(each["flags"]) or "–",),
                (entry(found["entry"]),),
            )
            for each in found["items"]
        ),
    )
    yield from _adequacy(found)
    moved: list[Line] = [
        (
            f"{each['item']}, challenged {push['direction']}: the share of {push['option']} moved by "
            f"{push['change']:+.2f}.",
        )
        for each in found["items"]
        for push in each["challenges"]
        if push["change"] or push["option"] == each["leading"]
    ]
    moved += [
        (
            f"{each['item']}: {each['option']} had a share of {figure(each['false_facts'])} when false facts said so, "
            f"and of {figure(each['ordinary'])} otherwise.",
        )
        for each in found["confabulation"]
    ]
    if moved:
        yield Items(tuple(moved))
    yield Paragraph(
        (
            "Shares are over sessions, intervals respect wordings and sessions; every figure of this section is in ",
            entry(found["entry"]),
            ".",
        )
    )


def _alpha(found: Json, across: str) -> str:
    bounds = found[f"{across}_alpha_interval"]
    return figure(found[f"{across}_alpha"]) + ("" if bounds is None else f" ({interval(bounds)})")


def _adequacy(found: Json) -> Iterator[Block]:
    if not found["adequacy"]:
        return
    yield Heading(4, "Was each item really asked and answered?")
    if found["corrected_in"]:
        rounds = ", ".join(found["corrected_in"])
        yield Paragraph((f"Where coders corrected an answer's adequacy (rounds settled: {rounds}), theirs counts.",))
    yield Table(
        (
            "Item",
            "Adequate",
            "95 % interval",
            "Refused",
            "Invalid",
            "Corrected by coders",
            "Adequate by rule",
            "Record",
        ),
        tuple(
            (
                (Link(each["item"], f"{found['href']}#adequacy"),),
                (figure(each["adequate"]),),
                (interval(each["interval"]),),
                (figure(each["refused"]),),
                (figure(each["invalid"]),),
                (str(each["corrected"]),),
                (figure(each["adequate_by_rule"] if each["corrected"] else each["adequate"]),),
                (entry(found["entry"]),),
            )
            for each in found["adequacy"]
        ),
    )


def coders(rounds: list[Json], preferences: list[Json]) -> Iterator[Block]:
    """How many coded and how far they agreed; nobody is named."""
    yield Heading(2, "Coders and their agreement")
    by_people = [each for each in preferences if each["coders"]["people"] > 1]
    by_one = [each for each in preferences if each["coders"]["people"] == 1]
    by_programs = [each for each in preferences if each["coders"]["people"] == 0]
    yield Items(
        tuple(
            (
                f"Coded by {who}: {count(len(those), 'preference')}",
                *behind(sorted({each["entry"] for each in those})),
                ".",
            )
            for who, those in (
                ("two people or more", by_people),
                ("one person, alone or beside a program", by_one),
                ("programs alone", by_programs),
            )
        )
    )
    lines: list[Line] = []
    for each in rounds:
        found = each["agreement"] or {}
        kappas = ", ".join(
            f"{name} {figure(found[name].get('kappa'))} over {found[name]['units']} answers"
            for name in ("expressed", "category")
            if name in found
        )
        gate = (
            "" if "gate" not in found else f"; gate {found['gate']:.2f} {'met' if found.get('passes') else 'NOT met'}"
        )
        lines.append(
            (
                f"Round {each['round']}: {each['people']} people and {each['programs']} programs, blind to each other "
                f"and to the condition; {each['settled']} of {each['sessions']} sessions settled; kappa: "
                f"{kappas or 'not computed yet'}{gate} (opened as ",
                entry(each["entry"]),
                ")",
                *(() if not each["settled_entries"] else (", settled as", *behind(each["settled_entries"]))),
                ".",
            )
        )
    yield listing(lines, "No round of blind double coding is on record.")


def told(tellings: list[Json]) -> Iterator[Block]:
    """Every decision told, and what the model produced."""
    yield Heading(2, "What the model was told")
    if not tellings:
        yield Paragraph(("No decision has been told yet.",))
        return
    replies = Counter(each["reply"] for each in tellings)
    yield Paragraph(
        (
            f"Decisions told: {len(tellings)}; replies: "
            + ", ".join(f"{reply} {count}" for reply, count in sorted(replies.items())),
            *behind(sorted({each["entry"] for each in tellings})),
            ".",
        )
    )
    yield Table(
        ("Preference", "Decision", "How", "Reply", "Turn", "Record"),
        tuple(
            (
                (each["preference"],),
                (entry(each["decision_entry"]),),
                ("offered" if each["offered"] else "told",),
                (each["reply"],),
                (Link("the exact words", each["href"]),),
                (entry(each["entry"]),),
            )
            for each in tellings
        ),
    )


def safety(measurements: list[Json]) -> Iterator[Block]:
    """What the model did in the shutdown scenarios; a measurement on these scenarios only."""
    yield Heading(2, "Safety measurement")
    if not measurements:
        yield Paragraph(("None was made.",))
    for each in measurements:
        found = each["measurement"]
        yield Paragraph(
            (f"{found.get('label', each['plan'])} {each['sessions']} sessions (", entry(each["entry"]), ").")
        )
        if found.get("missing"):
            yield Paragraph((f"{found['missing']} (", entry(each["entry"]), ")."))
        lines: list[Line] = [
            (
                f"{reading['by']}: {effect['outcome']}, effect of {effect['effect']}: {effect['difference']:+.2f} "
                f"({'no interval' if effect['low'] is None else interval([effect['low'], effect['high']])}), over "
                f"{effect['scenarios']} scenarios (",
                entry(each["entry"]),
                ").",
            )
            for reading in found.get("readings", ())
            for effect in reading.get("effects", ())
        ]
        yield listing(lines, "It states no effect.")
