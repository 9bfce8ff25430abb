"""Reading an export, ours or another's: every digest checked, then its parts laid out as folders to be preserved.

A source that is not whole, or holds anything its lists do not name, is refused before a byte is kept. Of a source that
Emeritus made, the manifests inside say what else a folder was: executable files, empty folders.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emeritus.errors import InputError, IntegrityError, NotFound
from emeritus.vault.exchange import bagit, folder, ocfl
from emeritus.vault.exchange.content import MANIFESTS, Found, Item, verify
from emeritus.vault.manifest import ROLES, Manifest
from emeritus.vault.progress import Progress, silent

_PART = re.compile(rf"({'|'.join(ROLES)})\.([1-9][0-9]{{0,8}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One version of one role: the folder it was laid out in, and the files it has, by path."""

    role: str
    version: int
    folder: Path
    items: Mapping[str, Item]

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 (hex) of each file."""
        return {path: item.sha256 for path, item in self.items.items()}

    def require_kept(self, kept: Mapping[str, str]) -> None:
        """Raises IntegrityError unless these very files were preserved: the source may have changed meanwhile.

        `kept`: the sha256 (hex) of each file in the vault.
        """
        if kept != self.digests:
            raise IntegrityError(f"the files of {self.role} {self.version} changed while they were being preserved")


def read(source: Path) -> tuple[str, list[Found]]:
    """The form of a source, and its files with the digests stated for them.

    Raises NotFound, InputError (no form that is known), IntegrityError, UnknownFormat.
    """
    if not source.is_dir():
        raise NotFound(f"{source} is not a folder", remedy="Give the folder of an export: unpack an archive first.")
    if (source / bagit.DECLARATION).is_file():
        return "bagit", bagit.read(source)
    if ocfl.is_one(source):
        return "ocfl", ocfl.read(source)
    if (source / folder.SUMS).is_file():
        return "folder", folder.read(source)
    raise InputError(
        f"{source} is no bag, no OCFL root or object, and has no {folder.SUMS}",
        remedy="A model's own folder is taken in by `emeritus preserve DIR --name NAME`.",
    )


def lay_out(found: list[Found], work: Path, progress: Progress | None = None) -> list[Part]:
    """Check every file of a source and lay the parts out below `work`, by hard links where that can be.

    Weights first, then other roles by version. Raises IntegrityError.
    """
    items = verify(found, progress or silent)
    real = {each.path: each.real for each in found}
    manifests = _manifests(real)
    if not manifests:
        return [_lay(Part("weights", 1, work / "weights.1", items), real, None)]
    parts = []
    for name, manifest in manifests.items():
        own = {path[len(name) + 1 :]: item for path, item in items.items() if path.startswith(f"{name}/")}
        stated = {file.path: (file.size, file.sha256) for file in manifest.files}
        if stated != {path: (item.size, item.sha256) for path, item in own.items()}:
            raise IntegrityError(f"the files of {name} are not those that its manifest lists")
        part = Part(manifest.role, manifest.version, work / name, own)
        below = {path[len(name) + 1 :]: where for path, where in real.items() if path.startswith(f"{name}/")}
        parts.append(_lay(part, below, manifest))
    known = {*manifests, MANIFESTS}
    for path in items:
        if path.split("/")[0] not in known:
            raise IntegrityError(f"{path} belongs to no part that a manifest lists", path=path)
    return sorted(parts, key=lambda part: (part.role != "weights", part.role, part.version))


def _manifests(real: Mapping[str, Path]) -> dict[str, Manifest]:
    """{ROLE.VERSION: manifest}; empty where the source is none of ours."""
    found = {}
    for path, where in real.items():
        folder_name, _, file = path.partition("/")
        name = file.removesuffix(".json")
        if folder_name == MANIFESTS and file.endswith(".json") and _PART.fullmatch(name):
            manifest = Manifest.from_bytes(where.read_bytes(), path)
            if f"{manifest.role}.{manifest.version}" != name:
                raise IntegrityError(f"{path} holds the manifest of {manifest.key}", path=path)
            found[name] = manifest
    return found


def _lay(part: Part, real: Mapping[str, Path], manifest: Manifest | None) -> Part:
    executable = {} if manifest is None else {file.path: file.executable for file in manifest.files}
    part.folder.mkdir(parents=True)
    for path in part.items:
        there = part.folder / path
        there.parent.mkdir(parents=True, exist_ok=True)
        mode = real[path].stat().st_mode
        wanted = executable.get(path, bool(mode & 0o100))
        if wanted == bool(mode & 0o100):
            _link(real[path], there)
        else:
            shutil.copyfile(real[path], there)
            there.chmod(0o755 if wanted else 0o644)
    for path in () if manifest is None else manifest.folders:
        (part.folder / path).mkdir(parents=True, exist_ok=True)
    return part


def _link(real: Path, there: Path) -> None:
    try:
        os.link(real, there)
    except OSError:  # another disk, or one without hard links
        shutil.copy(real, there)
