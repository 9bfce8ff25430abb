"""Stores for the ledger's tests: bytes in memory, every write and read on record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from emeritus.errors import IntegrityError, NotFound
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger

ORIGIN = "test.example/ledger"
KEY = SigningKey.generate(ORIGIN)

Write = tuple[str, str, bytes | None]  # put or delete, key, bytes


class MemoryStore:
    """A BlobStore in a dictionary. `writes` and `reads` list what was done."""

    url = "memory:"

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[Write] = []
        self.reads: list[str] = []
        for action, key, data in writes:
            if action == "put":
                self.put(key, data or b"")
            else:
                self.delete(key)

    def put(self, key: str, data: bytes | memoryview) -> None:
        self.objects[key] = bytes(data)
        self.writes.append(("put", key, bytes(data)))

    def put_if_absent(self, key: str, data: bytes | memoryview) -> bool:
        if key in self.objects:
            return False
        self.put(key, data)
        return True

    def put_if_match(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        if self.version(key) != version:
            return None
        self.put(key, data)
        return self.version(key)

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self.reads.append(key)
        if key not in self.objects:
            raise NotFound(f"no object {key!r}")
        data = self.objects[key]
        end = len(data) if length is None else start + length
        if end > len(data):
            raise IntegrityError("the range ends beyond the object")
        return data[start:end]

    def version(self, key: str) -> str | None:
        return None if key not in self.objects else self.objects[key].hex()

    def size(self, key: str) -> int | None:
        return None if key not in self.objects else len(self.objects[key])

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self.writes.append(("delete", key, None))


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
