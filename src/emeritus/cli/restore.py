"""`emeritus restore`: bring a resident's files back."""

from __future__ import annotations

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

    Example:  emeritus restore wren-1 ./wren-1
    """
    with flags_of(ctx).app() as app:
        manifest = app.vault.manifest(name, role=role)
        with progress_bar(as_json) as progress:
            app.vault.restore(name, dest, role=role, progress=progress)
    if as_json:
        emit(
            {
                "name": name,
                "role": role,
                "folder": str(dest),
                "files": len(manifest.files),
                "bytes": manifest.total_bytes,
            }
        )
        return
    show(f"Restored {len(manifest.files)} files ({manifest.total_bytes:,} bytes) to {dest}; every sha256 matches.")
