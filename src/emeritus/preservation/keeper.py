"""What preservation asks of a vault, as protocols: so that its services can be read without the vault's own rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

Role = Literal["weights", "reference", "report"]
Progress = Callable[[str, int, int], None]  # what, done, total


class KeptFile(Protocol):
    """One file as a manifest lists it."""

    @property
    def path(self) -> str:
        """Relative POSIX path."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """Hex digest of the whole file."""


class Kept(Protocol):
    """A manifest: one version of one set of files."""

    @property
    def version(self) -> int:
        """Counts from 1."""

    @property
    def files(self) -> Sequence[KeptFile]:
        """Every file."""

    @property
    def total_bytes(self) -> int:
        """What the files measure."""

    @property
    def stored_bytes(self) -> int:
        """What they take in the vault."""

    @property
    def weights_digest(self) -> str | None:
        """sha256 over the sorted weight files' sha256; None where there are none."""

    @property
    def sha256(self) -> str:
        """Digest of the manifest's own bytes."""


class Verified(Protocol):
    """What a scrub found."""

    @property
    def ok(self) -> bool:
        """Whether everything read was as it was stored."""

    @property
    def problems(self) -> Sequence[str]:
        """One line for each thing that was not."""


class Keeper(Protocol):
    """The vault, as far as preservation uses it. Every call is blocking."""

    def preserve(self, source: Path, name: str, *, role: Role = "weights", progress: Progress | None = None) -> Kept:
        """Keep a folder; the version that holds exactly these files."""

    def manifest(self, name: str, role: Role = "weights", version: int | None = None) -> Kept:
        """The version asked for, or the newest. Raises NotFound."""

    def restore(self, name: str, dest: Path, *, role: Role = "weights", progress: Progress | None = None) -> object:
        """Write every file into a folder that does not exist yet. Raises IntegrityError."""

    def verify(self, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> Verified:
        """Read and check what is kept, of one name or of all."""
