"""A BagIt bag (RFC 8493, version 1.0): payload in data/, sha256 of all payload and all tag files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from emeritus.errors import IntegrityError, UnknownFormat
from emeritus.vault.exchange.content import (
    DIGESTS,
    Found,
    Item,
    Label,
    check_digest,
    check_path,
    files_below,
    require_same,
)

DECLARATION = "bagit.txt"
CONTENT = "data"
_TEXT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_KNOWN = re.compile(r"BagIt-Version: (0\.97|1\.0)\r?\n?Tag-File-Character-Encoding: UTF-8\s*", re.IGNORECASE)
_LINE = re.compile(r"([0-9a-fA-F]+)[ \t]+\*?(.+)")


def finish(folder: Path, items: Sequence[Item], label: Label) -> None:
    """Write the tag files around the payload."""
    size = sum(item.size for item in items)
    tags = {
        DECLARATION: _TEXT,
        "bag-info.txt": f"Source-Organization: {' '.join(label.organisation.split())}\n"
        f"Bagging-Date: {label.at[:10]}\n"
        f"External-Identifier: emeritus:{label.name}\n"
        f"Payload-Oxum: {size}.{len(items)}\n",
        "manifest-sha256.txt": "".join(f"{item.sha256}  {CONTENT}/{_encoded(item.path)}\n" for item in items),
    }
    sums = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in tags.items())
    for name, text in {**tags, "tagmanifest-sha256.txt": sums}.items():
        (folder / name).write_text(text, encoding="utf-8")


def read(source: Path) -> list[Found]:
    """The payload, complete, with the digests stated for it; tag files are checked here, the payload not yet.

    Raises IntegrityError, and UnknownFormat: another version, or digests that are taken no more (md5, sha1).
    """
    text = (source / DECLARATION).read_text(encoding="utf-8", errors="replace")
    if _KNOWN.fullmatch(text) is None:
        raise UnknownFormat(f"{source} is a bag of another version or encoding than 1.0 and UTF-8")
    if (source / "fetch.txt").exists():
        raise IntegrityError(f"{source} is not whole: fetch.txt names files that are to be fetched")
    for algorithm in DIGESTS:
        for path, digest in _sums(source / f"tagmanifest-{algorithm}.txt", algorithm):
            tag = source / path
            if not tag.is_file() or hashlib.new(algorithm, tag.read_bytes()).hexdigest() != digest:
                raise IntegrityError(f"{path} is missing or does not have the {algorithm} that is stated for it")
    stated: dict[str, dict[str, str]] = {}
    for algorithm in DIGESTS:
        for path, digest in _sums(source / f"manifest-{algorithm}.txt", algorithm):
            if not path.startswith(f"{CONTENT}/"):
                raise IntegrityError(f"manifest-{algorithm}.txt names {path[:80]!r}, which is no payload")
            stated.setdefault(path.removeprefix(f"{CONTENT}/"), {})[algorithm] = digest
    if not any((source / f"manifest-{algorithm}.txt").exists() for algorithm in DIGESTS):
        raise UnknownFormat(f"{source} has no manifest of {' or '.join(DIGESTS)}")
    require_same(set(stated), set(files_below(source / CONTENT)), "the bag's manifest")
    return [
        Found(path, source / CONTENT / path, tuple(sorted(digests.items()))) for path, digests in sorted(stated.items())
    ]


def _sums(file: Path, algorithm: str) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    found = []
    for line in re.split(r"\r?\n|\r", file.read_bytes().decode("utf-8", "surrogateescape").rstrip("\r\n")):
        match = _LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(f"{file.name} has a line that is no sum: {line[:80]!r}")
        path = check_path(_decoded(match[2].removeprefix("./")), file.name)
        found.append((path, check_digest(match[1], algorithm, file.name)))
    return found


def _encoded(path: str) -> str:
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _decoded(path: str) -> str:
    return re.sub("%(0D|0A|25)", lambda match: chr(int(match[1], 16)), path, flags=re.IGNORECASE)
