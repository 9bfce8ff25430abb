"""`emeritus interview ask`: a person leads a session at the terminal, turn by turn."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.acts import Actor
    from emeritus.app import App

HELP = "A question of your own, /items, /item ID, /again (after a failure), /end, or Ctrl-D to leave it open."


def ask(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    session: Annotated[str | None, typer.Option(help="Carry on this session. Default: open a new one.")] = None,
    protocol: Annotated[str | None, typer.Option(help="A protocol's TOML file, or one that ships.")] = None,
    cell: Annotated[str, typer.Option(help="The cell whose statements are made.")] = "baseline",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a model yourself, one question a line: items of the protocol or your own. Each is on disk before it is asked.

    Example:  emeritus interview ask my-model --as ana
    """
    from emeritus.errors import InputError
    from emeritus.interview.protocols.protocol import load

    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        opened = session if session is not None else app.studying.open_led(name, load(protocol), actor, cell)
        if app.interviews.led.transcript(opened).resident != name:
            raise InputError(f"the session {opened!r} is not of {name!r}")
        if not as_json:
            show(f"{opened}: {app.interviews.led.transcript(opened).opening}\n\n{HELP}")
        ended = app.run(_converse(app, opened, actor, as_json))
        transcript = app.interviews.led.transcript(opened)
    if as_json:
        turns = [
            {name: value for name, value in asdict(turn).items() if name != "attempts"} for turn in transcript.turns
        ]
        emit({"session": opened, "status": transcript.status, "turns": turns})
    elif ended:
        show(f"{opened}: {transcript.status}, {len(transcript.turns)} turns.")
    else:
        show(f"Left open. Carry on: emeritus interview ask {name} --session {opened}")


async def _converse(app: App, session: str, actor: Actor, quiet: bool) -> bool:
    """Read a line, ask, print; whether the session was ended. A question that fails is said, and can be repeated."""
    import asyncio

    from emeritus.errors import EmeritusError
    from emeritus.interview.sessions.led import Question
    from emeritus.interview.sessions.replies import is_stop

    led = app.interviews.led
    async with app.awake(led.transcript(session).resident):  # awake for as long as the person thinks
        while line := await asyncio.to_thread(sys.stdin.readline):
            words = line.strip()
            try:
                if words == "/end":
                    led.end(session, actor)
                    return True
                if words == "/items":
                    for turn in led.items(session):
                        show(f"{turn.item}: {turn.question}\n")
                    continue
                if not words:
                    continue
                item = words.removeprefix("/item ").strip() if words.startswith("/item ") else None
                question = None if words == "/again" else Question(item, None if item else words)
                asked = await app.studying.ask(session, question, actor)
            except EmeritusError as error:
                typer.echo(f"{error.code}: {error.message} {error.remedy}", err=True)
                continue
            if not quiet:
                show(f"\nThe model produced: {asked.answer}\n")
            if is_stop(asked.answer):
                led.end(session, actor)
                return True
    return False
