"""The log under faults: what a change of any byte is called, what a crash leaves, writers side by side."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_stores import KEY, ORIGIN, MemoryStore, copy, fill

from emeritus.blobs.local import LocalStore
from emeritus.errors import (
    LedgerBroken,
    StoreFull,
)
from emeritus.ledger.log import Ledger
from emeritus.ledger.verify import LedgerReport

# -- damage


def damaged(store: MemoryStore, key: str, change: Callable[[bytes], bytes]) -> MemoryStore:
    """A copy with one file changed."""
    fresh = copy(store)
    fresh.objects[key] = change(fresh.objects[key])
    return fresh


def test_any_changed_byte_is_found_and_its_place_named(lock: Path) -> None:
    """In a log of three entries every byte of every file is altered in turn: each time a problem names the place."""
    store = MemoryStore()
    fill(Ledger.create(store, KEY, ORIGIN, lock), 3)
    names = {
        "checkpoint": ("checkpoint",),
        "tile/0/000.p/3": ("entry 0", "entry 1", "entry 2"),
        "tile/entries/000.p/3": ("entry 0", "entry 1", "entry 2", "tile/entries/000.p/3"),
    }
    ledger = Ledger.open(store, None, lock)
    good = dict(store.objects)
    for key, expected in names.items():
        for place in range(len(good[key])):
            data = good[key]
            store.objects = {**good, key: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]}
            problems = ledger.verify().problems
            assert problems, f"byte {place} of {key}"
            assert problems[0].startswith(expected), problems
    store.objects = good
    for place in range(len(good["vkey"]) - 1):
        altered = damaged(store, "vkey", lambda data, at=place: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(LedgerBroken):
            Ledger.open(altered, None, lock)


@pytest.mark.parametrize(
    ("key", "change", "named"),
    [
        ("tile/0/001", lambda data: data[:-1], "tile/0/001 is 8191 bytes long"),
        ("tile/0/001", lambda data: data[:32] + data[:32] + data[64:], "entry 257 does not match"),
        ("tile/1/000.p/2", lambda data: bytes(32) + data[32:], "tile/1/000.p/2 does not match the tiles below"),
        ("tile/1/000.p/2", lambda data: data + data, "tile/1/000.p/2 is 128 bytes long"),
        ("tile/entries/001", lambda data: data[:-1], "tile/entries/001 ends in the middle of entry 255"),
        ("tile/entries/001", lambda data: data + data[-1:], "tile/entries/001 ends in the middle of entry 256"),
        ("tile/entries/001", lambda data: data + bytes(2), "tile/entries/001 holds 257 entries"),
        ("tile/entries/000", lambda data: data[:2] + data[2:].replace(b"payload", b"Payload", 1), "entry 0"),
    ],
    ids=["short tile", "wrong hash", "upper tile", "long tile", "cut", "extra byte", "extra entry", "first entry"],
)
def test_damage_in_full_tiles_is_named(
    grown: MemoryStore, lock: Path, key: str, change: Callable[[bytes], bytes], named: str
) -> None:
    """Each kind of damage to a full tile is one named problem, or few."""
    store = damaged(grown, key, change)
    problems = Ledger.open(grown, None, lock).verify().problems
    assert problems == []
    ledger = Ledger.open(copy(grown), None, lock)
    ledger._store.objects[key] = store.objects[key]
    problems = ledger.verify().problems
    assert any(problem.startswith(named) for problem in problems), problems
    assert len(problems) <= 4


def test_a_missing_file_is_named(grown: MemoryStore, lock: Path) -> None:
    """Each file in use, removed, is a problem that names it, and only it."""
    used = [key for key in grown.objects if ".p/" not in key or key.endswith("2.p/3") or key == "tile/1/000.p/2"]
    for key in set(used) - {"checkpoint", "vkey"}:
        ledger = Ledger.open(grown, None, lock)
        store = copy(grown)
        del store.objects[key]
        ledger._store = store
        assert ledger.verify().problems == [f"{key} is missing"]


def test_exchanged_entries_are_noticed_by_readers(grown: MemoryStore, lock: Path) -> None:
    """A reader compares each entry with its hash: one well-signed entry in place of another raises LedgerBroken."""
    store = copy(grown)
    bundle = store.objects["tile/entries/000"]
    first = 2 + int.from_bytes(bundle[:2], "big")
    second = first + 2 + int.from_bytes(bundle[first : first + 2], "big")
    store.objects["tile/entries/000"] = bundle[first:second] + bundle[:first] + bundle[second:]
    ledger = Ledger.open(store, None, lock)
    with pytest.raises(LedgerBroken, match="entry 0 does not match"):
        ledger.statement(3)
    with pytest.raises(LedgerBroken, match="entry 0 does not match"):
        list(ledger.statements())
    assert ledger.statement(300) == {"n": 300}
    assert ledger.statement(514) == {"n": 514}


def test_nothing_is_built_on_a_damaged_edge(grown: MemoryStore, lock: Path) -> None:
    """A ledger whose last tiles do not lead to its root cannot be opened, so it cannot be added to."""
    for key in ("tile/0/002.p/3", "tile/1/000.p/2"):
        with pytest.raises(LedgerBroken, match="do not lead to the root"):
            Ledger.open(damaged(grown, key, lambda data: bytes(32) + data[32:]), KEY, lock)


# -- crashes


def test_every_prefix_of_the_writes_is_a_good_log(tmp_path: Path, lock: Path) -> None:
    """Appends over a tile boundary, cut off after each single write: the log opens, verifies, holds the old entries or
    the new, and goes on; and nothing seen before is ever taken back."""
    base = MemoryStore()
    fill(Ledger.create(base, KEY, ORIGIN, lock), 254)
    seen = tmp_path / "seen"
    assert Ledger.open(base, KEY, lock).verify(seen).ok
    first_seen = seen.read_bytes()
    recorded = copy(base)
    ledger = Ledger.open(recorded, KEY, lock)
    sizes = [254]
    counts = [0]
    for _ in range(4):
        fill(ledger, 1)
        sizes.append(ledger.size)
        counts.append(len(recorded.writes))
    assert sizes[-1] == 258
    assert any(action == "delete" for action, _, _ in recorded.writes)
    puts = [place for place, (action, _, _) in enumerate(recorded.writes) if action == "put"]
    for cut in sorted({0, *puts, *(place + 1 for place in puts), 300, len(recorded.writes)}):  # 300: amid the cleaning
        store = copy(base)
        for action, key, data in recorded.writes[:cut]:
            store.put(key, data or b"") if action == "put" else store.delete(key)
        acknowledged = max(size for size, count in zip(sizes, counts, strict=True) if count <= cut)
        again = Ledger.open(store, KEY, lock)
        assert again.size in (acknowledged, acknowledged + 1)
        seen.write_bytes(first_seen)
        assert again.verify(seen).problems == []
        with again.lock():
            again.append({"n": "after the crash"})
        fill(again, 3)
        assert Ledger.open(store, None, lock).verify(seen) == LedgerReport(again.size)


def test_a_write_that_fails_leaves_the_ledger_usable(lock: Path) -> None:
    """A full store at any write of an append: the error is told, the entry is not there, the next append succeeds."""

    class Filling(MemoryStore):
        room = 1 << 30

        def put(self, key: str, data: bytes | memoryview) -> None:
            if self.room == 0:
                raise StoreFull("no room left")
            self.room -= 1
            super().put(key, data)

    store = Filling()
    ledger = Ledger.create(store, KEY, ORIGIN, lock)
    for room in range(3):
        store.room = room
        with ledger.lock(), pytest.raises(StoreFull):
            ledger.append({"n": "lost"})
        store.room = 1 << 30
        fill(ledger, 1)
        assert [statement for _, statement in ledger.statements()] == [{"n": n} for n in range(room + 1)]
    assert ledger.verify().ok


WRITER = """
import sys
from pathlib import Path
from emeritus.blobs.local import LocalStore
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
folder = Path(sys.argv[1])
key = SigningKey.load(folder / "key", "test.example/ledger")
ledger = Ledger.open(LocalStore(folder / "log"), key, folder / "lock")
for number in range(12):
    with ledger.lock():
        ledger.append({"who": sys.argv[2], "n": number})
