"""`emeritus restore`: bring a resident's files back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, progress_bar, show


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    dest: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or an empty one.")],
    role: Annotated[str, typer.Option(help="Which files: weights, reference or report.")] = "weights",
    as_json: JsonFlag = False,
) -> None:
    """Restore a resident's files, byte for byte; every segment and every file is verified on the way.

    Beside the folder, DEST.emeritus.sig is an OpenSSF model-signing bundle over these files, signed with this home's
    key: whoever has keys/signing.pub checks it by `model_signing verify key`, without Emeritus.

    Example:  emeritus restore wren-1 ./wren-1
    """
    from emeritus.acts import Actor

    with flags_of(ctx).app() as app:
        key = app.model_key
        app.keys.signing(
            key.public_pem, Actor("emeritus restore", "home", automated=True)
        )  # a home of old has none stated
        with progress_bar(as_json) as progress:
            manifest = app.vault.restore(name, dest, role=role, progress=progress)
        bundle = key.sign_restored(manifest, dest)
    if as_json:
        emit(
            {
                "name": name,
                "role": role,
                "folder": str(dest),
                "files": len(manifest.files),
                "bytes": manifest.total_bytes,
                "bundle": str(bundle),
                "public_key": str(key.public_path),
            }
        )
        return
    show(f"Restored {len(manifest.files)} files ({manifest.total_bytes:,} bytes) to {dest}; every sha256 matches.")
    show(f"  signed: {bundle}")
    show("  check it anywhere (pip install model-signing):")
    check = ["model_signing", "verify", "key", "--signature", bundle, "--public_key", key.public_path, dest]
    show(f"    {shlex.join(map(str, check))}")
