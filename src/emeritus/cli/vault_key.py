"""`emeritus vault-key`: the keys of an encrypted vault."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, show

app = typer.Typer(help="Keys of an encrypted vault.", no_args_is_help=True, rich_markup_mode=None)
NEW = "EMERITUS_VAULT_NEW_PASSPHRASE"
UNDER = {"scrypt": "a passphrase (scrypt)", "hkdf-sha256": "a key file (HKDF)"}


@app.command("show")
def show_keys(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the vault's data keys and what each is wrapped under; needs no secret and shows none.

    Example:  emeritus vault-key show
    """
    with flags_of(ctx).app() as opened:
        keys = opened.vault.keys.describe()
        encrypted = opened.vault.keys.encrypted
    if as_json:
        emit({"encrypted": encrypted, "keys": keys})
        return
    if not encrypted:
        show("The vault is not encrypted.")
    for key in keys:
        use = "encrypts what is new" if key is keys[-1] else "decrypts what it encrypted"
        show(f"key {key['number']}: under {UNDER.get(key['kdf'], key['kdf'])}; {use}")


@app.command("rotate")
def rotate(
    ctx: typer.Context,
    passphrase_file: Annotated[Path | None, typer.Option(help=f"File with the new passphrase. Else {NEW}.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="The new key file, instead of a passphrase.")] = None,
    data_key: Annotated[
        bool, typer.Option("--data-key", help="Also make a data key for what is preserved from now on.")
    ] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put the vault's keys under another passphrase or key file; packs stay as they are.

    What opened the vault until now must still be set. It opens no copy of keys/ that was made after this; whoever has
    an older copy and the old passphrase can still read what was encrypted then. --data-key alone changes no passphrase.
    The ledger states the keys as they then are, by digests. Cut short, the same command goes on.

    Example:  emeritus vault-key rotate --passphrase-file ./new-passphrase --data-key
    """
    from emeritus.errors import InputError
    from emeritus.preservation.secret import vault_secret
    from emeritus.vault.keys.cipher import Secret

    files = [str(Path(os.path.abspath(each))) if each else "" for each in (passphrase_file, key_file)]
    if all(files):
        raise InputError("give a passphrase file or a key file, not both")
    flags = flags_of(ctx)
    actor = actor_from(person)
    with flags.app() as opened:
        keys = opened.vault.keys
        if not keys.encrypted:
            raise InputError(
                "the vault is not encrypted",
                remedy="Encryption is chosen when a home is made: emeritus init --encrypt.",
            )
        chosen = {"vault_passphrase_file": files[0], "vault_key_file": files[1]}
        secret = vault_secret(opened.settings.model_copy(update=chosen)) if any(files) else None
        if secret is None and (given := os.environb.get(NEW.encode())) is not None:
            secret = Secret.passphrase(given)
        if secret is None and not data_key:
            raise InputError(
                "no new passphrase was given, and no new data key asked for",
                remedy=f"Set {NEW}, or add --passphrase-file FILE, --key-file FILE or --data-key.",
            )
        rewrapped = keys.rewrap(secret) if secret else []
        if secret:
            opened.use_vault_secret(*files)
        made = keys.renew() if data_key else None
        act = opened.keys.vault(actor)
    if as_json:
        emit({"rewrapped": rewrapped, "made": made, "entry": None if act is None else act.seq})
        return
    if secret:
        show(f"{len(rewrapped)} key{'' if len(rewrapped) == 1 else 's'} put under the new {secret.kind}.")
        if not any(files):
            show("Set EMERITUS_VAULT_PASSPHRASE to it from now on.")
    if made:
        show(f"key {made} encrypts what is preserved from now on.")
    show("Copies of the vault take the keys over when they are next made: emeritus replicate.")
