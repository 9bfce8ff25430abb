"""`emeritus demo`: train a small real model and retire it from end to end.

The one command that imports `emeritus.testing` (ADR 0006). Every step finds what an earlier run did, so a run that was
killed at any point is finished by the next. The walk itself is `cli/walkthrough.py`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, show

if TYPE_CHECKING:
    from emeritus.cli.context import Flags

DEFAULT_HOME = "emeritus-demo"


def command(
    ctx: typer.Context,
    serve: Annotated[bool, typer.Option(help="Serve the site and the API afterwards, until interrupted.")] = True,
    port: Annotated[int | None, typer.Option(help="Port to serve on; 0 takes a free one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Retire a small real language model, from training it to publishing its essay, and show what came of it.

    Trains a transformer of about a million parameters on the spot (a minute or so), walks it through a whole
    retirement, then serves the public register and the API on loopback. What people would do is done by automation and
    labelled so. Run it again and it goes on from what exists. State lies in ./emeritus-demo unless --home is given.

    Example:  emeritus demo --no-serve
    """
    import asyncio
    import os

    from emeritus.app import App
    from emeritus.cli.serve import serve as listen
    from emeritus.cli.summary import resident_summary
    from emeritus.cli.walkthrough import Walkthrough, prepare

    flags = flags_of(ctx)
    if "home" not in flags.values and "EMERITUS_HOME" not in os.environ:
        flags.values["home"] = DEFAULT_HOME
    if port is not None:
        flags.values["port"] = port
    resident = prepare(flags.settings().home, quiet=as_json)
    _make_home(flags, resident.organisation)
    app = App.open(flags.settings())
    try:
        walk = Walkthrough(app, resident, quiet=as_json)
        asyncio.run(walk.all())
        key = walk.key()
        if as_json:
            emit(resident_summary(app, resident.name) | {"api_key": key, "home": str(app.settings.home)})
        else:
            show(f"\n{resident.title} is retired. Everything lies in {app.settings.home}")
            show(f"  check it:   {_program()} --home {_shown(app.settings.home)} verify")
        if not serve:
            return
        listen(app, jobs=True, announce=lambda url: _announce(url, resident.name, key))
    finally:
        app.close()


def _make_home(flags: Flags, organisation: str) -> None:
    """A home with the demonstration's waivers: one program stands in for everyone, and the pages say so."""
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.settings import load

    given = {"organisation": organisation, "second_decider": "waived", "second_coder": "waived"}
    settings = load(**{**given, **flags.values})
    App.create(settings, Actor("demo", "demonstration", automated=True), keep=set(given))


def _announce(url: str, name: str, key: str) -> None:
    show(f"\n  the register   {url}/")
    show(f"  the model      {url}/residents/{name}")
    show(f"  the API        {url}/v1   key: {key}")
    show(f"\n  curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\")
    show(f'       -d \'{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello"}}]}}\'')
    show("\nCtrl-C ends it; the same command goes on from here.")


def _program() -> str:
    """What to type for this program: `./demo` starts it from .venv, which need not be on PATH."""
    started = Path(sys.argv[0])
    return _shown(started.absolute()) if started.name == "emeritus" and not shutil.which("emeritus") else "emeritus"


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