"""


def test_processes_and_threads_append_at_once(tmp_path: Path) -> None:
    """Two processes and two threads append to one log: nothing is lost, each writer's entries are in order, a reader
    meanwhile sees whole entries only."""
    KEY.save(tmp_path / "key")
    store = LocalStore(tmp_path / "log")
    ledger = Ledger.create(store, KEY, ORIGIN, tmp_path / "lock")
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), who]) for who in ("a", "b")]

    def write(who: str) -> None:
        for number in range(12):
            with ledger.lock():
                ledger.append({"who": who, "n": number})

    threads = [threading.Thread(target=write, args=(who,)) for who in ("c", "d")]
    for thread in threads:
        thread.start()
    reader = Ledger.open(store, None, tmp_path / "lock")
    sizes = []
    while any(process.poll() is None for process in processes) or any(thread.is_alive() for thread in threads):
        sizes.append(len(list(reader.statements())))
    assert [process.returncode for process in processes] == [0, 0]
    assert sizes == sorted(sizes)
    found = [(statement["who"], statement["n"]) for _, statement in ledger.statements()]
    assert len(found) == 48
    for who in "abcd":
        assert [n for each, n in found if each == who] == list(range(12))
    assert ledger.verify().problems == []


def test_two_writers_alternate(tmp_path: Path) -> None:
    """A process that takes the lock again and again does not starve another: turns change hands."""
    KEY.save(tmp_path / "key")
    ledger = Ledger.create(LocalStore(tmp_path / "log"), KEY, ORIGIN, tmp_path / "lock")
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "a"])
    while process.poll() is None:
        with ledger.lock():
            ledger.append({"who": "b"})
    writers = [statement["who"] for _, statement in ledger.statements()]
    first, last = writers.index("a"), len(writers) - writers[::-1].index("a")
    runs = [len(list(group)) for _, group in itertools.groupby(writers[first:last])]
    assert process.returncode == 0
    assert max(runs) <= 4
