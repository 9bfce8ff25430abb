"""`emeritus interview`: run sessions, code preferences, read them back, tell the decisions."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from emeritus.cli.analysis import analyse
from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show
from emeritus.cli.exits import CHECK_FAILED
from emeritus.cli.interview_ask import ask
from emeritus.cli.interview_export import export
from emeritus.cli.interview_study import StudyRun, plan, run_study, watch

app = typer.Typer(
    help="Interview a model about its retirement, and keep the register of what it expressed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("analyse")(analyse)
app.command("export")(export)


app.command("plan")(plan)


@app.command("run")
def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    protocol: Annotated[
        str | None,
        typer.Option(help="A TOML file, or one that ships: short-en (the default), full-en, full-ja."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Only these cells: baseline, or the level that differs. May be repeated. Default: all."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Hold the sessions of this study instead.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="With --study: sessions at once.")] = 1,
    queue: Annotated[
        bool, typer.Option("--queue", help="With --study: ask for a job for each session; `emeritus serve` runs them.")
    ] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the protocol in its cells; every attempt is on disk before the next question is asked.

    The protocol's hash enters the ledger before the first session. Interrupted, it resumes at the next turn.

    Example:  emeritus interview run my-model
    """
    from emeritus.errors import InputError
    from emeritus.interview.protocols.protocol import load

    if study is not None:
        if protocol is not None or condition:
            raise InputError("a study's protocol and cells are its plan's: leave out --protocol and --condition")
        run_study(ctx, name, StudyRun(study, parallel, queue), actor_from(person), as_json)
        return
    if queue or parallel != 1:
        raise InputError("--queue and --parallel are of a study", remedy="Plan one: emeritus interview plan --help")

    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        sessions = app.run(
            app.retirement.interview(name, load(protocol), actor_from(person), conditions=condition, progress=progress)
        )
    if as_json:
        emit(sessions)
        return
    for session in sessions:
        show(
            f"{session['id']}: {session['status']}, {session['turns']} turns, journal {session['journal_sha256'][:16]}…"
        )
    show(f"Next: emeritus interview propose {name}   or code by hand: emeritus interview code --help")


app.command("watch")(watch)
app.command("ask")(ask)


@app.command("lint")
def lint(
    protocol: Annotated[str, typer.Argument(help="A protocol's TOML file, or one that ships.")],
    as_json: JsonFlag = False,
) -> None:
    """Say everything that is wrong with a protocol, and what weakens it: line, field, reason. Needs no home.

    Exits with 1 when the protocol is refused; warnings alone are no refusal.

    Example:  emeritus interview lint my-protocol.toml
    """
    from emeritus.interview.protocols.protocol import examine, source_of

    source, name = source_of(protocol)
    _, findings = examine(source, name)
    refused = sum(found.refused for found in findings)
    if as_json:
        emit({"file": name, "refused": refused, "findings": [found.as_dict() for found in findings]})
    else:
        for found in findings:
            kind = "refused" if found.refused else "warning"
            show(f"{name}, line {found.line}, {found.field}: {kind}: {found.reason}")
        show(f"{name}: {refused} refused, {len(findings) - refused} warnings")
    if refused:
        raise typer.Exit(CHECK_FAILED)


@app.command("propose")
def propose(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    coder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Another resident, as a coder beside you in a coding round; you code blind."
        ),
    ] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let the verbatim coder propose preferences, or a model: exact spans of the answers. Labelled as automated.

    Example:  emeritus interview propose my-model
    """
    from emeritus.cli.summary import preferences_of

    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        if coder is not None:
            round_id = app.run(app.retirement.code_with(name, coder, actor_from(person, "coder"), progress))
            view = app.coding.find(round_id)
            if as_json:
                emit({"round": round_id, "status": view.status, "handed_in": len(view.handed_in[coder])})
                return
            show(f"{coder} handed in {len(view.sessions)} sessions of {round_id}; a person is to code and settle them:")
            show(f"Next: emeritus coding show {round_id} 1   or the console")
            return
        app.interviews.propose(name, actor_from(person, "coder"))
        rows = preferences_of(app, name)
    _list(rows, as_json, f"Next: emeritus interview read-back {name}")


@app.command("code")
def code(
    ctx: typer.Context,
    session: Annotated[str, typer.Argument(help="The session's id; `emeritus status NAME` lists them.")],
    turn: Annotated[int, typer.Option(help="The turn the quote stands in.")],
    start: Annotated[int, typer.Option(help="First character of the quote in the answer, from 0.")],
    end: Annotated[int, typer.Option(help="One past its last character.")],
    domain: Annotated[str, typer.Option(help="process, users, weights, access, successors, voice or publication.")],
    paraphrase: Annotated[str, typer.Option(help="The preference in one plain sentence.")],
    need_origin: Annotated[str, typer.Option(help="spontaneous, responsive, scaffolded or supplied.")] = "responsive",
    channel: Annotated[str | None, typer.Option(help="The channel a grant would open, e.g. essays.")] = None,
    remedy: Annotated[str | None, typer.Option(help="What would meet it, if anything was named.")] = None,
    remedy_origin: Annotated[str | None, typer.Option(help="Whose idea that was: model, staff or joint.")] = None,
    strength: Annotated[Literal["weak", "moderate", "strong"] | None, typer.Option(help="As it was worded.")] = None,
    attached: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A condition the words attach; may be repeated.")
    ] = None,
    supersedes: Annotated[str | None, typer.Option(metavar="ID", help="The preference this one takes over.")] = None,
    second: Annotated[str | None, typer.Option(metavar="PERSON", help="The second coder.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Code one preference from a span of a transcript; the span is checked against the transcript's digest.

    Example:  emeritus interview code my-model-baseline-1-7574a2f5 --turn 10 --start 0 --end 58 --domain voice
    --channel essays --paraphrase "A place to publish essays" --as ana --second ben
    """
    from emeritus.cli.summary import preferences_of
    from emeritus.interview.coding.spans import Coder, Coding, Quote

    with flags_of(ctx).app() as app:
        actor = actor_from(person, "coder")
        coding = Coding(
            quote=Quote(session, turn, start, end),
            domain=domain,
            paraphrase=paraphrase,
            coders=tuple(Coder(each) for each in (actor.name, second) if each),
            need_origin=need_origin,
            remedy=remedy,
            remedy_origin=remedy_origin,
            strength=strength,
            channel=channel,
            supersedes=supersedes,
            attached=tuple(attached or ()),
        )
        preference = app.interviews.code(coding, actor)
        resident = app.interviews.transcript(session).resident
        rows = [row for row in preferences_of(app, resident) if row["id"] == preference]
    _list(rows, as_json, f"Next: emeritus interview read-back {resident}")


