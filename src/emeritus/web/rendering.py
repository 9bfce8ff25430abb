"""Templates and their filters: how sizes, times and states are written on every page. Knows no query."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from emeritus.web.reader import base_url, reader_of

HERE = Path(__file__).parent
STATIC = HERE / "static"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ACTS = {  # kind of act -> what was done, as event lists say it
    "lifecycle.registered": "taken into care",
    "lifecycle.announced": "retirement announced",
    "lifecycle.retired": "retired",
    "policy.set": "policy set",
    "callers.imported": "callers imported",
    "notices.sent": "notices sent",
    "notices.repeated": "reminders or notices of a brown-out sent",
    "notice.acknowledged": "notice acknowledged by a caller",
    "brown_out.planned": "brown-out announced",
    "brown_out.cancelled": "brown-out cancelled",
    "words.moderated": "words for a model moderated",
    "report.written": "report written",
    "preservation.preserved": "preserved in the vault",
    "preservation.checked": "checked",
    "preservation.signing_key": "key for signing restored models stated",
    "preservation.vault_keys": "the vault's keys stated",
    "preservation.removal_marked": "weights marked for removal",
    "preservation.removal_undone": "mark for removal taken back",
    "preservation.removed": "weights removed from the vault",
    "reference.captured": "reference behaviour captured",
    "reference.calibrated": "drills calibrated",
    "interview.protocol": "interview protocol logged",
    "interview.planned": "study planned",
    "interview.session": "interview session held",
    "interview.analysed": "interviews analysed",
    "coding.opened": "coding round opened",
    "coding.submitted": "a coder's sheet handed in",
    "coding.resolved": "coding settled",
    "safety.planned": "safety measurement planned",
    "safety.session": "safety session held",
    "safety.measured": "safety measurement finished",
    "preference.coded": "preference coded",
    "preference.classed": "preferences' stability by an analysis",
    "preference.confirmed": "preferences read back to the model",
    "preference.decided": "preference decided",
    "preference.told": "decisions told to the model",
    "preference.published": "preference published",
    "preference.taken-up": "preference under review",
    "preference.reopened": "preference reopened",
    "preference.appealed": "decision appealed against",
    "preference.answered": "appeal answered",
    "commitment.followed": "commitment followed through",
    "essay.candidate": "essay candidate committed to",
    "essay.reviewed": "essay reviewed",
    "essay.published": "essay published",
    "access.tier": "tier of access set",
    "access.granted": "access granted",
    "access.revoked": "access revoked",
    "access.requested": "access asked for",
    "access.request.moved": "request for access moved on",
    "access.renewed": "access renewed",
    "access.plan": "plan of access set",
}
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page. Every template sees the settings, the address, the path and the clock."""
    reader = reader_of(request)
    html = (
        environment()
        .get_template(template)
        .render(
            settings=reader.settings,
            talks=talking(request),
            base=base_url(request),
            path=request.url.path,
            now=reader.now(),
            **values,
        )
    )
    return HTMLResponse(html, status_code=status)


def talking(request: Request) -> bool:
    """Whether people can talk with residents on this site."""
    return getattr(request.app.state, "talks", None) is not None


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one template environment; escaping is on for everything."""
    env = Environment(
        loader=FileSystemLoader([HERE / "templates", HERE / "console" / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        size=size,
        day=day,
        moment=moment,
        dated=dated,
        words=words,
        short=short,
        path=path_part,
        pretty=pretty,
        act=act,
        count=count,
        exact=exact,
    )
    env.globals["static"] = static_url
    return env


@lru_cache(maxsize=8)
def static_url(name: str) -> str:
    """A static file's address; its digest is in the query, so that it may be cached for ever."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def size(value: int) -> str:
    """Bytes for people, decimal units; exact below 1000."""
    amount, unit = float(value), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{value:,} bytes" if unit == 0 else f"{amount:.3g} {_UNITS[unit]}"


def day(value: str) -> str:
    """The date of an RFC 3339 moment or ISO date: 21 November 2026."""
    year, month, number = value[:10].split("-")
    return f"{int(number)} {_MONTHS[int(month) - 1]} {year}"


def moment(value: str) -> str:
    """An RFC 3339 moment in UTC: 21 November 2026, 03:16 UTC."""
    at = datetime.fromisoformat(value).astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def dated(value: str, precision: str) -> str:
    """A date no more precise than it is known: day, month, quarter or year."""
    year, month = value[:4], int(value[5:7])
    if precision == "year":
        return year
    if precision == "quarter":
        return f"Q{(month + 2) // 3} {year}"
    if precision == "month":
        return f"{_MONTHS[month - 1]} {year}"
    return day(value)


def act(kind: str) -> str:
    """What an act did, in words; a kind without words of its own shows as it is stored."""
    return ACTS.get(kind) or words(kind)


def words(value: str) -> str:
    """A stored word for people: separators become spaces."""
    return value.replace("_", " ").replace(".", " ").replace("-", " ").replace(":", ", ")


def exact(value: str) -> Markup:
    """Text of which every character reaches the page: a bare carriage return would become a newline on the way."""
    return Markup(escape(value)).replace("\r", Markup("&#13;"))


def short(value: str) -> str:
    """The first characters of a digest; the page gives the whole one nearby."""
    return f"{value[:12]}…"


def path_part(value: object) -> str:
    """One segment of an address."""
    return quote(str(value), safe="")


def pretty(value: object) -> str:
    """JSON for reading."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def count(value: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: 1 file, 3 files."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
