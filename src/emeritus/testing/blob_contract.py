"""The duties of a store as tests: subclass `BlobContract`, give it `store` and a raw back door, override nothing else.

The back door reads and writes objects without the store under test, so that one which only agrees with itself fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from emeritus.blobs.base import BlobStore
from emeritus.errors import BadName, IntegrityError, NotFound, StoreUnavailable

BAD_KEYS = ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a b", "a\\b", "a\nb", "é", "~tmp/x", "a" * 201, "a/" * 500]


class BackDoor(Protocol):
    """How the bytes lie without the store: raw get, put and the names of everything there is."""

    def read(self, key: str) -> bytes:
        """The bytes of `key`."""

    def write(self, key: str, data: bytes) -> None:
        """Put bytes under `key`."""

    def everything(self) -> list[str]:
        """Every visible object, whoever made it."""


class BlobContract:
    """Every store passes all of this. Subclasses provide the fixtures `store` (empty) and `back_door` (same place).

    `answers_get_lost` declares a connection that may lose the answer to a swap that was made: where another swap has
    followed it, nobody can tell that it was: the call may then raise StoreUnavailable, never say "refused".
    """

    answers_get_lost = False

    def test_put_then_get(self, store: BlobStore, back_door: BackDoor) -> None:
        """What is put is there, byte for byte, also seen from outside; a second put replaces it."""
        for data in (b"one", b"", bytes(range(256)) * 5000):
            store.put("folder/a.b_c-1", data)
            assert store.get("folder/a.b_c-1") == data == back_door.read("folder/a.b_c-1")
            assert store.size("folder/a.b_c-1") == len(data)
        assert back_door.everything() == ["folder/a.b_c-1"]

    def test_reads_what_others_wrote(self, store: BlobStore, back_door: BackDoor) -> None:
        """An object that came from elsewhere is an object."""
        back_door.write("x/y", b"foreign")
        assert store.get("x/y") == b"foreign"
        assert list(store.list()) == ["x/y"]

    def test_put_takes_views(self, store: BlobStore) -> None:
        """A memoryview into a larger buffer stores exactly its part."""
        buffer = bytearray(b"0123456789")
        store.put("view", memoryview(buffer)[2:5])
        assert store.put_if_absent("view2", memoryview(buffer)[5:])
        buffer[:] = b"x" * 10
        assert (store.get("view"), store.get("view2")) == (b"234", b"56789")

    def test_written_piece_by_piece(self, store: BlobStore, back_door: BackDoor) -> None:
        """What is staged is seen by nobody before it is put, whole, and leaves nothing where it is not."""
        piece = bytearray(b"one")
        staged, other, dropped = store.stage(), store.stage(), store.stage()
        staged.write(memoryview(piece))
        piece[:] = b"two"
        staged.write(bytes(piece[:1]))
        other.write(b"other")
        dropped.write(b"nothing")
        assert list(store.list()) == []
        assert staged.put_if_absent("a/b")
        assert not other.put_if_absent("a/b")
        assert store.get("a/b") == back_door.read("a/b") == b"onet"
        other.put("a/b")
        for each in (staged, other, dropped):
            each.close()
        assert store.get("a/b") == b"other"
        assert back_door.everything() == ["a/b"]

    def test_missing(self, store: BlobStore) -> None:
        """What is not there is NotFound to get, None to size and version, and nothing to delete."""
        for key in ("no", "no/such/key"):
            with pytest.raises(NotFound):
                store.get(key)
            with pytest.raises(NotFound):
                store.get(key, 1, 1)
            assert store.size(key) is None
            assert store.version(key) is None
            store.delete(key)
        assert list(store.list()) == []

    def test_ranges(self, store: BlobStore) -> None:
        """Ranges are exact; one that leaves the object raises instead of answering short."""
        store.put("r", b"0123456789")
        assert store.get("r", 2, 3) == b"234"
        assert store.get("r", 7) == b"789"
        assert store.get("r", 10) == b""
        assert store.get("r", 4, 0) == b""
        assert store.get("r", 0, 10) == b"0123456789"
        for start, length in ((8, 3), (11, 0), (11, None), (10, 1), (-1, 2), (0, -1)):
            with pytest.raises(IntegrityError):
                store.get("r", start, length)

    def test_reading_into_a_buffer(self, store: BlobStore) -> None:
        """A range fills the caller's own memory, exactly; hints change nothing, not even for what is not there."""
        store.put("r", b"0123456789")
        room = bytearray(b"xxxxxx")
        for key in ("r", "no"):
            store.prefetch(key, 2, 3)
        store.read_into("r", 2, memoryview(room)[1:4])
        assert room == b"x234xx"
        store.read_into("r", 4, memoryview(room)[:0])
        assert room == b"x234xx"
        for start in (8, 10, -1):
            with pytest.raises(IntegrityError):
                store.read_into("r", start, memoryview(room)[:3])
        with pytest.raises(NotFound):
            store.read_into("no", 0, memoryview(room))
        assert store.readers >= 1

    def test_put_if_absent(self, store: BlobStore, back_door: BackDoor) -> None:
        """The first put wins and later ones change nothing, the same bytes included."""
        assert store.put_if_absent("a/k", b"first")
        assert not store.put_if_absent("a/k", b"second")
        assert not store.put_if_absent("a/k", b"first")
        assert back_door.read("a/k") == b"first"

    def test_put_if_match(self, store: BlobStore) -> None:
        """Only who knows the present version may replace it; None means only while absent."""
        first = store.put_if_match("k", b"1", None)
        assert first is not None
        assert first == store.version("k")
        assert store.put_if_match("k", b"no", None) is None
        second = store.put_if_match("k", b"2", first)
        assert second is not None
        assert second != first
        assert second == store.version("k")
        assert store.put_if_match("k", b"3", first) is None
        assert self._is_refused(lambda: store.put_if_match("absent", b"3", first))
        assert store.get("k") == b"2"
        store.put("k", b"4")
        assert store.version("k") != second
        assert self._is_refused(lambda: store.put_if_match("k", b"5", second))
        store.delete("k")
        assert self._is_refused(lambda: store.put_if_match("k", b"6", second))
        assert list(store.list()) == []

    def _is_refused(self, swap: Callable[[], str | None]) -> bool:
        """Whether that swap was not made; where answers get lost, also whether nobody can tell."""
        try:
            return swap() is None
        except StoreUnavailable:
            if not self.answers_get_lost:
                raise
            return True

    def test_races_have_one_winner(self, store: BlobStore) -> None:
        """Of eight concurrent creations one wins, and increments by compare-and-swap lose no count."""
        wins: list[int] = []
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                if store.put_if_absent("race", str(number).encode()):
                    wins.append(number)
                for _ in range(3):
                    while True:
                        version = store.version("count")
                        value = int(store.get("count")) if version else 0
                        # the value may be newer than the version: then the swap must fail
                        swap = partial(store.put_if_match, "count", str(value + 1).encode(), version)
                        if not self._is_refused(swap):
                            break
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(wins) == 1
        assert store.get("race") == str(wins[0]).encode()
        count = int(store.get("count"))
        assert count >= 24 if self.answers_get_lost else count == 24

    def test_put_file(self, store: BlobStore, back_door: BackDoor, tmp_path: Path) -> None:
        """A file's bytes are stored, also when it is larger than one part of a multipart upload."""
        path = tmp_path / "big"
        data = bytes(range(256)) * 4096 * 12
        path.write_bytes(data)
        store.put_file("f/big", path)
        assert back_door.read("f/big") == data
        (tmp_path / "empty").write_bytes(b"")
        store.put_file("f/empty", tmp_path / "empty")
        assert back_door.read("f/empty") == b""

    def test_list_is_sorted_and_by_prefix(self, store: BlobStore) -> None:
        """Keys come in the order of their characters, and a prefix may end inside a segment."""
        keys = ["a", "a-b/c", "a.b", "b/c", "b/c2/d", "b/cd", "b0", "b-"]
        for key in reversed(keys):
            store.put(key, b"")
        assert list(store.list()) == sorted(keys)
        assert list(store.list("b/c")) == ["b/c", "b/c2/d", "b/cd"]
        assert list(store.list("b/")) == ["b/c", "b/c2/d", "b/cd"]
        assert list(store.list("a")) == ["a", "a-b/c", "a.b"]
        assert list(store.list("zz/")) == []

    def test_delete(self, store: BlobStore, back_door: BackDoor) -> None:
        """What is deleted is gone, its neighbours are not, and its key may be used again."""
        store.put("d/1", b"1")
        store.put("d/2", b"2")
        store.delete("d/1")
        store.delete("d/1")
        assert back_door.everything() == ["d/2"]
        assert store.put_if_absent("d/1", b"again")

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys(self, store: BlobStore, back_door: BackDoor, tmp_path: Path, key: str) -> None:
        """A key that could escape, or that some store could not hold, is refused by every call."""
        path = tmp_path / "file"
        path.write_bytes(b"x")
        for call in (
            lambda: store.put(key, b"x"),
            lambda: store.put_if_absent(key, b"x"),
            lambda: store.put_if_match(key, b"x", None),
            lambda: store.put_file(key, path),
            lambda: store.get(key),
            lambda: store.size(key),
            lambda: store.version(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(BadName):
                call()
        assert back_door.everything() == []
