"""What preservation asks of a vault, as protocols: `vault.vault.Vault` meets them, a test's folder of copies too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from emeritus.vault.formats.cut import Tensor

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

    @property
    def segments(self) -> Sequence[tuple[str, int]]:
        """(BLAKE3 hex, bytes) of its parts, in order; empty where they are not known."""


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


class Found(Protocol):
    """One thing a scrub found damaged or missing."""

    @property
    def key(self) -> str:
        """Which object."""

    @property
    def what(self) -> str:
        """What is wrong with it."""


class Verified(Protocol):
    """What a scrub read and found."""

    @property
    def damages(self) -> Sequence[Found]:
        """Everything that was not as it was stored; empty when all was."""


class Opened(Protocol):
    """A resident's tensors, to be read into memory."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor by its name. Raises BadTensorFile, InputError where two files have one of a name."""

    def checkpoint(self) -> Opened:
        """Only those that model libraries load. Raises NotFound where the weights come in another format."""

    def pour(self, put: Callable[[Tensor, int, memoryview], object]) -> None:
        """Have `put` take every tensor's bytes, verified: (tensor, start in it, bytes), by several threads.

        Of tied ones the first. Raises IntegrityError, and what `put` raises.
        """


class Keeper(Protocol):
    """The vault, as far as preservation uses it. Every call is blocking."""

    def preserve(
        self,
        source: Path,
        name: str,
        *,
        role: str = "weights",
        progress: Progress | None = None,
        avoid: Collection[str] = (),
    ) -> Kept:
        """Keep a folder; the manifest of exactly these files. Nothing of it comes to rest on the residents to `avoid`.

        Raises AlreadyExists for other weights of that name.
        """

    def manifest(self, name: str, role: str = "weights", version: int | None = None) -> Kept:
        """The version asked for, or the newest. Raises NotFound."""

    def restore(self, name: str, dest: Path, *, role: str = "weights", progress: Progress | None = None) -> object:
        """Write every file into a folder that does not exist yet. Raises IntegrityError."""

    def verify(self, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> Verified:
        """Read and check what is kept, of one name or of all."""

    def open(self, name: str) -> Opened:
        """The tensors of a resident's weights. Raises NotFound."""

    def read_file(self, name: str, path: str) -> bytes:
        """One file of a resident's, verified; held in memory whole. Raises NotFound, IntegrityError."""
