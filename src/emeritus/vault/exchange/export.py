"""Exporting a resident: every version of every role restored, verified, into one of the forms of other archives.

Made in a folder beside the destination and renamed into place, so that it is there whole or not at all. What was
encrypted at rest is not in the export.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emeritus.blobs.disk import Disk
from emeritus.errors import NotFound
from emeritus.vault.exchange import bagit, folder, ocfl
from emeritus.vault.exchange.content import MANIFESTS, Item, Label
from emeritus.vault.manifest import Manifest
from emeritus.vault.progress import Progress, silent
from emeritus.vault.reading.restore import into_place
from emeritus.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Form:
    """One form: where the content lies below the folder, what finishes it, and whether empty folders may stay."""

    content: Callable[[Label], str]
    finish: Callable[[Path, Sequence[Item], Label], None]
    empty_folders: bool


FORMS: Mapping[str, Form] = {
    "ocfl": Form(ocfl.content_below, ocfl.finish, False),
    "bagit": Form(lambda label: bagit.CONTENT, bagit.finish, False),
    "folder": Form(lambda label: folder.CONTENT, folder.finish, True),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: (role, version) of each part, files and bytes in all."""

    parts: tuple[tuple[str, int], ...]
    files: int
    bytes: int


def export(vault: Vault, label: Label, form: str, dest: Path, progress: Progress | None = None) -> Exported:
    """Write the resident `label.name` to `dest` (absent or empty). Progress counts bytes.

    Raises NotFound, DestinationNotEmpty, StoreFull, IntegrityError; nothing is then left behind.
    """
    chosen = FORMS[form]
    manifests = vault.manifests_of(label.name)
    if not manifests:
        raise NotFound(f"the vault holds nothing of {label.name!r}", name=label.name)
    total = sum(manifest.total_bytes for manifest in manifests)
    report = progress or silent
    items: list[Item] = []
    before = 0
    with into_place(dest) as work:
        content = work / chosen.content(label)
        (content / MANIFESTS).mkdir(parents=True)
        for manifest in manifests:
            part = f"{manifest.role}.{manifest.version}"
            items += [Item(f"{part}/{file.path}", file.size, file.sha256) for file in manifest.files]

            def counted(what: str, done: int, _: int, part: str = part, before: int = before) -> None:
                report(f"{part}/{what}", before + done, total)

            vault.restore(manifest.name, content / part, role=manifest.role, version=manifest.version, progress=counted)
            before += manifest.total_bytes
            items.append(_keep(manifest, content))
        if not chosen.empty_folders:
            _remove_empty(content)
        items.sort(key=lambda item: item.path)
        chosen.finish(work, items, label)
        _make_durable(work)
    parts = tuple((manifest.role, manifest.version) for manifest in manifests)
    return Exported(parts, len(items), sum(item.size for item in items))


def _keep(manifest: Manifest, content: Path) -> Item:
    data = manifest.to_bytes()
    path = f"{MANIFESTS}/{manifest.role}.{manifest.version}.json"
    (content / path).write_bytes(data)
    return Item(path, len(data), hashlib.sha256(data).hexdigest())


def _remove_empty(content: Path) -> None:
    for current, _, _ in os.walk(content, topdown=False):
        if not os.listdir(current):
            os.rmdir(current)


def _make_durable(work: Path) -> None:
    """The restored files are; what was written beside them and all folders' names are not yet."""
    disk = Disk()
    for current, _, names in os.walk(work, topdown=False):
        for name in names:
            fd = os.open(os.path.join(current, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                disk.fsync(fd)
            finally:
                os.close(fd)
        disk.fsync_folder(Path(current))
