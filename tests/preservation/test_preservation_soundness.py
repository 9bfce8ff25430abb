"""Scrubs within a budget, repairs and copies: what they find, do and state; nothing starves, nothing is hidden."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from emeritus.blobs.local import LocalStore
from emeritus.errors import IntegrityError, StoreFull
from emeritus.preservation.service import Preservation
from emeritus.preservation.soundness import Soundness
from emeritus.records.tables import Check, ScrubMark
from emeritus.vault.vault import Vault
from feature_home import STEWARD, FeatureHome


@pytest.fixture
def vault(home: FeatureHome, tmp_path: Path) -> Vault:
    """A vault that holds `wren`, as the ledger says."""
    model = tmp_path / "numbers"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.bin").write_bytes(bytes(range(256)) * 9)
    made = Vault.create(LocalStore(tmp_path / "vault"))
    Preservation(home.acts, home.database, made, home.folder).preserve("wren", model, STEWARD)
    return made


@pytest.fixture
def soundness(home: FeatureHome, vault: Vault, tmp_path: Path) -> Soundness:
    """The acts over that vault, with one copy."""
    return Soundness(home.acts, home.database, vault, [str(tmp_path / "copy")])


def spoil(vault: Vault, key: str) -> None:
    """Flip a bit."""
    data = bytearray(vault.store.get(key))
    data[len(data) // 2] ^= 1
    vault.store.put(key, data)


def checks(home: FeatureHome) -> list[tuple[str, bool]]:
    """Kind and outcome of every check, oldest first."""
    with home.database.reading() as session:
        return [(row.kind, row.ok) for row in session.scalars(select(Check).order_by(Check.id))]


def test_a_scrub_repairs_what_it_finds_and_says_both(home: FeatureHome, vault: Vault, soundness: Soundness) -> None:
    """Damage is stated as found, then as repaired, naming the object; the next scrub finds nothing."""
    pack = next(vault.store.list("packs/"))
    good = vault.store.get(pack)
    spoil(vault, pack)
    act = soundness.scrub(STEWARD)
    assert act is not None
    assert act.public["detail"]["problems"] == [f"{pack}: " + act.public["summary"].partition(f"{pack}: ")[2]]
    assert vault.store.get(pack) == good
    soundness.scrub(STEWARD)
    assert checks(home) == [("scrub", False), ("repair", True), ("scrub", True)]


def test_a_budget_lets_everything_have_its_turn(home: FeatureHome, vault: Vault, soundness: Soundness) -> None:
    """A byte a day reads one object a day, the one read longest ago, until all were; and no second time on one day."""
    objects = list(vault.store.list())
    seen = []
    for day in range(1, len(objects) + 2):
        home.clock.now = datetime(2026, 3, day, 3, tzinfo=UTC)
        act = soundness.scrub(STEWARD, 1)
        assert act is not None
        assert act.public["detail"]["objects"] == 1
        with home.database.reading() as session:
            (key,) = session.scalars(select(ScrubMark.key).where(ScrubMark.at == home.acts.now))
        seen.append(key)
        assert soundness.scrub(STEWARD, 1) is None
    assert sorted(seen[:-1]) == sorted(objects)
    assert seen[-1] == seen[0]


def test_a_budgeted_scrub_finds_and_repairs_damage_too(home: FeatureHome, vault: Vault, soundness: Soundness) -> None:
    """A flipped bit is found on its object's day, a lost pack and a lost manifest on any; marks of lost objects go."""
    shard = next(vault.store.list("parity/"))
    spoil(vault, shard)
    act = soundness.scrub(STEWARD, 10**9)
    assert act is not None
    assert act.public["detail"]["problems"] == [f"{shard}: its sha256 is not its name"]
    home.clock.now += timedelta(days=1)
    pack, manifest = next(vault.store.list("packs/")), next(vault.store.list("manifests/"))
    vault.store.delete(pack)
    vault.store.delete(manifest)
    act = soundness.scrub(STEWARD, 1)
    assert act is not None
    assert {line.partition(":")[0] for line in act.public["detail"]["problems"]} == {pack, manifest}
    assert vault.verify().ok
    assert vault.manifest("wren").key == manifest
    assert checks(home) == [("scrub", False), ("repair", True)] * 2


