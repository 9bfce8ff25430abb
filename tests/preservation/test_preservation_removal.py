"""Weights removed by a person's decision: stated with a reason, undone within the grace, swept after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from emeritus.acts import Actor
from emeritus.blobs.local import LocalStore
from emeritus.errors import BaseNeeded, InputError, NotFound, PersonNeeded
from emeritus.preservation.removal import Removals
from emeritus.preservation.service import Preservation
from emeritus.preservation.soundness import Soundness
from emeritus.records.tables import ActRow, Preserved, Resident
from emeritus.vault.vault import Vault
from feature_home import STEWARD, FeatureHome


@pytest.fixture
def vault(home: FeatureHome, tmp_path: Path) -> Vault:
    """A vault that holds `wren`, as the ledger says."""
    made = Vault.create(LocalStore(tmp_path / "vault"))
    Preservation(home.acts, home.database, made, home.folder).preserve("wren", _model(tmp_path / "m"), STEWARD)
    return made


@pytest.fixture
def removals(home: FeatureHome, vault: Vault) -> Removals:
    """The acts, with a grace of 30 days."""
    return Removals(home.acts, home.database, vault)


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.bin").write_bytes(np.random.default_rng(0).bytes(5000))
    return folder


def test_decided_waited_swept(home: FeatureHome, vault: Vault, removals: Removals) -> None:
    """Nothing goes within the grace; after it the weights go, the ledger says who and why, the records stay."""
    removals.mark("wren", "its licence was withdrawn", STEWARD)
    home.clock.pass_days(29)
    assert removals.prune(STEWARD).objects == ()
    assert [each.reason for each in removals.marked()] == ["its licence was withdrawn"]
    home.clock.pass_days(1)
    told = removals.prune(STEWARD, dry_run=True)
    assert vault.manifest("wren").name == "wren"
    assert removals.prune(STEWARD) == told
    assert told.residents == ("wren",)
    assert not list(vault.store.list("packs/"))
    with home.database.reading() as session:
        assert not session.get_one(Resident, "wren").weights_held
        assert session.scalars(select(Preserved)).all() == []
        kinds = list(
            session.scalars(select(ActRow.kind).where(ActRow.kind.like("preservation.%")).order_by(ActRow.seq))
        )
    assert kinds == ["preservation.preserved", "preservation.removal_marked", "preservation.removed"]
    assert (removals.marked(), removals.prune(STEWARD).objects) == ([], ())
    with pytest.raises(NotFound, match="not marked"):
        removals.undo("wren", "too late", STEWARD)


def test_taken_back(home: FeatureHome, vault: Vault, removals: Removals) -> None:
    """An undone decision removes nothing, and a new one begins its grace anew."""
    removals.mark("wren", "a mistake", STEWARD)
    home.clock.pass_days(20)
    removals.undo("wren", "it was not one", STEWARD)
    with pytest.raises(NotFound, match="not marked"):
        Removals(home.acts, home.database, vault).undo("wren", "twice", STEWARD)
    home.clock.pass_days(20)
    assert removals.prune(STEWARD).residents == ()
    removals.mark("wren", "after all", STEWARD)
    home.clock.pass_days(29)
    assert removals.prune(STEWARD).residents == ()
    home.clock.pass_days(1)
    assert removals.prune(STEWARD).residents == ("wren",)


def test_who_may_and_why(home: FeatureHome, vault: Vault, removals: Removals, tmp_path: Path) -> None:
    """No automated actor decides, none without a reason, and a base of others is refused, naming them."""
    with pytest.raises(PersonNeeded):
        removals.mark("wren", "why", Actor("demo", automated=True))
    with pytest.raises(InputError, match="reason"):
        removals.mark("wren", " ", STEWARD)
    with pytest.raises(NotFound):
        removals.mark("nobody", "why", STEWARD)
    kept = vault.manifest("wren")
    other = replace(kept, name="robin", bases=("wren",))
    vault.store.put(other.key, other.to_bytes())
    with pytest.raises(BaseNeeded, match="robin cannot be restored without 'wren'"):
        removals.mark("wren", "why", STEWARD)


def test_an_interrupted_sweep_goes_on(home: FeatureHome, vault: Vault, removals: Removals) -> None:
    """A sweep that died after its statement is completed by the next one."""
    removals.mark("wren", "why", STEWARD)
    home.clock.pass_days(30)

    class Dies(Vault):
        def prune(self, *args: object, dry_run: bool = False, **more: object) -> object:
            if not dry_run:
                raise KeyboardInterrupt
            return super().prune(*args, dry_run=True, **more)

    dying = Dies.at(vault.store)
    with pytest.raises(KeyboardInterrupt):
        Removals(home.acts, home.database, dying).prune(STEWARD)
    assert vault.manifest("wren").name == "wren"
    assert removals.prune(STEWARD).residents == ("wren",)
    assert not list(vault.store.list("packs/"))


def test_a_copy_is_swept_too(home: FeatureHome, vault: Vault, removals: Removals, tmp_path: Path) -> None:
    """What was removed stays in a copy until it is pruned there; a copy of what the vault lost is never pruned."""
    copy = LocalStore(tmp_path / "copy")
    soundness = Soundness(home.acts, home.database, vault)
    soundness.replicate(STEWARD, copy)
    vault.store.delete(vault.manifest("wren").key)  # lost, not removed
    before = set(copy.list())
    assert removals.prune_copy(copy).objects == ()
    assert before == set(copy.list())
    assert vault.repair([copy]).ok
    removals.mark("wren", "its licence was withdrawn", STEWARD)
    home.clock.pass_days(31)
    removals.prune(STEWARD)
    assert any(copy.list("packs/"))
    _, report, removed = soundness.replicate(STEWARD, copy)
    assert (report.more > 0, removed) == (True, None)
    act, _, removed = soundness.replicate(STEWARD, copy, prune=removals.prune_copy)
    assert removed is not None
    assert removed.residents == ("wren",)
    assert act.public["detail"]["removed"] == len(removed.objects) > 0
    assert not [key for key in copy.list() if key.startswith(("packs/", "parity/", "manifests/", "sketches/"))]
