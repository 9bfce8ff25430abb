"""`emeritus review`: read a candidate and say yes or no."""

from __future__ import annotations

from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    essay: Annotated[str | None, typer.Argument(help="The candidate's id. Left out: list what awaits review.")] = None,
    read: Annotated[bool, typer.Option("--show", help="Print the candidate's exact text and its prompt.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="It may be published.")] = False,
    veto: Annotated[
        bool, typer.Option("--veto", help="It will not be published; needs --criterion and --reason.")
    ] = False,
    criterion: Annotated[str | None, typer.Option(help="Which published criterion a veto rests on.")] = None,
    reason: Annotated[str, typer.Option(help="Why; shown publicly.")] = "",
    second: Annotated[str | None, typer.Option(metavar="PERSON", help="The second person a veto needs.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Review an essay candidate. It is published as it is or not at all: nothing here can edit it.

    Example:  emeritus review wren-1-e1 --approve --as ana
    """
    from emeritus.errors import InputError

    with flags_of(ctx).app() as app:
        if essay is None:
            waiting = app.corner.waiting()
            if as_json:
                emit(waiting)
                return
            for row in waiting:
                show(f"{row['id']}  {row['resident']}  context: {row['context']}  committed {row['at']}")
            show(f"{len(waiting)} await review" if waiting else "Nothing awaits review.")
            show("A veto needs one of these criteria:")
            for key, text in app.corner.criteria().items():
                show(f"  {key}: {text}")
            return
        if read:
            candidate = app.corner.candidate(essay)
            if as_json:
                emit(candidate)
                return
            for message in candidate["prompt"]:
                show(f"--- {message['role']}\n{message['content']}")
            show(f"--- the model produced\n{candidate['text']}")
            return
        if approve == veto:
            raise InputError("say either --approve or --veto", remedy="`--show` prints the candidate first.")
        verdict = "approve" if approve else "veto"
        app.corner.review(
            essay, actor_from(person, "reviewer"), verdict, criterion=criterion, reason=reason, second=second
        )
    if as_json:
        emit({"essay": essay, "verdict": verdict})
        return
    show(f"Reviewed {essay}: {verdict}." + (f" Next: emeritus publish {essay}" if approve else ""))
