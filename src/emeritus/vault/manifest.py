"""A manifest: the list of a resident's files and of the segments that hold their bytes; and the names it may have.

Format and canonical form in docs/format.md. Knows where a manifest lies, not how its segments are found.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from emeritus.errors import BadName, IntegrityError, UnknownFormat
from emeritus.vault.sealed import Json, seal, unseal

FORMAT = 0
Role = Literal["weights", "report", "reference"]
ROLES: tuple[str, ...] = get_args(Role)
WEIGHT_ENDINGS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
TOKENIZER_FILES = {
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",  # read by other engines than the embedded one
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_KEY = re.compile(r"manifests/([^/]+)/([a-z]+)\.([1-9][0-9]{0,8})\.json", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file. `segments` are (BLAKE3 hex, decoded length in bytes), in order; together they are the file."""

    path: str
    size: int
    sha256: str
    executable: bool
    segments: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Manifest:
    """What the vault holds of a resident in one role.

    `folders` are those that hold nothing, `left_out` what was not taken from the source (tools' own folders), `packs`
    the sha256 of the packs its segments and their bases lay in when it was written, `stored_bytes` what its segments
    take there, encoded; `bases` names the other residents whose segments it needs as bases, sorted.
    """

    name: str
    role: str
    version: int
    files: tuple[FileEntry, ...]
    folders: tuple[str, ...]
    left_out: tuple[str, ...]
    packs: tuple[str, ...]
    stored_bytes: int
    bases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Where it lies in the store."""
        return manifest_key(self.name, self.role, self.version)

    @property
    def total_bytes(self) -> int:
        """What the files measure together."""
        return sum(file.size for file in self.files)

    @property
    def weights(self) -> tuple[FileEntry, ...]:
        """The weight files, by their names' endings."""
        return tuple(file for file in self.files if file.path.lower().endswith(WEIGHT_ENDINGS))

    @cached_property
    def weights_digest(self) -> str | None:
        """sha256 (hex) over the sorted "path NUL sha256 LF" of the weight files; None when there are none."""
        lines = sorted(f"{file.path}\0{file.sha256}\n".encode() for file in self.weights)
        return hashlib.sha256(b"".join(lines)).hexdigest() if lines else None

    @property
    def has_tokenizer(self) -> bool:
        """Whether a tokenizer's file is there, or a GGUF file, which carries its own."""
        names = {file.path.rpartition("/")[2] for file in self.files}
        return bool(names & TOKENIZER_FILES) or any(name.lower().endswith(".gguf") for name in names)

    @cached_property
    def sha256(self) -> str:
        """sha256 (hex) of the manifest as it is stored: what a statement about it names."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def file(self, path: str) -> FileEntry | None:
        """The file of that path, if there is one."""
        return next((file for file in self.files if file.path == path), None)

    def same_tree(self, other: Manifest) -> bool:
        """Whether both hold the same files and folders, byte for byte."""
        return self.tree() == other.tree()

    def tree(self) -> tuple[frozenset[tuple[str, int, str, bool]], frozenset[str]]:
        """What a restore would make: files (path, size, sha256, executable) and empty folders."""
        return frozenset((f.path, f.size, f.sha256, f.executable) for f in self.files), frozenset(self.folders)

    def to_bytes(self) -> bytes:
        """The stored form."""
        files = [
            {
                "path": file.path,
                "size": file.size,
                "sha256": file.sha256,
                "executable": file.executable,
                "segments": [list(segment) for segment in file.segments],
            }
            for file in self.files
        ]
        body: Json = {
            "format": FORMAT,
            "name": self.name,
            "role": self.role,
            "version": self.version,
            "files": files,
            "folders": list(self.folders),
            "left_out": list(self.left_out),
            "packs": list(self.packs),
            "bases": list(self.bases),
            "bytes": self.total_bytes,
            "stored_bytes": self.stored_bytes,
            "weights_digest": self.weights_digest,
        }
        return seal("manifest", body)

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Manifest:
        """Read the stored form found at `key`. Raises IntegrityError or UnknownFormat, naming it."""
        body = unseal("manifest", data, key)
        if body.get("format") != FORMAT:
            raise UnknownFormat(f"{key} is of format {body.get('format')!r}; this version knows {FORMAT}", key=key)
        try:
            manifest = cls(
                name=check_name(body["name"]),
                role=check_role(body["role"]),
                version=int(body["version"]),
                files=tuple(_file(entry) for entry in body["files"]),
                folders=tuple(_path(path) for path in body["folders"]),
                left_out=tuple(str(path) for path in body["left_out"]),
                packs=tuple(_hex(name) for name in body["packs"]),
                stored_bytes=int(body["stored_bytes"]),
                bases=tuple(check_name(base) for base in body["bases"]),
            )
            if manifest.to_bytes() != data:
                raise ValueError("it says something that its own files do not")
        except (KeyError, TypeError, ValueError, AttributeError, BadName) as error:
            raise IntegrityError(f"{key} is no manifest: {error}", key=key) from error
        return manifest


def manifest_key(name: str, role: str, version: int) -> str:
    """Where a manifest lies."""
    return f"manifests/{name}/{role}.{version}.json"


def parse_key(key: str) -> tuple[str, str, int] | None:
    """(name, role, version) of a manifest's key; None when it is no manifest's."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2], int(match[3])) if match else None


def check_name(name: str) -> str:
    """The name itself. Raises BadName unless it is safe as a folder's name on every system and in every address."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadName(f"{str(name)[:80]!r} cannot be a resident's name", name=str(name)[:80])
    return name


def check_role(role: str) -> str:
    """The role itself. Raises BadName listing the known roles."""
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise BadName(f"no role is named {str(role)[:80]!r}; known: {known}", remedy=f"Use one of: {known}.")
    return role


def _file(entry: Any) -> FileEntry:
    segments = tuple((_hex(digest), int(length)) for digest, length in entry["segments"])
    if sum(length for _, length in segments) != entry["size"] or any(length <= 0 for _, length in segments):
        raise ValueError(f"the segments of {entry['path']!r} do not add up to its size")
    return FileEntry(
        _path(entry["path"]), int(entry["size"]), _hex(entry["sha256"]), bool(entry["executable"]), segments
    )


def _path(path: str) -> str:
    """A path below the folder restored into; anything that could leave it is refused, whoever wrote it."""
    if not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} is no path below a folder")
    return path


def _hex(digest: str) -> str:
    if not _HEX.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest")
    return digest
