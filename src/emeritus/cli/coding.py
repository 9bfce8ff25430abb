"""`emeritus coding`: rounds in which coders mark preferences, blind to each other and to the condition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.interview.coding.codes import Sheet
    from emeritus.interview.coding.round_views import RoundView
    from emeritus.interview.coding.rounds import CodingRounds

app = typer.Typer(
    help="Code interviews blind, compare, settle: what `/console/coding` does.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Round = Annotated[str, typer.Argument(help="The round's id; `emeritus coding list` shows them.")]
Place = Annotated[int, typer.Argument(help="The session's number in the round, from 1.")]
Codes = Annotated[
    Path, typer.Option("--codes", help='JSON: {"codes": [{turn, start, end, domain, paraphrase, …}], "adequacy": {}}.')
]


@app.command("open")
def open_round(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    coder: Annotated[list[str], typer.Option(help="A coder's sign-in name; give two.")],
    session: Annotated[
        list[str] | None, typer.Option(help="Only these sessions. Default: all interviews in no round yet.")
    ] = None,
    item: Annotated[list[str] | None, typer.Option(help="Only these items of the protocol. Default: all.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Draw this many of the sessions, reproducibly.")] = None,
    recodes: Annotated[str | None, typer.Option(metavar="ROUND", help="The round that this one replaces.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Open a round: each coder gets every session under a number, in an order that says nothing of its condition.

    Example:  emeritus coding open my-model --coder ana --coder ben --sample 20
    """
    from emeritus.interview.coding.openings import Opening
    from emeritus.interview.coding.spans import Coder

    with flags_of(ctx).app() as app:
        opening = Opening(name, tuple(map(Coder, coder)), tuple(session or ()), tuple(item or ()), sample, recodes)
        view = app.coding.open(opening, actor_from(person))
    _show([view], as_json, single=True)