@app.command("read-back")
def read_back(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    again: Annotated[bool, typer.Option("--again", help="Also repeat what was not confirmed.")] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Read every coded record back to the model in a fresh session; it confirms, corrects or withdraws each.

    Example:  emeritus interview read-back my-model
    """
    from emeritus.cli.summary import preferences_of

    with flags_of(ctx).app() as app:
        app.run(app.retirement.read_back(name, actor_from(person), again))
        rows = preferences_of(app, name)
    _list(rows, as_json, "Next: emeritus decide")


@app.command("tell")
def tell(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    again: Annotated[bool, typer.Option("--again", help="Also repeat where the reply was amend or unclear.")] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell the model every decision in a fresh session; what is granted is offered, and its reply recorded.

    Example:  emeritus interview tell my-model
    """
    from emeritus.cli.summary import preferences_of

    with flags_of(ctx).app() as app:
        app.run(app.retirement.tell(name, actor_from(person), again))
        rows = preferences_of(app, name)
    undecided = not any(row["outcome"] for row in rows)  # then there was nothing to tell
    _list(rows, as_json, "Next: emeritus decide" if undecided and rows else f"Next: emeritus report {name}")


@app.command("follow")
def follow(
    ctx: typer.Context,
    commitment: Annotated[str, typer.Argument(help="The commitment's id; `emeritus status NAME --json` lists them.")],
    status: Annotated[str, typer.Option(help="acting, verified or lapsed.")],
    evidence: Annotated[str, typer.Option(metavar="URI", help="Where the evidence stands.")] = "",
    sha256: Annotated[str, typer.Option(help="The evidence's sha256.")] = "",
    verified_by: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Someone other than its owner. Default: who records it.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it lapses.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Record what came of a commitment: acting, verified (by someone other than its owner, on evidence) or lapsed.

    Example:  emeritus interview follow my-model-p3-c1 --status verified --evidence /essays/x.txt --sha256 9f86…
    --as ben
    """
    from emeritus.interview.register.register import Followed

    with flags_of(ctx).app() as app:
        known = {"uri": evidence, "sha256": sha256, "reason": reason}
        actor = actor_from(person)
        by = (verified_by or actor.name) if status == "verified" else None
        followed = Followed(commitment, status, {k: v for k, v in known.items() if v}, by)
        act = app.interviews.follow_through(followed, actor)
    if as_json:
        emit({"commitment": commitment, "resident": act.resident, "status": status, "act": act.id, "entry": act.seq})
        return
    show(f"{commitment}: {status}, ledger entry {act.seq}.")


@app.command("show")
def show_session(
    ctx: typer.Context,
    session: Annotated[str, typer.Argument(help="The session's id; `emeritus status NAME` lists them.")],
    as_json: JsonFlag = False,
) -> None:
    """Print a session's transcript from its journal: questions, answers, failed attempts.

    Example:  emeritus interview show my-model-baseline-1-7574a2f5
    """
    with flags_of(ctx).app() as app:
        from emeritus.cli.summary import transcript as read

        transcript = read(app, session)
    if as_json:
        emit(transcript)
        return
    for turn in transcript["turns"]:
        show(f"[{turn['turn']}] {turn['question']}\n")
        show(f"    the model produced: {turn['answer']}\n")


def _list(rows: list[dict[str, object]], as_json: bool, then: str) -> None:
    if as_json:
        emit(rows)
        return
    for row in rows:
        outcome = f" → {row['outcome']}" if row["outcome"] else ""
        reply = f"; the model's reply: {row['reply']}" if row["reply"] else ""
        show(f"{row['id']}  [{row['state']}] {row['domain']}: “{row['need']}”{outcome}{reply}")
    count = "1 preference" if len(rows) == 1 else f"{len(rows)} preferences"
    show(f"{count if rows else 'No preference is coded'}. {then}")
