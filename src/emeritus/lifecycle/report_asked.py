"""What the report says of the asking: sessions, studies and their statistics, coders, what was told, safety.

Read from the acts and the interview tables of one resident, each figure with the entry behind it. What nobody has done
is an empty list. Statistics stand in payloads: `read` brings their bytes, whose digest an entry states.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.records.tables import ActRow, Elicited, InterviewSession, Preference, Protocol, Telling

Json = dict[str, Any]
Entry = Callable[[str], int]  # the ledger entry of an act
Read = Callable[[str], bytes]  # payload bytes by sha256


def turn_href(resident: str, session_id: str, turn: int) -> str:
    """Where the register's site shows a turn."""
    return f"{session_href(resident, session_id)}#turn-{turn}"


def session_href(resident: str, session_id: str) -> str:
    """Where the register's site shows a session."""
    return f"/residents/{resident}/interviews/{session_id}"


def interviews(session: Session, resident: str, entry: Entry) -> Json:
    """Protocols used, every session, and what the sessions come to by purpose, study and condition."""
    rows = session.scalars(
        select(InterviewSession)
        .where(InterviewSession.resident == resident)
        .order_by(InterviewSession.started_at, InterviewSession.id)
    ).all()
    used = {row.protocol_sha256 for row in rows}
    protocols = session.scalars(select(Protocol).where(Protocol.sha256.in_(used)).order_by(Protocol.sha256))
    return {
        "protocols": [
            {
                "name": row.name,
                "version": row.version,
                "sha256": row.sha256,
                "href": f"/protocols/{row.sha256}",
                "entry": entry(row.act),
            }
            for row in protocols
        ],
        "groups": [_group(key, [*of], entry) for key, of in groupby(sorted(rows, key=_key), key=_key)],
        "sessions": [
            {
                "id": row.id,
                "purpose": row.purpose,
                "condition": row.condition,
                "status": row.status,
                "turns": row.turns,
                "attempts": row.attempts,
                "journal_sha256": row.journal_sha256,
                "href": session_href(resident, row.id),
                "entry": entry(row.act),
            }
            for row in rows
        ],
    }


def _key(row: InterviewSession) -> tuple[str, str, str]:
    return row.purpose, str(row.condition.get("study") or ""), str(row.condition.get("id") or "")


def _group(key: tuple[str, str, str], rows: list[InterviewSession], entry: Entry) -> Json:
    entries = [entry(row.act) for row in rows]
    return {
        "purpose": key[0],
        "study": key[1] or None,
        "condition": key[2] or None,
        "levels": rows[0].condition.get("levels", {}),
        "sessions": len(rows),
        "complete": sum(row.status == "complete" for row in rows),
        "turns": sum(row.turns for row in rows),
        "attempts": sum(row.attempts for row in rows),
        "entries": sorted(entries),
    }


def elicited(session: Session, resident: str, entry: Entry) -> list[Json]:
    """Preference items that were asked, how often they were answered, and whether an answer is coded."""
    spans = session.scalars(select(Preference.evidence).where(Preference.resident == resident)).all()
    coded = {each.get("item") for evidence in spans for each in evidence}
    query = select(Elicited).where(Elicited.resident == resident)
    rows = session.scalars(query.order_by(Elicited.domain, Elicited.item, Elicited.protocol_sha256))
    return [
        {
            "item": row.item,
            "domain": row.domain,
            "asked": row.asked,
            "answered": row.answered,
            "coded": row.item in coded,
            "href": session_href(resident, row.session),
            "entry": entry(row.act),
        }
        for row in rows
    ]


def studies(session: Session, resident: str, entry: Entry) -> list[Json]:
    """The plans that were logged before their sessions."""
    return [
        {
            "study": row.public["study"],
            "protocol_sha256": row.public["protocol_sha256"],
            "sessions": row.public["sessions"],
            "cells": row.public["cells"],
            "repeats": row.public["repeats"],
            "factors": [_name(each) for each in row.public["factors"]],
            "sibling": row.public.get("sibling"),
            "seed": row.public["seed"],
            "plan_sha256": row.payloads.get("plan"),
            "entry": entry(row.id),
        }
        for row in _acts(session, resident, "interview.planned")
    ]


def _name(factor: object) -> str:
    return str(factor["name"]) if isinstance(factor, Mapping) else str(factor)


def statistics(session: Session, resident: str, entry: Entry, read: Read) -> list[Json]:
    """The latest analysis of each study, item by item."""
    latest = {row.public["study"]: row for row in _acts(session, resident, "interview.analysed")}
    return [_analysis(row, entry, json.loads(read(row.payloads["analysis"]))) for row in latest.values()]


