"""Pruning: what nothing needs goes after its grace, a base never, beside preservations and through crashes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_vault_basefinder import save, tuned, weights
from vault_models import contents, make_model

from emeritus.blobs.local import LocalStore
from emeritus.errors import BaseNeeded, IntegrityError, NotFound, StoreUnavailable
from emeritus.testing.faults import Crash, FaultyStore
from emeritus.vault.busy import PRESERVING, STALE_S, SWEEPING, Busy
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.prune import DAY_S, Prune, Removal
from emeritus.vault.vault import Vault
from emeritus.vault.writing.ingest import Ingest


def everything(store: LocalStore) -> dict[str, int]:
    """Every object's key and length."""
    return {key: store.size(key) or 0 for key in store.list()}


def prune(
    store: LocalStore, names: tuple[str, ...] = (), dry: bool = False, at: float = 0.0, grace: float = 2.0
) -> Removal:
    """A sweep at that time, in days, without a ledger."""
    return Prune(store, SegmentIndex(store), None, 2.0, lambda: at * DAY_S).run(names, dry)


def check(store: LocalStore, out: Path, **models: Path) -> None:
    """These models and no other weights are there, sound, and come back."""
    vault = Vault.at(store)
    assert vault.verify().ok
    assert {manifest.name for manifest in vault.manifests()} == set(models)
    for name, model in models.items():
        vault.restore(name, out)
        assert contents(out) == contents(model)
        shutil.rmtree(out)


def test_a_resident_goes_and_nothing_else_does(
    tmp_path: Path, store: LocalStore, vault: Vault, small_packs: None
) -> None:
    """The dry run names exactly the objects that go and their bytes; what another resident shares stays."""
    one, two = make_model(tmp_path / "one", seed=1), make_model(tmp_path / "two", seed=50)
    shutil.copy(one / "model-00002-of-00002.safetensors", two / "more.safetensors")  # shared with the first
    vault.preserve(one, "one")
    vault.preserve(two, "two")
    before = everything(store)
    told = prune(store, ("one",), dry=True)
    assert everything(store) == before
    assert told.shared
    done = prune(store, ("one",))
    after = everything(store)
    assert (told, {key for key, _ in told.objects}) == (done, before.keys() - after.keys())
    assert told.bytes == sum(before[key] for key in before.keys() - after.keys()) > 100_000
    assert {key.split("/")[0] for key in after.keys() - before.keys()} <= {"parity"}
    check(store, tmp_path / "out", two=two)
    assert Vault.at(store).verify().uncovered == ()


def test_a_base_cannot_be_removed(tmp_path: Path, store: LocalStore, vault: Vault) -> None:
    """A resident that another rests on is refused by name; both together, or the dependant first, may go."""
    base, tune = save(tmp_path / "base", weights(1)), save(tmp_path / "tune", tuned(weights(1)))
    bare = everything(store)
    vault.preserve(base, "base")
    vault.preserve(tune, "tune")
    before = everything(store)
    with pytest.raises(BaseNeeded, match="tune cannot be restored without 'base'"):
        prune(store, ("base",))
    assert (everything(store), vault.dependants("base")) == (before, ("tune",))
    assert len(prune(store, ("base", "tune"), dry=True).objects) == len(before) - len(bare)
    prune(store, ("tune",))
    check(store, tmp_path / "out", base=base)
    prune(store, ("base",))
    assert everything(store) == bare


def test_a_base_that_no_manifest_names_keeps_its_packs(tmp_path: Path, store: LocalStore, vault: Vault) -> None:
    """Packs are judged by what lies in them, not by names: those of a base stay although nothing lists it."""
    vault.preserve(save(tmp_path / "base", weights(1)), "base")
    tune = save(tmp_path / "tune", tuned(weights(1)))
    kept = vault.preserve(tune, "tune")
    assert kept.bases == ("base",)
    store.delete("manifests/base/weights.1.json")
    with pytest.raises(IntegrityError, match=r"manifests/base/weights\.1\.json is missing"):
        Prune(store, SegmentIndex(store), ["manifests/base/weights.1.json"], 0).run((), False)
    prune(store, ("base",))
    check(store, tmp_path / "out", tune=tune)


