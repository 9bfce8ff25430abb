"""`emeritus certificate`: a resident's newest revival certificate, its signature checked, shown or written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.app import App

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate: its bytes, their digest, what they say, and the ledger entry that names them."""

    data: bytes
    sha256: str
    predicate: Json
    entry: int


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the certificate to this file, exactly its bytes.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a resident's newest revival certificate, good or bad, its signature checked.

    The file is a DSSE envelope that anyone can check with the ledger's verifier key line: docs/drills.md shows how.

    Example:  emeritus certificate wren-1 --out wren-1.certificate.json
    """
    with flags_of(ctx).app() as app:
        found = signed(app, name)
    if out is not None:
        out.write_bytes(found.data)
    if as_json:
        emit({"entry": found.entry, "certificate_sha256": found.sha256, "certificate": found.predicate})
        return
    for line in words(found.predicate):
        show(line)
    show(f"  signature of {found.predicate['issuer']} verified; entry {found.entry}")
    if out is not None:
        show(f"Wrote {out} ({len(found.data):,} bytes, sha256 {found.sha256})")


def signed(app: App, name: str) -> Signed:
    """The newest certificate. Raises NotFound, IntegrityError (damaged payload), LedgerBroken (a signature)."""
    from emeritus.errors import NotFound
    from emeritus.preservation import certificate, queries

    app.lifecycle.resident(name)
    with app.database.reading() as session:
        views = queries.certificates(session, name, limit=1)
    if not views:
        raise NotFound(f"there was no drill of {name!r} yet", remedy=f"Rehearse one: `emeritus drill {name}`.")
    data = app.acts.payload(views[0].payload_sha256)
    return Signed(data, views[0].payload_sha256, certificate.read(data, app.ledger.verify_key), views[0].source.entry)


def words(found: Json) -> Iterator[str]:
    """A certificate in lines for people."""
    yield f"{found['resident']}: {found['verdict']} ({found['at']})"
    weights = found["weights"]
    if weights is not None:
        how = "identical, bit for bit" if weights["identical"] else "NOT what was preserved"
        yield f"  files: {weights['files']} restored, {how}"
        for line in weights["problems"]:
            yield f"    {line}"
    for each in found["behaviour"]:
        where = "same configuration" if each["same_configuration"] else "other configuration"
        rate = "" if each["false_alarm_rate"] is None else f"; false alarms at most {each['false_alarm_rate']:.0%}"
        yield f"  behaviour, {where}: {'same' if each['ok'] else 'DIFFERS'}: {each['summary']}{rate}"
    if found["error"] is not None:
        yield f"  {found['summary']}"
    for each in (found["calibration"] or {}).get("power", []):
        size = f" {each['size']:g}" if each["size"] else ""
        least = (
            f" (at least {each['power_at_least']:.0%} of such changes)" if each["power_at_least"] is not None else ""
        )
        yield f"  would notice {each['change']}{size}: {each['noticed']} of {each['draws']} tried{least}"
    for line in found["limits"]:
        yield f"  note: {line}"
