"""The folder to be preserved: which of it is kept, and what is refused before a byte is stored.

Reads names and sizes only. Kept: every regular file, hidden ones too, and folders that hold nothing. A link to a file
inside the folder is kept as that file. Times, owners and permissions other than "executable" are not kept.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from emeritus.errors import BadName, InputError, NotAModel, NotFound
from emeritus.vault.manifest import WEIGHT_ENDINGS

TOOL_FOLDERS = {".git", ".cache"}  # at the top of a model's folder: version control, and a downloader's own state


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be kept: its path in the manifest, where to read it, and its size in bytes when it was seen."""

    path: str
    real: Path
    size: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """What a folder holds, sorted by path."""

    files: tuple[SourceFile, ...]
    folders: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size for file in self.files)


def scan(source: Path, role: str) -> Tree:
    """The tree to preserve. Raises NotFound, NotAModel, BadName (a link that leaves the folder), InputError."""
    if not source.exists():
        raise NotFound(f"{source} does not exist", remedy="Give the folder that holds the model.")
    if not source.is_dir():
        raise NotAModel(f"{source} is a file, not a folder")
    root = source.resolve()
    files: list[SourceFile] = []
    folders: list[str] = []
    left_out: list[str] = []

    def walk(folder: Path, above: str) -> None:
        names = sorted(os.listdir(folder))
        if above and not names:
            folders.append(above.rstrip("/"))
        for name in names:
            path = above + name
            full = folder / name
            _check_text(path)
            kind = full.lstat().st_mode
            if role == "weights" and not above and name in TOOL_FOLDERS and stat.S_ISDIR(kind):
                left_out.append(name)
            elif stat.S_ISDIR(kind):
                walk(full, f"{path}/")
            else:
                files.append(_file(full, path, root))

    try:
        walk(root, "")
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error}") from error
    if role == "weights":
        _require_model(source, {file.path for file in files})
    return Tree(tuple(sorted(files, key=lambda file: file.path)), tuple(sorted(folders)), tuple(sorted(left_out)))


def _file(full: Path, path: str, root: Path) -> SourceFile:
    real = full
    if full.is_symlink():
        real = full.resolve()
        if root not in real.parents:
            raise BadName(
                f"{path} is a link that leaves the folder, to {real}",
                remedy="Copy the folder with its links followed (cp -rL SOURCE COPY) and preserve the copy.",
            )
        if not real.exists():
            raise InputError(f"{path} is a link to {os.readlink(full)}, which does not exist")
    found = real.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is neither a file nor a folder, or is a link to a folder")
    return SourceFile(path, real, found.st_size, bool(found.st_mode & stat.S_IXUSR))


def _check_text(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadName(f"the file name {path!r} is not UTF-8", remedy="Rename the file.") from error


def _require_model(source: Path, paths: set[str]) -> None:
    weights = [path for path in paths if path.lower().endswith(WEIGHT_ENDINGS)]
    if not weights:
        raise NotAModel(f"{source} holds no weight file ({', '.join(WEIGHT_ENDINGS)})")
    if "config.json" not in paths and not any(path.lower().endswith(".gguf") for path in weights):
        raise NotAModel(f"{source} holds no config.json")
