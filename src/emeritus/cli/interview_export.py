"""`emeritus interview export`: finished sessions in another program's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show


def export(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    inspect: Annotated[
        Path, typer.Option("--inspect", metavar="FOLDER", help="Write logs of Inspect AI there, for `inspect view`.")
    ],
    session: Annotated[
        list[str] | None, typer.Option(help="Only these sessions; may be repeated. Default: all that are finished.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write finished sessions as logs that `inspect view` opens; each is read back before it is kept.

    Sessions of safety measurements are among them, with how each was read as a score.

    Needs the extra: pip install 'emeritus[inspect]'

    Example:  emeritus interview export my-model --inspect ./logs
    """
    from emeritus.errors import NotFound
    from emeritus.integrations.inspect import export as logs
    from emeritus.integrations.inspect import require
    from emeritus.interview import queries
    from emeritus.lifecycle import queries as lifecycle

    require()
    with flags_of(ctx).app() as app:
        with app.database.reading() as reading:
            lifecycle.resident(reading, name)  # NotFound
            known = [each.id for each in queries.sessions(reading, name)]
        safety = {read.session: (read, how) for read, how in app.safety.read_sessions(name)}
        wanted = session or [*known, *safety]
        for each in wanted:
            if each not in known and each not in safety:
                raise NotFound(f"{name!r} has no finished session {each!r}", resident=name, session=each)
        transcripts = [safety[each][0] if each in safety else app.interviews.transcript(each) for each in wanted]
    written = logs.export(transcripts, inspect, {each: how for each, (_, how) in safety.items()})
    if as_json:
        emit({"sessions": len(transcripts), "logs": [str(path) for path in written]})
        return
    for path in written:
        show(str(path))
    show(f"Next: inspect view --log-dir {inspect}")
