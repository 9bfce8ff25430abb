"""Access logs of nginx in the combined format: `addr - user [time] "request" status bytes "referer" "agent" more…`.

Source of the format: nginx's `ngx_http_log_module`, log format `combined`. Fields may follow it, bare, quoted or as
`name=value`; nginx writes a quote inside a field as \\x22. Knows no table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urlsplit

from emeritus.lifecycle.imports.tally import Tally, who

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"(\S+) (\S+) (\S+) \[([^\]]{{1,40}})\] {_QUOTED} (\d{{3}}) (\d+|-) {_QUOTED} {_QUOTED}(?: (.*))?")
_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)", re.ASCII)
_FIELD = re.compile(rf"(?:([A-Za-z_][A-Za-z0-9_-]*)=)?(?:{_QUOTED}|(\S+))")
_MONTHS = {"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * n : 3 * n + 3]: 1 + n for n in range(12)}
_NO_CALL = frozenset({"401", "403", "404", "405"})  # refused at the door: whoever sent it does not use the model


def read(lines: Iterator[str], names: Collection[str], fields: tuple[str | None, str | None], tally: Tally) -> None:
    """Count the calls (POST) to a model of one of `names`: in its field, in a part of the path or in the query.

    `fields` names the extra field with the model and the one with the caller: a name, or a position from 1.
    """
    for line in lines:
        tally.lines += 1
        if not line:
            continue
        found = _LINE.fullmatch(line)
        day = None if found is None else _day(found[4])
        if found is None or day is None:
            tally.refuse("not in nginx's combined format" if found is None else "its time cannot be read")
            continue
        method, _, rest = found[5].partition(" ")
        if method != "POST" or found[6] in _NO_CALL:
            continue
        extra = _extra(found[10] or "")
        model = extra.get(fields[0] or "model")
        if fields[0] is not None and model is None:
            tally.refuse(f"it has no field {fields[0]!r}")
        elif model in names if model is not None else _in_path(rest.rpartition(" ")[0] or rest, names):
            named = extra.get(fields[1]) if fields[1] is not None else found[3]
            tally.call(*who(named, f"address {found[1]}"), day)


def _day(text: str) -> date | None:
    """The day in UTC of nginx's `$time_local`, whatever the locale of this machine."""
    found = _TIME.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    away = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        zone = timezone(away if found[7] == "+" else -away)
        moment = datetime(
            int(found[3]), _MONTHS[found[2]], int(found[1]), int(found[4]), int(found[5]), int(found[6]), tzinfo=zone
        )
        return moment.astimezone(UTC).date()
    except (ValueError, OverflowError):
        return None


def _extra(text: str) -> dict[str, str]:
    """The fields after the combined ones, by name and by position."""
    found: dict[str, str] = {}
    for number, match in enumerate(_FIELD.finditer(text), 1):
        value = match[2] if match[2] is not None else match[3]
        found[str(number)] = value
        if match[1] is not None:
            found[match[1]] = value
    return found


def _in_path(target: str, names: Collection[str]) -> bool:
    try:
        parts = urlsplit(target)
        asked = parse_qs(parts.query, max_num_fields=100).get("model", [])
    except ValueError:  # a scanner's garbage is a request nobody answered, not a damaged line
        return False
    segments = [unquote(part) for part in parts.path.split("/")]
    return any(part in names or part.partition(":")[0] in names for part in (*segments, *asked))
