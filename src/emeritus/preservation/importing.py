"""Taking a resident over from an export: checked whole, then kept part by part, each with its act.

What is refused is refused before anything is kept. Knows the vault by its protocol, and no other feature.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.errors import InputError, NotFound
from emeritus.preservation.keeper import Keeper, Kept, Progress
from emeritus.preservation.recording import kept_fields
from emeritus.preservation.service import Preservation
from emeritus.vault.exchange.taking import Part, lay_out, read

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Importing:
    """Taking over into one home. `held` says whether the home has a resident of that name."""

    preservation: Preservation
    acts: Acts
    vault: Keeper
    home: Path
    held: Callable[[str], bool]

    def run(
        self,
        resident: str,
        source: Path,
        actor: Actor,
        register: Callable[[Path], Callable[[], object]],
        progress: Progress | None = None,
    ) -> Json:
        """Keep everything of the source as `resident`; repeating it keeps nothing twice.

        `register` is given the weights' folder, refuses it or not, and gives what takes the resident into care. Raises
        what reading the source does, NotFound (no weights, and no such resident), and what preserving does.
        """
        form, found = read(source)
        (self.home / "cache").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="import-", dir=self.home / "cache") as work:
            parts = lay_out(found, Path(work), progress)
            weights = [part for part in parts if part.role == "weights"]
            if len(weights) > 1:
                raise InputError(f"{source} holds several sets of weights")
            if not weights and not self.held(resident):
                raise NotFound(
                    f"{source} holds no weights, and there is no resident {resident!r}",
                    remedy="`emeritus register` names a model that is held elsewhere; import it then.",
                )
            for part in weights:
                self.preservation.check_source(part.folder)
                self.preservation.preserve(resident, part.folder, actor, progress, register(part.folder))
                part.require_kept(_digests(self.vault.manifest(resident)))
                self.preservation.prove_restore(resident, actor, progress)
            for part in parts:
                if part.role != "weights":
                    self._keep(resident, part, form, actor)
            return {
                "name": resident,
                "form": form,
                "parts": [{"role": part.role, "version": part.version, "files": len(part.items)} for part in parts],
                "weights_digest": self.vault.manifest(resident).weights_digest if weights else None,
            }

    def _keep(self, resident: str, part: Part, form: str, actor: Actor) -> Act | None:
        """Keep a reference or a report as the newest version, unless a version of it is these very files."""
        if any(_digests(kept) == part.digests for kept in self._versions(resident, part.role)):
            return None
        kept = self.vault.preserve(part.folder, resident, role=part.role)
        part.require_kept(_digests(kept))
        fields = kept_fields("report" if part.role == "report" else "reference", kept)
        imported = {"form": form, "version": part.version}
        public = {"kept": fields, "imported": imported, "report_version": kept.version}
        return self.acts.perform(
            f"preserve:{resident}:{part.role}:imported:{kept.sha256}",
            actor,
            lambda session: Draft("preservation.preserved", resident, public=public, digests={"manifest": kept.sha256}),
        )

    def _versions(self, resident: str, role: str) -> list[Kept]:
        try:
            newest = self.vault.manifest(resident, role)
        except NotFound:
            return []
        return [self.vault.manifest(resident, role, version) for version in range(1, newest.version)] + [newest]


def _digests(kept: Kept) -> dict[str, str]:
    return {file.path: file.sha256 for file in kept.files}