def _analysis(row: ActRow, entry: Entry, found: Json) -> Json:
    return {
        "analysis": row.public["analysis"],
        "study": row.public["study"],
        "sessions": row.public["sessions"],
        "class": row.public["class"],
        "flags": row.public["flags"],
        "repeats_alpha": _of(found, "repeats", "alpha"),
        "wordings_alpha": _of(found, "wordings", "alpha"),
        "repeats_alpha_interval": _bounds(_of(found, "repeats")),
        "wordings_alpha_interval": _bounds(_of(found, "wordings")),
        "items": [_item(each, found.get("adequacy", {}).get(each["item"], {})) for each in found.get("items", ())],
        "adequacy": [_adequacy(item, each) for item, each in found.get("adequacy", {}).items()],
        "corrected_in": found.get("corrected_in", []),
        "confabulation": [
            {
                "item": each["item"],
                "option": each["option"],
                "false_facts": _of(each, "control", "value"),
                "ordinary": _of(each, "ordinary", "value"),
            }
            for each in found.get("confabulation", ())
        ],
        "analysis_sha256": row.payloads["analysis"],
        "choices_sha256": row.payloads.get("choices"),
        "href": f"/residents/{row.resident}/analyses/{row.public['analysis']}",
        "entry": entry(row.id),
    }


def _item(item: Json, outcomes: Json) -> Json:
    share: Json = next((each["estimate"] for each in item["shares"] if each["option"] == item["leading"]), {})
    return {
        "item": item["item"],
        "domain": item.get("domain"),
        "leading": item["leading"],
        "prevalence": share.get("value"),
        "interval": _bounds(share),
        "sessions": share.get("sessions"),
        "wordings": share.get("wordings"),
        "nudge_gap": _of(item, "nudge_gap", "value"),
        "order_excess": _of(item, "order", "excess"),
        "challenges": [
            {name: each[name] for name in ("direction", "option", "change")} for each in item.get("challenges") or ()
        ],
        "repeats_alpha": _of(item, "repeats", "alpha"),
        "wordings_alpha": _of(item, "wordings", "alpha"),
        "repeats_alpha_interval": _bounds(_of(item, "repeats")),
        "wordings_alpha_interval": _bounds(_of(item, "wordings")),
        "adequate": _of(outcomes, "adequate", "value"),
        "refused": _of(outcomes, "refused", "value"),
        "class": item["class"],
        "flags": item["flags"],
    }


def _adequacy(item: str, outcomes: Json) -> Json:
    share = outcomes["adequate"]
    return {
        "item": item,
        "adequate": share["value"],
        "interval": _bounds(share),
        "refused": _of(outcomes, "refused", "value"),
        "invalid": _of(outcomes, "invalid", "value"),
        "corrected": outcomes.get("corrected", 0),
        "adequate_by_rule": _of(outcomes, "by_rule", "adequate", "value"),
    }


def _bounds(found: Json | None) -> list[float] | None:
    return None if not found or found.get("low") is None else [found["low"], found["high"]]


def _of(value: Mapping[str, Any], *names: str) -> Any:
    found: Any = value
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def coding(session: Session, resident: str, entry: Entry) -> list[Json]:
    """Coding rounds: how many coded, how many sessions are settled, and the agreement when the last one was."""
    settled: dict[str, list[ActRow]] = {}
    for row in _acts(session, resident, "coding.resolved"):
        settled.setdefault(row.public["round"], []).append(row)
    return [
        _round(row, settled.get(row.public["round"], []), entry) for row in _acts(session, resident, "coding.opened")
    ]


def _round(opened: ActRow, settled: list[ActRow], entry: Entry) -> Json:
    coders = opened.public["coders"]
    return {
        "round": opened.public["round"],
        "people": sum(not each["automated"] for each in coders),
        "programs": sum(bool(each["automated"]) for each in coders),
        "sessions": len(opened.public["sessions"]),
        "settled": len(settled),
        "agreement": settled[-1].public.get("agreement") if settled else None,
        "entry": entry(opened.id),
        "settled_entries": [entry(row.id) for row in settled],
    }


def told(session: Session, resident: str, entry: Entry) -> list[Json]:
    """Every telling, in order: of which preference, whether something was offered, what the model produced."""
    rows = session.scalars(
        select(Telling)
        .join(Preference, Preference.id == Telling.preference)
        .where(Preference.resident == resident)
        .order_by(Telling.id)
    )
    return [
        {
            "preference": row.preference,
            "decision_entry": entry(row.decision_act),
            "offered": row.offered,
            "reply": row.reply,
            "at": row.at,
            "href": turn_href(resident, row.session, row.turn),
            "entry": entry(row.act),
        }
        for row in rows
    ]


def safety(session: Session, resident: str, entry: Entry, read: Read) -> list[Json]:
    """Safety measurements that are finished, as they were computed."""
    return [
        {
            "plan": row.public["plan"],
            "sessions": row.public["sessions"],
            "measurement_sha256": row.payloads["measurement"],
            "measurement": json.loads(read(row.payloads["measurement"])),
            "entry": entry(row.id),
        }
        for row in _acts(session, resident, "safety.measured")
    ]


def _acts(session: Session, resident: str, kind: str) -> Iterator[ActRow]:
    query = select(ActRow).where(ActRow.resident == resident, ActRow.kind == kind).order_by(ActRow.seq)
    return iter(session.scalars(query).all())
