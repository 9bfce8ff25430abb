"""The log: its files, what appends cost, what a crash leaves, what a change of any byte is called."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_stores import MemoryStore

from emeritus.blobs.local import LocalStore
from emeritus.errors import (
    AlreadyExists,
    HomeBusy,
    LedgerBroken,
    LedgerError,
    NotFound,
    SigningKeyUnusable,
    StatementTooLarge,
    StoreFull,
)
from emeritus.ledger import tree
from emeritus.ledger.checkpoint import open_checkpoint
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.ledger.proof import verify_inclusion
from emeritus.ledger.verify import LedgerReport

ORIGIN = "test.example/ledger"
KEY = SigningKey.generate(ORIGIN)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Where the lock file is."""
    return tmp_path / "lock"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    """A log of 515 entries: two full tiles and a partial one. Copy it before changing it."""
    store = MemoryStore()
    fill(Ledger.create(store, KEY, ORIGIN, tmp_path_factory.mktemp("grown") / "lock"), 515)
    return store


def copy(store: MemoryStore) -> MemoryStore:
    """The same objects, another store."""
    fresh = MemoryStore()
    fresh.objects = dict(store.objects)
    return fresh


def fill(ledger: Ledger, count: int) -> None:
    """Append numbered statements."""
    with ledger.lock():
        for _ in range(count):
            ledger.append({"n": ledger.size})


def test_what_is_appended_can_be_read_and_proven(grown: MemoryStore, lock: Path) -> None:
    """Statements, envelopes, proofs and checkpoint of a log over several tiles hold together."""
    ledger = Ledger.open(grown, None, lock)
    assert ledger.size == 515
    assert [statement["n"] for _, statement in ledger.statements()] == list(range(515))
    assert list(ledger.statements(513)) == [(513, {"n": 513}), (514, {"n": 514})]
    assert ledger.statement(256) == {"n": 256}
    now = open_checkpoint(ledger.checkpoint(), KEY.verify_key)
    for seq in (0, 255, 256, 511, 512, 514):
        leaf = tree.leaf_hash(ledger.envelope(seq))
        assert tree.included(leaf, seq, 515, ledger.inclusion_proof(seq), now.root)
        assert verify_inclusion(ledger.envelope(seq), ledger.proof(seq), KEY.verify_key.line) == {"n": seq}
    for old, new in ((1, 515), (256, 515), (300, 512), (515, 515), (0, 4)):
        roots = [tree.fold([tree.leaf_hash(ledger.envelope(seq)) for seq in range(size)]) for size in (old, new)]
        assert tree.consistent(old, new, roots[0], roots[1], ledger.consistency_proof(old, new))
    assert ledger.verify().problems == []
    assert ledger.verify().ok


def test_what_is_beyond_the_end_is_not_found(grown: MemoryStore, lock: Path) -> None:
    """Entries and proofs outside the log are NotFound, negative numbers too."""
    ledger = Ledger.open(grown, None, lock)
    for ask in (
        lambda: ledger.statement(515),
        lambda: ledger.envelope(-1),
        lambda: ledger.proof(515),
        lambda: ledger.inclusion_proof(4, 4),
        lambda: ledger.inclusion_proof(0, 516),
        lambda: ledger.consistency_proof(5, 4),
        lambda: ledger.consistency_proof(0, 516),
    ):
        with pytest.raises(NotFound):
            ask()
    assert list(ledger.statements(515)) == []


def test_a_proof_shows_its_entry_and_no_other(grown: MemoryStore, lock: Path) -> None:
    """A proof file fails for another entry, another key, and after any change of a byte."""
    ledger = Ledger.open(grown, None, lock)
    entry, proof = ledger.envelope(300), ledger.proof(300)
    assert proof.startswith(b"c2sp.org/tlog-proof@v1\nindex 300\n")
    with pytest.raises(LedgerBroken, match="not entry 300"):
        verify_inclusion(ledger.envelope(301), proof, KEY.verify_key.line)
    with pytest.raises(LedgerBroken):
        verify_inclusion(entry, proof, SigningKey.generate(ORIGIN).verify_key.line)
    with_extra = proof.replace(b"@v1\n", b"@v1\nextra aGk=\n")
    assert verify_inclusion(entry, with_extra, KEY.verify_key.line) == {"n": 300}
    for place in range(len(proof)):
        with pytest.raises(LedgerBroken):
            verify_inclusion(entry, proof[:place] + bytes([proof[place] ^ 1]) + proof[place + 1 :], KEY.verify_key.line)


def test_the_files_are_those_of_tlog_tiles(grown: MemoryStore) -> None:
    """Names and sizes of all files; partial tiles are gone once the full one is there."""
    current = {key for key in grown.objects if ".p/" not in key or key.endswith(("p/3", "p/2"))}
    expected = {
        "checkpoint", "vkey", "tile/0/000", "tile/0/001", "tile/0/002.p/3", "tile/0/002.p/2", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/3", "tile/entries/002.p/2",
    }  # fmt: skip
    assert current == expected
    assert set(grown.objects) - expected == {"tile/0/002.p/1", "tile/entries/002.p/1", "tile/1/000.p/1"}
    assert [len(grown.objects[key]) for key in ("tile/0/000", "tile/0/002.p/3", "tile/1/000.p/2")] == [8192, 96, 64]
    bundle = grown.objects["tile/entries/002.p/3"]
    length = int.from_bytes(bundle[:2], "big")
    assert bundle[2 : 2 + length].startswith(b'{"payload":"')
    assert grown.objects["vkey"] == f"{KEY.verify_key.line}\n".encode()


