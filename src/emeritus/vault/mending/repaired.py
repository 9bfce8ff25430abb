"""What a repair brought back and what it could not: what its report says. Reads and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from emeritus.vault.mending.scrub import Damage


@dataclass(frozen=True, slots=True)
class Repaired:
    """One object brought back: what was wrong, where its bytes came from, and the sha256 of what had lain there.

    `how`: `parity`, `moved` (they lay under another name), `packs` (parity made again), `copy` (a manifest from the
    copy in a pack, or that pack from the manifest), `package` (the program's own text), `removed` (a sketch that
    cannot be made until its packs are sound), or a replica's address.
    """

    key: str
    was: str
    how: str
    found: str | None = None


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was read, brought back and lost. `covered` are the parity objects made for packs that had none.

    `unreachable` names replicas that did not answer, so that what is lost here may still lie there.
    """

    examined: int
    bytes_read: int
    repaired: tuple[Repaired, ...]
    lost: tuple[Damage, ...]
    covered: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is sound now."""
        return not self.lost
