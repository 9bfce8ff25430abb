"""A working keeper that copies folders, so that a test can damage exactly one thing; and a resident that does sums."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emeritus.engines.base import Answer, Build, Capabilities, Message, Piece, Sampling, Scored
from emeritus.errors import EngineFailed, IntegrityError, NotFound
from emeritus.preservation.keeper import Progress, Role


@dataclass(frozen=True)
class File:
    """One file of a set."""

    path: str
    size: int
    sha256: str
    segments: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Set:
    """One version of a set of files."""

    version: int
    files: tuple[File, ...]
    sha256: str
    weights_digest: str | None

    @property
    def total_bytes(self) -> int:
        """Their length."""
        return sum(file.size for file in self.files)

    @property
    def stored_bytes(self) -> int:
        """Copies take as much."""
        return self.total_bytes


@dataclass(frozen=True)
class Damage:
    """One file that is not as it was kept."""

    key: str
    what: str


@dataclass(frozen=True)
class Report:
    """What a check found."""

    damages: tuple[Damage, ...]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class FolderKeeper:
    """Keeps copies under `root`; what is damaged there comes back damaged, unless `checks` says that it looks."""

    root: Path
    checks: bool = False
    restores: int = 0
    sets: dict[tuple[str, str], list[Set]] = field(default_factory=dict)
    avoided: list[str] = field(default_factory=list)  # by the last preservation

    def preserve(
        self,
        source: Path,
        name: str,
        *,
        role: Role = "weights",
        progress: Progress | None = None,
        avoid: Collection[str] = (),
    ) -> Set:
        """Copy a folder, unless the newest version has exactly these files."""
        self.avoided = sorted(avoid)
        files = tuple(
            File(
                path.relative_to(source).as_posix(), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            )
            for path in sorted(source.rglob("*"))
            if path.is_file()
        )
        versions = self.sets.setdefault((name, role), [])
        if versions and versions[-1].files == files:
            return versions[-1]
        digest = hashlib.sha256(repr((name, role, len(versions), files)).encode()).hexdigest()
        made = Set(len(versions) + 1, files, digest, digest if role == "weights" else None)
        shutil.copytree(source, self.kept(name, role, made.version))
        versions.append(made)
        return made

    def kept(self, name: str, role: str = "weights", version: int = 1) -> Path:
        """Where a version lies."""
        return self.root / f"{name}-{role}-{version}"

    def manifest(self, name: str, role: Role = "weights", version: int | None = None) -> Set:
        """The newest version, or the one asked for."""
        versions = self.sets.get((name, role))
        if not versions:
            raise NotFound(f"nothing is kept of {name}")
        return versions[-1 if version is None else version - 1]

    def restore(self, name: str, dest: Path, *, role: Role = "weights", progress: Progress | None = None) -> Path:
        """Copy a version out."""
        self.restores += 1
        found = self.manifest(name, role)
        if self.checks and self.verify(name).damages:
            raise IntegrityError("a pack is damaged")
        return Path(shutil.copytree(self.kept(name, role, found.version), dest))

    def verify(self, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> Report:
        """Compare every copy with its list."""
        damages = []
        for (kept, role), versions in self.sets.items():
            for found in versions if name in (None, kept) else ():
                for file in found.files:
                    data = (self.kept(kept, role, found.version) / file.path).read_bytes()
                    if _sha256(data) != file.sha256:
                        damages.append(Damage(f"{kept}/{file.path}", "its bytes differ"))
        return Report(tuple(damages))


@dataclass
class Mind:
    """An `Awake` that scores and answers by arithmetic: `shift` moves every log-probability, `tail` every answer."""

    build: Build = field(default_factory=lambda: Build("arithmetic", weights_digest="d" * 64))
    can: Capabilities = field(default_factory=lambda: Capabilities(logprobs=True, score=True))
    shift: float = 0.0
    tail: str = ""
    extra_token: bool = False
    scored: int = 0
    answered: int = 0

    async def answer(self, messages: Sequence[Message], sampling: Sampling) -> Answer:
        """The prompt's length in words."""
        self.answered += 1
        return Answer(f"{len(messages[-1].content.split())} words{self.tail}", "stop", 1, 1)

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Piece]:
        """The answer in one piece."""
        answer = await self.answer(messages, sampling)
        yield Piece(answer.text, finish_reason="stop")

    async def score(self, texts: Sequence[str]) -> list[Scored]:
        """One token for each byte."""
        if not self.can.score:
            raise EngineFailed("it cannot score")
        self.scored += len(texts)
        found = []
        for text in texts:
            tokens = tuple(text.encode()) + ((0,) if self.extra_token else ())
            found.append(Scored(tokens, tuple(-token / 100 + self.shift for token in tokens[1:])))
        return found