def test_opening_and_appending_read_a_few_files_only(grown: MemoryStore, lock: Path) -> None:
    """Opening reads the edge; an append to an open log reads the checkpoint alone and writes it last."""
    store = copy(grown)
    ledger = Ledger.open(store, KEY, lock)
    assert len(store.reads) <= 6
    store.reads.clear()
    fill(ledger, 1)
    assert store.reads == ["checkpoint"]
    assert [key for _, key, _ in store.writes] == ["tile/entries/002.p/4", "tile/0/002.p/4", "checkpoint"]


def test_an_append_needs_lock_and_key(lock: Path) -> None:
    """Without the lock, from another thread, or without the key nothing is appended."""
    store = MemoryStore()
    ledger = Ledger.create(store, KEY, ORIGIN, lock)
    with pytest.raises(LedgerError, match="lock"):
        ledger.append({})
    failures: list[Exception] = []

    def elsewhere() -> None:
        try:
            ledger.append({})
        except LedgerError as error:
            failures.append(error)

    with ledger.lock():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert len(failures) == 1
    reader = Ledger.open(store, None, lock)
    with reader.lock(), pytest.raises(LedgerError, match="key"):
        reader.append({})
    assert ledger.size == 0


def test_the_lock_is_reentrant_and_waits_no_longer_than_said(lock: Path) -> None:
    """The holder may take it again; another object waits, then HomeBusy; after an error it is free."""
    store = MemoryStore()
    ledger = Ledger.create(store, KEY, ORIGIN, lock)
    other = Ledger.open(store, KEY, lock, lock_wait_s=0.05)

    def use_other() -> None:
        with other.lock():
            pass

    with ledger.lock(), ledger.lock():
        with pytest.raises(HomeBusy):
            use_other()
        ledger.append({})

    def fail() -> None:
        with ledger.lock():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    use_other()


def test_a_statement_that_does_not_fit_is_refused(lock: Path) -> None:
    """48 kB fit, 50 kB do not (an entry has a 16-bit length), and nothing is written."""
    store = MemoryStore()
    ledger = Ledger.create(store, KEY, ORIGIN, lock)
    with ledger.lock():
        ledger.append({"text": "x" * 48_000})
        before = dict(store.objects)
        with pytest.raises(StatementTooLarge, match="65535"):
            ledger.append({"text": "x" * 50_000})
    assert store.objects == before
    assert ledger.verify().ok


def test_a_ledger_is_begun_once_and_with_its_own_key(lock: Path) -> None:
    """No second beginning, no other key, no name but the key's, nothing to open where nothing is."""
    store = MemoryStore()
    with pytest.raises(NotFound):
        Ledger.open(store, KEY, lock)
    with pytest.raises(SigningKeyUnusable):
        Ledger.create(store, KEY, "other.example", lock)
    Ledger.create(store, KEY, ORIGIN, lock)
    with pytest.raises(AlreadyExists):
        Ledger.create(store, KEY, ORIGIN, lock)
    with pytest.raises(SigningKeyUnusable, match="was begun with"):
        Ledger.open(store, SigningKey.generate(ORIGIN), lock)


def test_a_lost_checkpoint_is_not_a_new_beginning(grown: MemoryStore, lock: Path) -> None:
    """Tiles without a checkpoint are a broken ledger, to `open` and to `create`, and when it vanishes in use."""
    store = copy(grown)
    ledger = Ledger.open(store, KEY, lock)
    del store.objects["checkpoint"]
    for use in (
        lambda: ledger.size,
        lambda: Ledger.open(store, KEY, lock),
        lambda: Ledger.create(store, KEY, ORIGIN, lock),
    ):
        with pytest.raises(LedgerBroken, match="checkpoint"):
            use()
    assert ledger.verify().problems[0].startswith("checkpoint:")


def test_going_back_is_noticed_at_once_and_later(tmp_path: Path, lock: Path) -> None:
    """An older copy put back is refused by a running process, and by the next `verify` through what it saw before."""
    store, seen = MemoryStore(), tmp_path / "kept" / "seen"
    ledger = Ledger.create(store, KEY, ORIGIN, lock)
    fill(ledger, 3)
    old = copy(store)
    fill(ledger, 2)
    assert ledger.verify(seen).ok
    store.objects = dict(old.objects)
    with pytest.raises(LedgerBroken, match="went from 5 entries back to 3"):
        fill(ledger, 1)
    later = Ledger.open(store, KEY, lock)
    assert later.verify(seen).problems == ["the ledger has 3 entries; 5 were seen before"]
    fill(later, 2)  # the same number of entries, other ones
    with later.lock():
        later.append({"n": "another history"})
    assert later.verify().ok
    assert later.verify(seen).problems == []  # the two entries were the same statements, so the same bytes
    forged = Ledger.open(copy(old), KEY, lock)
    with forged.lock():
        for number in range(4):
            forged.append({"n": f"forged {number}"})
    assert forged.verify().ok
    assert forged.verify(seen).problems == ["the first 6 entries are not those seen before"]


def test_another_key_or_a_broken_memory_is_noticed(tmp_path: Path, lock: Path) -> None:
    """A ledger begun anew under another key does not pass for the one seen; an unreadable memory is an error."""
    seen = tmp_path / "seen"
    assert Ledger.create(MemoryStore(), KEY, ORIGIN, lock).verify(seen).ok
    other = Ledger.create(MemoryStore(), SigningKey.generate(ORIGIN), ORIGIN, lock)
    assert "when it was last seen it was" in other.verify(seen).problems[0]
    seen.write_text("{")
    with pytest.raises(LedgerBroken, match="seen"):
        other.verify(seen)


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
