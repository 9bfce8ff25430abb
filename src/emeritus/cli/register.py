"""`emeritus register`: name a model that answers somewhere else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name in care.")],
    engine: Annotated[
        str, typer.Option(help="upstream (a remote API), command (a server we start), scripted.")
    ] = "upstream",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="KEY=VALUE", help="An engine option; may be repeated.")
    ] = None,
    title: Annotated[str, typer.Option(help="Its name on pages.")] = "",
    description: Annotated[str, typer.Option(help="One or two sentences about it.")] = "",
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Register a model whose weights are not held: it is reached through an OpenAI- or Anthropic-compatible API.

    A key is never stored: give the name of the environment variable that holds it (api_key_env=NAME).

    Example:  emeritus register old-chat -o base_url=http://127.0.0.1:9000/v1 -o model=old-chat -o api_key_env=OLD_KEY
    """
    from emeritus.engines.open import check_options
    from emeritus.errors import BadSettings
    from emeritus.lifecycle.registration import Registration

    options: dict[str, Any] = {}
    for pair in option or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadSettings(f"engine option {pair!r} is not KEY=VALUE")
        options[key] = value
        if value.startswith(("[", "{")):
            with suppress(ValueError):  # a command may begin with a placeholder; the check refuses what had to be JSON
                options[key] = json.loads(value)
    check_options(engine, options)
    from emeritus.cli.summary import resident_summary

    with flags_of(ctx).app() as app:
        registration = Registration(name, title, description, engine, options, weights_held=False)
        app.lifecycle.register(registration, actor_from(person))
        result = resident_summary(app, name)
    if as_json:
        emit(result)
        return
    show(f"Registered {name} through {engine}; its weights are not held.")
    show(f"Next: emeritus preserve --name {name}   (keeps its behaviour)")
