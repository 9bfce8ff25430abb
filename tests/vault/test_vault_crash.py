"""Interruptions: at every call to the store, at every operation of the disk, by kill -9, by a full disk, by a rival."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from vault_models import contents, make_model

from emeritus.blobs.local import LocalStore
from emeritus.errors import AlreadyExists, NotFound, StoreFull, StoreUnavailable
from emeritus.testing.faults import Crash, FaultyStore, FullDisk, RecordingDisk, lay_out, survivors
from emeritus.vault.vault import Vault


def check_whole(root: Path, model: Path, out: Path) -> None:
    """The vault at `root` shows nothing half-made: what it lists verifies and restores to the model."""
    try:
        vault = Vault.at(LocalStore(root))
    except NotFound:
        return  # the marker never became visible
    assert vault.verify().ok
    for manifest in vault.manifests():
        vault.restore(manifest.name, out, role=manifest.role)
        assert contents(out) == contents(model)
        shutil.rmtree(out)


@contextlib.contextmanager
def fails_but_for_the_sketch(root: Path, error: type[Exception]) -> Iterator[None]:
    """The block raises that, or ends well with nothing but the sketch, which is derived, missing."""
    failed = False
    try:
        yield
    except error:
        failed = True
    assert failed or Vault.at(LocalStore(root)).verify(deep=False).unsketched == ("wren",)


@pytest.mark.parametrize("when", ["before", "after"])
def test_crash_at_every_call(tmp_path: Path, small_packs: None, when: str) -> None:
    """A crash before or after any call to the store: nothing half-made shows, and the next run completes."""
    model = make_model(tmp_path / "model", count=8000)
    counting = FaultyStore(LocalStore(tmp_path / "counted"))
    Vault.create(counting).preserve(model, "wren")
    assert counting.calls > 12
    for fail_at in range(1, counting.calls + 1):
        root = tmp_path / f"v{fail_at}"
        with pytest.raises(Crash):
            Vault.create(FaultyStore(LocalStore(root), fail_at, Crash, when)).preserve(model, "wren")
        check_whole(root, model, tmp_path / "out")
        vault = Vault.create(LocalStore(root))
        assert vault.preserve(model, "wren").name == "wren"
        report = vault.verify()
        assert (report.ok, report.unlisted) == (True, ())
        shutil.rmtree(root)


def test_an_unreachable_store_at_every_call(tmp_path: Path, small_packs: None) -> None:
    """A store that fails for once is reported as such; it never turns into damage or into a second copy."""
    model = make_model(tmp_path / "model", count=8000)
    counting = FaultyStore(LocalStore(tmp_path / "counted"))
    first = Vault.create(counting).preserve(model, "wren")
    for fail_at in range(1, counting.calls + 1):
        root = tmp_path / f"v{fail_at}"
        store = FaultyStore(LocalStore(root), fail_at, lambda: StoreUnavailable("gone"))
        with fails_but_for_the_sketch(root, StoreUnavailable):
            Vault.create(store).preserve(model, "wren")
        assert Vault.create(LocalStore(root)).preserve(model, "wren").weights_digest == first.weights_digest
        shutil.rmtree(root)


@pytest.mark.parametrize("keep", ["names", "nothing"])
def test_power_cut_at_every_operation(tmp_path: Path, small_packs: None, keep: str) -> None:
    """Un-fsynced writes dropped after any operation: nothing half-made shows, and what had returned is there."""
    model = make_model(tmp_path / "model", count=8000)
    disk = RecordingDisk(tmp_path / "vault")
    Vault.create(LocalStore(tmp_path / "vault", disk)).preserve(model, "wren")
    for cut in range(len(disk.operations) + 1):
        root = tmp_path / f"cut{cut}"
        lay_out(*survivors(disk.operations[:cut], keep), root)
        check_whole(root, model, tmp_path / "out")
        if cut == len(disk.operations):
            assert [manifest.name for manifest in Vault.at(LocalStore(root)).manifests()] == ["wren"]
        shutil.rmtree(root)


KILLED = """
import sys
from pathlib import Path
from emeritus.blobs.local import LocalStore
from emeritus.vault.packs import pack
from emeritus.vault.vault import Vault
pack.TARGET_BYTES = 100_000
def report(what, done, total):
    print(done, flush=True)