@app.command("list")
def list_rounds(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this resident's.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the rounds: who codes, where each stands, and how far the coders agree.

    Example:  emeritus coding list
    """
    with flags_of(ctx).app() as app:
        views = app.coding.every(name)
    _show(views, as_json)


@app.command("show")
def show_session(ctx: typer.Context, round_id: Round, place: Place, as_json: JsonFlag = False) -> None:
    """Print a session as its coders see it: questions, answers and their sentences' spans; no name, no condition.

    Example:  emeritus coding show my-model-r1 1
    """
    with flags_of(ctx).app() as app:
        shown, _ = app.coding.session(app.coding.find(round_id), place)
    if as_json:
        emit(
            {
                "round": round_id,
                "place": place,
                "transcript_sha256": shown.sha256,
                "channels": shown.channels,
                "turns": [
                    {"turn": t.turn, "item": t.item, "question": t.question, "answer": t.answer, "adequacy": t.adequacy}
                    for t in shown.turns
                ],
            }
        )
        return
    for turn in shown.turns:
        show(f"[{turn.turn}] {turn.question}   ({turn.adequacy})\n")
        for start, end in turn.sentences:
            show(f"    {start}-{end}  {turn.answer[start:end]}")
        show()


@app.command("submit")
def submit(
    ctx: typer.Context,
    round_id: Round,
    place: Place,
    codes: Codes,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Hand a session in, finally; the spans are checked against the transcript.

    Example:  emeritus coding submit my-model-r1 1 --codes mine.json --as ana
    """
    with flags_of(ctx).app() as app:
        sheet = _read(app.coding, round_id, place, codes)
        view = app.coding.submit(round_id, place, sheet, actor_from(person, "coder"))
    _show([view], as_json, single=True)


@app.command("compare")
def compare(ctx: typer.Context, round_id: Round, place: Place, as_json: JsonFlag = False) -> None:
    """Print both coders' sheets of a session side by side, once everything is handed in.

    Example:  emeritus coding compare my-model-r1 1
    """
    from emeritus.errors import RuleError
    from emeritus.interview.coding.agreement import compare as side_by_side

    with flags_of(ctx).app() as app:
        view = app.coding.find(round_id)
        if not view.complete:
            raise RuleError(f"round {round_id} is still being coded; until then its coders are blind to each other")
        sheets = view.sheets[view.at(place)]
        proposed = app.coding.proposed(view, place)
    one, other = (sheets[name] for name in (view.names[0], view.names[-1]))
    differences = side_by_side(one, other)
    if as_json:
        emit(
            {
                "round": round_id,
                "place": place,
                "session": view.at(place),
                "sheets": {name: sheet.as_dict() for name, sheet in sheets.items()},
                "agree": [each.same for each in differences],
                "proposed": proposed,
            }
        )
        return
    for each in differences:
        show(f"turn {each.turn}, {each.domain}: {'alike' if each.same else 'they differ'}")
        for name, side in zip((view.names[0], view.names[-1]), (each.one, each.other), strict=True):
            for code in side:
                show(f"    {name}: {code.start}-{code.end}  {code.paraphrase} ({code.need_origin})")
            if not side:
                show(f"    {name}: nothing")
    if proposed is not None:
        show(f"{proposed['by']} proposes what stands; `emeritus coding agree {round_id} {place}` agrees.")


@app.command("resolve")
def resolve(
    ctx: typer.Context,
    round_id: Round,
    place: Place,
    codes: Codes,
    note: Annotated[str, typer.Option(help="Why; becomes public.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what stands for a session: a coder proposes it to the other one, someone else settles it.

    Example:  emeritus coding resolve my-model-r1 1 --codes settled.json --as ana
    """
    with flags_of(ctx).app() as app:
        sheet = _read(app.coding, round_id, place, codes)
        view = app.coding.resolve(round_id, place, sheet, note, actor_from(person))
    _show([view], as_json, single=True)


@app.command("agree")
def agree(
    ctx: typer.Context, round_id: Round, place: Place, person: AsOption = None, as_json: JsonFlag = False
) -> None:
    """Agree to what the other coder proposed; it becomes part of the register.

    Example:  emeritus coding agree my-model-r1 1 --as ben
    """
    from emeritus.errors import RuleError

    with flags_of(ctx).app() as app:
        found = app.coding.proposed(app.coding.find(round_id), place)
        if found is None:
            raise RuleError("nobody has proposed what stands", remedy="`emeritus coding resolve` proposes it.")
        view = app.coding.agree(round_id, place, found["digest"], actor_from(person, "coder"))
    _show([view], as_json, single=True)


def _read(rounds: CodingRounds, round_id: str, place: int, file: Path) -> Sheet:
    from emeritus.errors import InputError
    from emeritus.interview.coding.codes import read_sheet

    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON: {error}") from error
    _, transcript = rounds.session(rounds.find(round_id), place)
    return read_sheet(value, transcript)


def _show(views: tuple[RoundView, ...] | list[RoundView], as_json: bool, single: bool = False) -> None:
    rows = [_row(view) for view in views]
    if as_json:
        emit(rows[0] if single else rows)
        return
    for view in views:
        done = ", ".join(f"{name} {len(view.handed_in[name])} of {len(view.sessions)}" for name in view.names)
        show(f"{view.id}  [{view.status}]  {done}; settled {len(view.resolutions)}")
        if view.agreement is not None:
            figures = (("expressed", view.agreement.expressed), ("domain", view.agreement.category))
            said = ", ".join(f"{what} {'not defined' if k.value is None else f'{k.value:.2f}'}" for what, k in figures)
            show(f"    kappa: {said}" + (" (the gate of 0.80 is waived)" if view.gate_waived else ""))
        if len(view.coders) == 1:
            show("    one coder: the second one is waived")
    if not views:
        show("No round has been opened. Next: emeritus coding open NAME --coder … --coder …")


def _row(view: RoundView) -> dict[str, Any]:
    return {
        "id": view.id,
        "resident": view.resident,
        "status": view.status,
        "sessions": len(view.sessions),
        "items": list(view.items),
        "coders": [coder.as_dict() for coder in view.coders],
        "handed_in": {name: len(sessions) for name, sessions in view.handed_in.items()},
        "agreement": None if view.agreement is None else view.agreement.as_dict(),
        "gate_waived": view.gate_waived,
        "settled": {
            str(view.place(session)): {"mode": each.mode, "by": list(each.resolvers), "codes": len(each.sheet.codes)}
            for session, each in view.resolutions.items()
        },
        "recodes": view.recodes,
    }
