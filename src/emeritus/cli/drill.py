"""`emeritus drill`: rehearse a revival; `cli/certificate.py` shows what it led to again."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Revive a resident from the vault and compare it, bit for bit and in behaviour, with what was preserved.

    Every file is restored and compared; then the revived model scores and answers the fixed probes, compared with its
    references within their calibrated threshold. A signed revival certificate states what was found. Ends with 0 when
    the resident is the same and with 1 when it is not, could not be revived, or could be compared with nothing.

    Example:  emeritus drill wren-1
    """
    from emeritus.cli.certificate import signed, words

    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        with progress_bar(as_json) as progress:
            act = app.run(app.retirement.drill(name, actor, progress))
        found = signed(app, name)
    if as_json:
        emit({"entry": act.seq, "certificate_sha256": found.sha256, "certificate": found.predicate})
    else:
        for line in words(found.predicate):
            show(line)
        show(f"  certificate: entry {act.seq}; `emeritus certificate {name} --out FILE` writes it")
    if not act.public["ok"]:
        raise typer.Exit(CHECK_FAILED)