def test_leftovers_wait(tmp_path: Path, store: LocalStore, vault: Vault, small_packs: None) -> None:
    """Packs of an interrupted preservation are noted, wait, and go; resumed before that, they are used."""
    model = make_model(tmp_path / "model")
    with pytest.raises(Crash):
        Ingest(FaultyStore(store, 9, Crash, "after"), SegmentIndex(store), None).run(model, "wren", "weights")
    for key in list(store.list("locks/")):
        store.delete(key)
    packs = set(store.list("packs/"))
    assert packs
    first = prune(store, at=100)
    assert ({key for key, _ in first.waiting}, first.objects) == (packs, ())
    assert prune(store, at=101.5).objects == ()
    assert packs <= {key for key, _ in prune(store, dry=True, at=102).objects}
    Vault.at(store).preserve(model, "wren")
    assert prune(store, at=103).objects == ()
    check(store, tmp_path / "out", wren=model)
    assert packs <= set(store.list("packs/"))


def test_leftovers_go(tmp_path: Path, store: LocalStore, vault: Vault, small_packs: None) -> None:
    """After the grace the packs and their parity go, and nothing but what explains the vault is left."""
    with pytest.raises(Crash):
        Ingest(FaultyStore(store, 12, Crash, "after"), SegmentIndex(store), None).run(
            make_model(tmp_path / "model"), "wren", "weights"
        )
    with pytest.raises(StoreUnavailable, match="in use"):
        Prune(store, SegmentIndex(store), None, 2).run((), False)  # for a day the mark of the dead process counts
    prune(store, at=100_000)
    prune(store, at=100_003)
    assert not any(key.startswith(("packs/", "parity/", "locks/")) for key in store.list())
    check(store, tmp_path / "out")


def test_a_lost_manifest_keeps_its_packs(tmp_path: Path, store: LocalStore, vault: Vault) -> None:
    """Packs that only the copy of a lost manifest tells of are not leftovers, and come back to use with it."""
    model = make_model(tmp_path / "model")
    vault.preserve(model, "wren")
    vault.preserve(save(tmp_path / "other", weights(3)), "other")
    store.delete("manifests/wren/weights.1.json")
    for day in (1, 100, 200):
        assert prune(store, ("other",) if day == 1 else (), at=day).waiting == ()
    Vault.at(store).rebuild_manifests()
    check(store, tmp_path / "out", wren=model)


def test_a_damaged_vault_is_not_pruned(tmp_path: Path, store: LocalStore, vault: Vault) -> None:
    """Where a pack or a manifest is lost or unreadable, nothing goes."""
    vault.preserve(make_model(tmp_path / "model"), "wren")
    vault.preserve(save(tmp_path / "other", weights(3)), "other")
    pack = next(key for key in store.list("packs/") if key.split("/")[2][:64] in vault.manifest("other").packs)
    data = store.get(pack)
    store.delete(pack)
    with pytest.raises(IntegrityError, match="nothing is removed"):
        prune(store, ("wren",))
    store.put(pack, data[:-20])
    with pytest.raises(IntegrityError, match="nothing is removed"):
        prune(store, ("wren",))
    store.put(pack, data)
    prune(store, ("wren",))
    check(store, tmp_path / "out", other=tmp_path / "other")


def test_a_crash_at_every_call(tmp_path: Path, small_packs: None) -> None:
    """A sweep cut short anywhere loses nothing that is needed, and the next ones remove the rest."""
    shared = {"shared": weights(9, rows=80)["embed"]}
    one, two = (save(tmp_path / f"m{n}", {f"t{n}": weights(n, rows=80)["embed"]} | shared) for n in (1, 2))
    made = LocalStore(tmp_path / "made")
    vault = Vault.create(made)
    vault.preserve(one, "one")
    vault.preserve(two, "two")
    whole = LocalStore(tmp_path / "whole")
    shutil.copytree(made.root, whole.root)
    counting = FaultyStore(whole)
    prune(counting, ("one",))
    assert counting.calls > 20
    last: dict[str, int] = {}
    for fail_at in range(1, counting.calls + 1):
        store = LocalStore(tmp_path / f"v{fail_at}")
        shutil.copytree(made.root, store.root)
        with pytest.raises(Crash):
            prune(FaultyStore(store, fail_at, Crash, "after"), ("one",))
        if (now := everything(store)) == last:
            shutil.rmtree(store.root)
            continue  # that call changed nothing
        last = now
        vault = Vault.at(store)
        vault.restore("two", tmp_path / "out")
        assert contents(tmp_path / "out") == contents(two)
        shutil.rmtree(tmp_path / "out")
        assert vault.verify(deep=False).ok
        prune(store, ("one",), at=10)
        prune(store, at=20)
        assert _but_parity(store) == _but_parity(whole)
        assert vault.verify(deep=False).ok
        shutil.rmtree(store.root)


