"""`emeritus export`: a resident in the form of other archives."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from emeritus.cli.context import JsonFlag, emit, flags_of, progress_bar, show

CHECKS = {
    "ocfl": "ocfl-validate.py {dest} {dest}/{name}  (pip install ocfl-py)",
    "bagit": "bagit.py --validate {dest}  (pip install bagit)",
    "folder": "cd {dest} && sha256sum -c SHA256SUMS",
}


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The resident.")],
    dest: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or an empty one.")],
    form: Annotated[str, typer.Option("--as", help="ocfl (1.1), bagit (1.0) or folder, with SHA256SUMS.")] = "folder",
    as_json: JsonFlag = False,
) -> None:
    """Export all that the vault holds of a resident: weights, references, reports, each version, and the manifests.

    Every byte is verified on the way, and the digests are those of the manifests. From an encrypted vault too, an
    export is not encrypted.

    Example:  emeritus export wren-1 ./wren-1-bag --as bagit
    """
    from emeritus.errors import InputError
    from emeritus.vault.exchange.content import Label
    from emeritus.vault.exchange.export import FORMS, export

    if form not in FORMS:
        raise InputError(f"no form is named {form!r}", remedy=f"Use one of: {', '.join(FORMS)}.")
    with flags_of(ctx).app() as app, progress_bar(as_json) as progress:
        label = Label(name, app.settings.organisation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        done = export(app.vault, label, form, dest, progress)
    if as_json:
        parts = [{"role": role, "version": version} for role, version in done.parts]
        emit({"name": name, "as": form, "folder": str(dest), "parts": parts, "files": done.files, "bytes": done.bytes})
        return
    show(f"Exported {name} to {dest}: {done.files} files ({done.bytes:,} bytes)")
    show(f"  {', '.join(f'{role} {version}' for role, version in done.parts)}")
    show(f"  check it anywhere: {CHECKS[form].format(dest=dest, name=name)}")