def test_what_cannot_be_repaired_is_stated(home: FeatureHome, vault: Vault, soundness: Soundness) -> None:
    """Without parity and without a copy the loss stands in the record, and the scrub of the next day repeats it."""
    for key in [*vault.store.list("parity/"), *vault.store.list("packs/")]:
        vault.store.delete(key)
    act, report = soundness.repair(STEWARD)
    assert not report.ok
    assert any("cannot be restored: wren/weights/" in line for line in act.public["detail"]["problems"])
    assert soundness.scrub(STEWARD) is not None
    assert checks(home) == [("repair", False), ("scrub", False), ("repair", False)]


def test_a_copy_is_kept_and_serves(home: FeatureHome, vault: Vault, soundness: Soundness, tmp_path: Path) -> None:
    """Copies are recorded without their address; from them comes back what parity cannot give."""
    (act,) = soundness.replicate_all(STEWARD)
    assert act.public["ok"]
    assert act.public["detail"]["copied"] == len(list(vault.store.list()))
    for key in [*vault.store.list("parity/"), *vault.store.list("packs/")]:
        vault.store.delete(key)
    act, report = soundness.repair(STEWARD)
    assert report.ok
    assert str(tmp_path) not in str(act.public)
    assert any(line.endswith("from a copy") for line in act.public["detail"]["repaired"])
    assert vault.verify().ok
    spoil(vault, next(vault.store.list("manifests/")))
    (act,) = soundness.replicate_all(STEWARD)
    assert not act.public["ok"]
    assert str(tmp_path) not in str(act.public)
    assert checks(home) == [("replica", True), ("repair", True), ("replica", False)]


def test_what_reinforcing_finds_is_in_the_record(
    home: FeatureHome, vault: Vault, soundness: Soundness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack that giving more parity finds damaged stands in the scrub's record and is repaired; no room is said."""
    pack = next(vault.store.list("packs/"))
    good = vault.store.get(pack)

    def comes_upon() -> list[str]:
        spoil(vault, pack)
        raise IntegrityError("its sha256 is not its name", key=pack)

    monkeypatch.setattr(vault, "reinforce", comes_upon)
    act = soundness.scrub(STEWARD)
    assert act is not None
    assert act.public["detail"]["problems"] == [f"{pack}: its sha256 is not its name"]
    assert vault.store.get(pack) == good
    assert checks(home) == [("scrub", False), ("repair", True)]

    def full() -> list[str]:
        raise StoreFull("there is no room")

    monkeypatch.setattr(vault, "reinforce", full)
    act = soundness.scrub(STEWARD)
    assert act is not None
    assert act.public["summary"].endswith("could not be given more parity: there is no room")
    assert checks(home)[2:] == [("scrub", False)]


def test_a_sketch_is_scrubbed_and_made_again(home: FeatureHome, vault: Vault, soundness: Soundness) -> None:
    """A damaged sketch is found, said and made again from packs, to the byte; a missing one is made and counted."""
    (key,) = vault.store.list("sketches/")
    good = vault.store.get(key)
    spoil(vault, key)
    assert vault.verify().unsketched == ("wren",)
    act = soundness.scrub(STEWARD)
    assert act is not None
    assert [line.partition(":")[0] for line in act.public["detail"]["problems"]] == [key]
    assert vault.store.get(key) == good
    assert checks(home) == [("scrub", False), ("repair", True)]
    vault.store.delete(key)
    assert (vault.verify(deep=False).unsketched, vault.verify().ok) == (("wren",), True)
    act = soundness.scrub(STEWARD, 1)
    assert act is not None
    assert act.public["detail"]["sketches_made"] == 1
    assert vault.store.get(key) == good
    assert vault.verify().unsketched == ()
