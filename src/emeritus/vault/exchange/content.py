"""What travels in every form, and the rules its parts keep: paths, digests, how a file is read and judged.

    weights.1/PATH        every file of the resident, by role and version
    reference.2/PATH
    manifests/ROLE.VERSION.json   the vault's own manifests: executable files, empty folders, what was left out

A folder that has no manifests/ is taken as the model itself. Knows no form and no vault.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.progress import Progress

MANIFESTS = "manifests"
DIGESTS = {"sha256": 64, "sha512": 128}  # algorithms that are taken, and how long they are in hexadecimal
MOST_NAME, MOST_PATH = 255, 3000  # bytes of a name, and of the names of a path
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One file that travels: its path among them, its length in bytes, and its sha256 (hex)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a source: its path among those that travel, where it lies, and {algorithm: digest (hex)}."""

    path: str
    real: Path
    digests: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """What a form says of its content: whose it is, who made it, and when (UTC, ISO 8601 with Z)."""

    name: str
    organisation: str
    at: str


def check_path(path: str, where: str) -> str:
    """The path itself. Raises IntegrityError unless it lies below the folder it is in, whoever wrote it."""
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in path.split("/")]
    beyond = max(lengths) > MOST_NAME or sum(lengths) > MOST_PATH  # no system has such files, and asking for one fails
    if beyond or not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise IntegrityError(f"{where} names the path {path[:80]!r}", path=path[:80])
    return path


def check_digest(digest: str, algorithm: str, where: str) -> str:
    """The digest in lower case. Raises IntegrityError where it is none."""
    digest = digest.lower()
    if len(digest) != DIGESTS[algorithm] or not set(digest) <= set("0123456789abcdef"):
        raise IntegrityError(f"{where}: {digest[:80]!r} is no {algorithm}")
    return digest


def files_below(folder: Path) -> Iterator[str]:
    """Every file's path below a folder, sorted by folder. Raises IntegrityError at a link or what is no file."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder")
    for current, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *(each for each in folders if os.path.islink(os.path.join(current, each)))]):
            path = os.path.join(current, name)
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise IntegrityError(f"{path} is a link, or no file: nothing says where its bytes should come from")
            yield os.path.relpath(path, folder)


def require_same(listed: set[str], there: set[str], where: str) -> None:
    """Raises IntegrityError naming the first file that is listed and missing, or there and not listed."""
    for path in sorted(listed - there):
        raise IntegrityError(f"{where}: {path} is missing", path=path)
    for path in sorted(there - listed):
        raise IntegrityError(f"{where}: {path} is not listed", path=path)


def verify(found: list[Found], progress: Progress) -> dict[str, Item]:
    """Read every file and compare all its digests; the files by path. Progress counts bytes. Raises IntegrityError."""
    total = sum(each.real.stat().st_size for each in found)
    done = 0
    items = {}
    for each in found:
        hashers = {name: hashlib.new(name) for name in {"sha256", *(name for name, _ in each.digests)}}
        size = 0
        with each.real.open("rb") as file:
            while piece := file.read(_PIECE):
                for hasher in hashers.values():
                    hasher.update(piece)
                size += len(piece)
                progress(each.path, done + size, total)
        done += size
        for name, digest in each.digests:
            if hashers[name].hexdigest() != digest:
                raise IntegrityError(f"{each.path} does not have the {name} that is stated for it", path=each.path)
        items[each.path] = Item(each.path, size, hashers["sha256"].hexdigest())
    return items