def _but_parity(store: LocalStore) -> set[str]:
    return {key for key in store.list() if not key.startswith(("parity/", "leftovers"))}


def test_beside_a_preservation(tmp_path: Path, store: LocalStore, vault: Vault) -> None:
    """While a preservation runs there is no sweep, and while a sweep runs no preservation; both say so."""
    model = save(tmp_path / "model", weights(1))
    tried: list[str] = []

    def sweep(what: str, done: int, total: int) -> None:
        with pytest.raises(StoreUnavailable, match="in use"):
            vault.prune()
        tried.append(what)

    vault.preserve(model, "wren", progress=sweep)
    assert tried
    with Busy(store, SWEEPING), pytest.raises(StoreUnavailable, match="in use"):
        vault.preserve(save(tmp_path / "other", weights(2)), "other")
    vault.prune()
    assert not list(store.list("locks/"))
    with pytest.raises(NotFound):
        vault.manifest("other")


def test_marks_grow_old(store: LocalStore) -> None:
    """The mark of a process that died counts for a day; one that stood still that long must not go on."""
    now = [1e9]
    dead = Busy(store, PRESERVING, lambda: now[0])
    dead.__enter__()
    with pytest.raises(StoreUnavailable), Busy(store, SWEEPING, lambda: now[0]):
        pass
    now[0] += 3600
    dead.renew()
    now[0] += STALE_S - 1
    with pytest.raises(StoreUnavailable), Busy(store, SWEEPING, lambda: now[0]):
        pass
    now[0] += 1
    with Busy(store, SWEEPING, lambda: now[0]):
        pass
    with pytest.raises(StoreUnavailable, match="stood still"):
        dead.renew()


@pytest.mark.parametrize("how", [KeyboardInterrupt, StoreUnavailable])
def test_marks_go_with_the_work(tmp_path: Path, store: LocalStore, vault: Vault, how: type[BaseException]) -> None:
    """A preservation that was interrupted by hand, or that failed, leaves no mark behind."""

    def interrupt(what: str, done: int, total: int) -> None:
        raise how("enough")

    with pytest.raises(how, match="enough"):
        vault.preserve(save(tmp_path / "model", weights(1)), "wren", progress=interrupt)
    assert not list(store.list("locks/"))
    vault.prune()


def test_two_preservations_go_side_by_side(store: LocalStore) -> None:
    """Preservations do not hinder each other; a mark that nobody can read counts as a sweep."""
    with Busy(store, PRESERVING), Busy(store, PRESERVING):
        pass
    store.put("locks/x.json", b"{}")
    with pytest.raises(StoreUnavailable), Busy(store, PRESERVING):
        pass


def test_a_damaged_neighbour_stops_a_sweep_before_it_begins(
    tmp_path: Path, store: LocalStore, vault: Vault, small_packs: None
) -> None:
    """A pack that shares parity with what goes is found damaged: nothing is removed, and after a repair it can be."""
    one, two = make_model(tmp_path / "one", seed=1), make_model(tmp_path / "two", seed=50)
    shutil.copy(one / "model-00002-of-00002.safetensors", two / "more.safetensors")  # its packs stay, the others go
    vault.preserve(one, "one")
    vault.preserve(two, "two")
    pack = prune(store, ("one",), dry=True).shared[0]
    key = next(key for key in store.list("packs/") if pack in key)
    good = store.get(key)
    store.put(key, good[:100] + bytes([good[100] ^ 1]) + good[101:])
    before = {key for key in store.list() if not key.startswith("parity/")}
    with pytest.raises(IntegrityError, match="is not its name"):
        prune(store, ("one",))
    assert before <= set(store.list())
    assert Vault.at(store).repair().ok
    prune(store, ("one",), at=10)
    check(store, tmp_path / "out", two=two)
