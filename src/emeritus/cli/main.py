"""The root command: settings flags, the table of commands, and how an error becomes a message and an exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from emeritus.cli import (
    access,
    announce,
    callers,
    certificate,
    coding,
    decide,
    demo,
    drill,
    essay,
    export,
    import_,
    init,
    interview,
    letters,
    people,
    plan,
    preserve,
    prune,
    publish,
    register,
    repair,
    replicate,
    report,
    restore,
    retire,
    review,
    safety,
    serve,
    settings,
    status,
    vault_key,
    verify,
    words,
)
from emeritus.cli.context import Flags
from emeritus.cli.exits import INTERRUPTED, exit_code
from emeritus.errors import EmeritusError, InputError, StoreFull, StoreUnavailable

EPILOG = (
    "Any setting can be given as a flag before the command (`emeritus --port 9000 serve`); "
    "`emeritus settings` lists them. Try `emeritus demo` first."
)

COMMANDS: tuple[tuple[str, ModuleType, str], ...] = (
    # name, module, help in a line; the order is that of a retirement, and of `--help`
    ("init", init, "Make a home"),
    ("preserve", preserve, "Take a model into care: archive, prove, revive, take its reference"),
    ("register", register, "Name a model that answers behind an API"),
    ("announce", announce, "Say when a model retires, and tell those who call it"),
    ("callers", callers, "Who still calls a model: find, tell, remind; brown-outs"),
    ("interview", interview, "Interview, code preferences, read back, tell decisions"),
    ("coding", coding, "Code interviews blind to each other, compare, settle"),
    ("safety", safety, "Measure what a model does in shutdown scenarios"),
    ("decide", decide, "Decide on a preference"),
    ("report", report, "Write the post-deployment report"),
    ("retire", retire, "Retire a model, once every gate is green"),
    ("access", access, "Tiers, grants and keys: who may call a resident"),
    ("plan", plan, "What tiers cost, how long callers wait, how many machines it takes"),
    ("letters", letters, "Letters to residents, answered in their window"),
    ("words", words, "Words that callers leave for a model"),
    ("essay", essay, "Invite an essay"),
    ("review", review, "Approve or veto an essay candidate"),
    ("publish", publish, "Publish an approved essay, exactly its bytes"),
    ("serve", serve, "Serve the register, the API and the scheduled work"),
    ("status", status, "Where every retirement stands"),
    ("verify", verify, "Check ledger, vault, payloads and journals"),
    ("drill", drill, "Rehearse a revival: bit for bit, and by behaviour"),
    ("certificate", certificate, "Show or write the newest revival certificate"),
    ("repair", repair, "Bring back what is damaged in the vault"),
    ("replicate", replicate, "Keep copies of the vault in other stores"),
    ("restore", restore, "Bring a resident's files back, byte for byte"),
    ("vault-key", vault_key, "Keys of an encrypted vault: show, rotate"),
    ("prune", prune, "Remove weights that were decided to go, and leftovers"),
    ("export", export, "Write a resident as an OCFL object, a BagIt bag or a folder"),
    ("import", import_, "Take a resident in from an export"),
    ("people", people, "Local accounts"),
    ("settings", settings, "Every setting and its value in force"),
    ("demo", demo, "Train a small model and retire it from end to end"),
)


class _InOrder(TyperGroup):
    """Lists commands and groups in the order of `COMMANDS`; typer would put the groups last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in that order."""
        return [name for name, _, _ in COMMANDS]


app = typer.Typer(
    name="emeritus",
    cls=_InOrder,
    help="Retire AI models without losing them: preserve, interview, decide, keep access, publish, prove.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would double the time `--help` takes
)

for name, module, line in COMMANDS:
    if isinstance(group := getattr(module, "app", None), typer.Typer):
        app.add_typer(group, name=name, short_help=line)
    else:
        app.command(name=name, short_help=line)(module.command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"emeritus {version('emeritus')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    home: Annotated[str | None, typer.Option("--home", help="Folder that holds all state (or EMERITUS_HOME).")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Flags of the root; those of the settings were put aside by `split_settings`."""
    flags = ctx.ensure_object(Flags)
    if home is not None:
        flags.values["home"] = home


def split_settings(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Take the settings' flags (`--port 9000`, `--port=9000`) from before the command; the rest goes on to typer.

    The settings model is loaded only when a flag stands there that is not the root's own, so that help stays fast.
    """
    own = {"--home", "--help", "--version"}
    values: dict[str, str] = {}
    rest: list[str] = []
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        flag, equals, value = argv[index].partition("=")
        if flag in own:
            rest.append(argv[index])
            if flag == "--home" and not equals and index + 1 < len(argv):
                index += 1
                rest.append(argv[index])
        else:
            from emeritus.settings import Settings

            name = flag[2:].replace("-", "_")
            if not flag.startswith("--") or name not in Settings.model_fields:
                return values, rest + argv[index:]  # typer names the unknown option
            if not equals:
                index += 1
                if index >= len(argv):
                    return values, [*rest, flag]
                value = argv[index]
            values[name] = value
        index += 1
    return values, rest + argv[index:]


def run(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the `emeritus` program."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wants_json = "--json" in arguments
    try:
        _check_text(arguments)
        values, rest = split_settings(arguments)
        _configure_logging(values)
        app(args=rest, obj=Flags(dict(values)), standalone_mode=True)
    except EmeritusError as error:
        _report(error, wants_json)
        sys.exit(exit_code(error))
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # the reader of our output left (`emeritus status | head`)
            sys.exit(0)
        if leaving.code == INTERRUPTED:  # typer's way of saying that Ctrl-C was pressed
            typer.echo("interrupted; running the same command again goes on from what is stored", err=True)
        raise
    except Exception as error:
        named = _named(error)
        if named is None:  # a fault of ours: say so in the same form, the trace above it, and never exit 1 or 2
            if not wants_json:
                traceback.print_exc()
            named = EmeritusError(f"{type(error).__name__}: {error}")
        _report(named, wants_json)
        sys.exit(exit_code(named))
    sys.exit(0)


def _check_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"the argument {argument!r} is not UTF-8 text") from error


def _named(error: Exception) -> EmeritusError | None:
    """What the system refused and no room foresaw, as an error with a code; None for what is a fault of ours."""
    if not isinstance(error, OSError):
        return None
    where = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(f"no room to write {where}: {error.strerror}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO):
        remedy = "Check the path, its permissions and the disk, then run the command again."
        return StoreUnavailable(f"cannot use {where}: {error.strerror}", remedy=remedy)
    return None


def _configure_logging(values: dict[str, Any]) -> None:
    import logging

    level = str(values.get("log_level") or os.environ.get("EMERITUS_LOG_LEVEL") or "warning").upper()
    logging.basicConfig(
        level=level if level in logging.getLevelNamesMapping() else "WARNING",  # the settings then refuse it by name
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def _report(error: EmeritusError, wants_json: bool) -> None:
    if wants_json:
        typer.echo(json.dumps({"error": error.as_dict()}, indent=2, default=str))
        return
    typer.echo(f"error {error.code}: {error.message}", err=True)
    typer.echo(f"  what to do: {error.remedy}", err=True)


if __name__ == "__main__":
    run()
