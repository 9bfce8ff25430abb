"""`emeritus init`: make a home."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show


def command(
    ctx: typer.Context,
    organisation: Annotated[str | None, typer.Option(help="Who retires the models; shown on every page.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="The ledger's origin line, e.g. example.org/emeritus. Fixed for ever.")
    ] = None,
    second_decider: Annotated[str | None, typer.Option(help="required or waived; a waiver is shown publicly.")] = None,
    second_access_reviewer: Annotated[
        str | None, typer.Option(help="required or waived: two people to decline access; a waiver is public.")
    ] = None,
    second_coder: Annotated[str | None, typer.Option(help="required or waived; a waiver is shown publicly.")] = None,
    coding_gate: Annotated[
        str | None, typer.Option(help="Of the coders' agreement: required or waived, shown publicly.")
    ] = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt the vault, under a passphrase or a key file. Fixed for ever.")
    ] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="With --encrypt: file with the passphrase. Else EMERITUS_VAULT_PASSPHRASE.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="With --encrypt: a key file instead of a passphrase.")] = None,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a home: settings file, signing keys, ledger, vault and database.

    A group of one may waive the second decider and the second coder; the waiver is recorded and shown publicly.

    With --encrypt what is preserved can be read only with the passphrase or the key file. Nobody can bring a lost one
    back: keep it in two places, apart from the vault.

    Example:  emeritus --home ./models-home init --organisation "Example Lab" --second-decider waived
    """
    from emeritus.app import App
    from emeritus.errors import InputError
    from emeritus.preservation.secret import vault_secret

    if not encrypt and (passphrase_file or key_file):
        raise InputError("a passphrase file or key file goes with --encrypt")
    given = {
        "organisation": organisation,
        "origin": origin,
        "second_decider": second_decider,
        "second_coder": second_coder,
        "second_access_reviewer": second_access_reviewer,
        "coding_gate": coding_gate,
        "vault_passphrase_file": os.path.abspath(passphrase_file) if passphrase_file else None,
        "vault_key_file": os.path.abspath(key_file) if key_file else None,
    }
    flags = flags_of(ctx)
    flags.values.update({name: value for name, value in given.items() if value is not None})
    settings = flags.settings()
    secret = vault_secret(settings) if encrypt else None
    if encrypt and secret is None:
        raise InputError(
            "no passphrase was given to encrypt under",
            remedy="Set EMERITUS_VAULT_PASSPHRASE, or add --passphrase-file FILE or --key-file FILE.",
        )
    made = App.create(settings, actor_from(person), {name for name in given if name in flags.values}, secret)
    if as_json:
        emit(made)
        return
    show(f"{'Made' if made['created'] else 'Found'} a home at {settings.home}")
    show(f"  ledger   {made['origin']}")
    show(f"  public key for verifying it: {made['public_key']}")
    show(f"  public key for verifying restored models: {made['model_key']}")
    if encrypt:
        show("  the vault is encrypted: keep the passphrase or key file in two places apart from it")
    rules = ("second_decider", "second_coder", "coding_gate", "second_access_reviewer")
    waived = [rule for rule in rules if getattr(settings, rule) == "waived"]
    if waived:
        show(f"  waived, and shown publicly: {', '.join(rule.replace('_', ' ') for rule in waived)}")
    show("Back up emeritus.toml, keys/, ledger/, private/, payloads/, journals/ and vault/;")
    show("  the database can be rebuilt from them, save accounts, API keys and metering.")
    home = "" if os.environ.get("EMERITUS_HOME") else f" --home {shlex.quote(str(settings.home))}"
    show(f"Next: emeritus{home} preserve DIR --name NAME")
