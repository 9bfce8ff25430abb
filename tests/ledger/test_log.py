"""The log: its files, what appends cost, what a crash leaves, what a change of any byte is called."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ledger_stores import KEY, ORIGIN, MemoryStore, copy, fill

from emeritus.errors import (
    AlreadyExists,
    HomeBusy,
    LedgerBroken,
    LedgerError,
    NotFound,
    SigningKeyUnusable,
    StatementTooLarge,
)
from emeritus.ledger import tree
from emeritus.ledger.checkpoint import open_checkpoint
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.ledger.proof import verify_inclusion


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
        "checkpoint",
        "vkey",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/3",
        "tile/0/002.p/2",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/3",
        "tile/entries/002.p/2",
    }
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