Vault.create(LocalStore(sys.argv[1])).preserve(Path(sys.argv[2]), "wren", progress=report)
"""


def test_kill_and_resume(tmp_path: Path) -> None:
    """kill -9 while packs are written: the next run uses what is there, writes the rest and restores exactly."""
    model = make_model(tmp_path / "model", count=400_000)
    root = tmp_path / "vault"
    for share in (0.3, 0.6):
        command = [sys.executable, "-c", KILLED, str(root), str(model)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        total = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
        for line in process.stdout:
            if int(line) > share * total:
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        process.stdout.close()
        assert Vault.at(LocalStore(root)).manifests() == []
    packs = set(LocalStore(root).list("packs/"))
    assert packs
    vault = Vault.at(LocalStore(root))
    manifest = vault.preserve(model, "wren")
    assert packs <= {f"packs/{name[:2]}/{name}.pack" for name in manifest.packs}  # nothing was stored twice
    assert vault.verify().ok
    vault.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert not any((root / "~tmp").iterdir())


def test_full_disk_at_any_size(tmp_path: Path, small_packs: None) -> None:
    """A disk that fills after any number of bytes: StoreFull, nothing half-made, and more room completes it."""
    model = make_model(tmp_path / "model", count=8000)
    Vault.create(LocalStore(tmp_path / "whole")).preserve(model, "wren")
    needed = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    for room in range(0, needed, needed // 8):
        root = tmp_path / f"v{room}"
        with fails_but_for_the_sketch(root, StoreFull):
            Vault.create(LocalStore(root, FullDisk(room))).preserve(model, "wren")
        assert not (root / "~tmp").exists() or not any((root / "~tmp").iterdir())
        check_whole(root, model, tmp_path / "out")
        Vault.create(LocalStore(root)).preserve(model, "wren")
        check_whole(root, model, tmp_path / "out")


def test_file_size_limit(tmp_path: Path) -> None:
    """The kernel's refusal to grow a file is StoreFull in a real process, and leaves neither pack nor manifest."""
    model = make_model(tmp_path / "model", count=100_000)
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from emeritus.blobs.local import LocalStore
        from emeritus.errors import StoreFull
        from emeritus.vault.vault import Vault
        vault = Vault.create(LocalStore(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            vault.preserve(Path(sys.argv[2]), "wren")
        except StoreFull as error:
            print(error.code)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "vault"), str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "EM202\n"
    store = LocalStore(tmp_path / "vault")
    assert list(store.list("packs/")) == list(store.list("manifests/")) == []
    assert not any((tmp_path / "vault" / "~tmp").iterdir())


def _preserve(root: str, model: str, start: Barrier, results: multiprocessing.SimpleQueue[tuple[str, str]]) -> None:
    vault = Vault.create(LocalStore(root))
    start.wait(60)
    try:
        results.put(("kept", vault.preserve(Path(model), "wren").sha256))
    except AlreadyExists as error:
        results.put(("refused", error.message))


@pytest.mark.parametrize("same", [True, False])
def test_two_processes_at_once(tmp_path: Path, same: bool) -> None:
    """Two processes preserve under one name: the same model is kept once for both; of two models one is refused."""
    models = [make_model(tmp_path / "a", seed=1), make_model(tmp_path / "b", seed=1 if same else 2)]
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[tuple[str, str]] = context.SimpleQueue()
    start = context.Barrier(2)
    root = str(tmp_path / "vault")
    processes = [context.Process(target=_preserve, args=(root, str(model), start, results)) for model in models]
    for process in processes:
        process.start()
    outcomes = sorted(results.get() for _ in processes)
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    vault = Vault.at(LocalStore(root))
    manifest = vault.manifest("wren")
    assert vault.verify().ok
    assert len(vault.manifests()) == 1
    if same:
        assert outcomes == [("kept", manifest.sha256)] * 2
    else:
        assert [outcome for outcome, _ in outcomes] == ["kept", "refused"]
        assert outcomes[0][1] == manifest.sha256
    vault.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") in [contents(model) for model in models]


def test_no_room_for_the_sketch(store: LocalStore, vault: Vault, model: Path) -> None:
    """A store that is full once the manifest is there does not fail the preservation; the next one makes the sketch."""

    class Filling(LocalStore):
        def put(self, key: str, data: bytes | memoryview) -> None:
            if key.startswith("sketches/"):
                raise StoreFull("there is no room")
            super().put(key, data)

    kept = Vault.at(Filling(store.root)).preserve(model, "wren")
    assert Vault.at(store).manifest("wren") == kept
    assert Vault.at(store).verify().unsketched == ("wren",)
    assert Vault.at(store).make_sketches() == ["wren"]
    assert Vault.at(store).verify().unsketched == ()
