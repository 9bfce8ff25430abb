"""Where each segment lies: gathered from the packs' own indexes, so that nothing else need be kept or kept right.

Two processes cannot disagree: packs never change, and a pack another process added is found when a segment is missed.
Costs one listing and one or two small reads per pack; knows no manifests but for their copies' places.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound, StoreError, UnknownFormat
from emeritus.vault.codec.numbers import Data
from emeritus.vault.keys.keyring import Keyring
from emeritus.vault.packs.pack import (
    DATA,
    MANIFEST,
    Entry,
    damaged,
    open_into,
    open_segment,
    pack_key,
    pack_name,
    read_index,
)

BASES_BYTES = 64 << 20  # decoded bases kept at hand: neighbouring differences often have neighbouring bases
ANEW_S = 60.0  # how often at most every index is read anew, because a segment is in none of those known
READERS = 8  # packs' indexes read at once: object stores answer slowly, but many at a time


class SegmentIndex:
    """Segments by BLAKE3, each with every place it lies in. Safe in threads."""

    def __init__(self, store: BlobStore, keys: Keyring | None = None) -> None:
        self.store = store
        self.keys = keys
        self.key_numbers: set[int] = set()  # of the keys that segments are encrypted under
        self._places: dict[bytes, list[tuple[str, Entry]]] = {}
        self._copies: list[tuple[str, Entry]] = []  # of manifests
        self._needed: set[bytes] = set()  # segments from which others are differences
        self._loaded: set[str] = set()
        self.unreadable: dict[str, StoreError] = {}  # pack name -> why
        self.nearby: Callable[[bytes], Data | None] | None = None
        self._lock = threading.RLock()
        self._sound_in: dict[bytes, str] = {}  # of segments with several places: the pack that was sound when last read
        self._anew_at = -ANEW_S
        self._bases: OrderedDict[bytes, Data] = OrderedDict()  # decoded and verified, the last used at the end
        self._bases_size = 0

    def refresh(self) -> set[str]:
        """Learn of packs that others added; the names of all packs there are."""
        names = {name for key in self.store.list("packs/") if (name := pack_name(key))}
        with self._lock:
            if gone := self._loaded - names:
                self._forget_all(gone)
        self.load(names)
        return names

    def load(self, names: Iterable[str]) -> None:
        """Read the indexes of these packs, unless they are known. A pack that cannot be read is noted, not raised."""
        with self._lock:
            wanted = [name for name in sorted(names) if name not in self._loaded]
            if len(wanted) > 1:
                with ThreadPoolExecutor(READERS) as pool:
                    found = list(pool.map(self._read_index, wanted))
            else:
                found = [self._read_index(name) for name in wanted]
            for name, entries in zip(wanted, found, strict=True):
                if isinstance(entries, StoreError):
                    self.unreadable[name] = entries
                else:
                    self.unreadable.pop(name, None)
                    self.add(name, entries)

    def add(self, name: str, entries: Iterable[Entry]) -> None:
        """Note the entries of a pack."""
        with self._lock:
            if name in self._loaded:
                return
            self._loaded.add(name)
            for entry in entries:
                if entry.key:
                    self.key_numbers.add(entry.key)
                if entry.kind == MANIFEST:
                    self._copies.append((name, entry))
                elif entry.kind == DATA:
                    self._places.setdefault(entry.blake3, []).append((name, entry))
                if entry.base is not None:
                    self._needed.add(entry.base)

    def forget(self, name: str) -> None:
        """Know nothing of a pack whose bytes were put in place anew: the next `refresh` reads what lies there now."""
        with self._lock:
            if name in self._loaded:
                self._forget_all({name})

    def forget_bases(self) -> None:
        """Keep no base at hand: what was sound when it was read may be damaged by now."""
        with self._lock:
            self._bases.clear()
            self._bases_size = 0

    def places(self, blake3: bytes) -> list[tuple[str, Entry]]:
        """Every (pack name, entry) known to hold a segment."""
        with self._lock:
            return list(self._places.get(blake3, ()))

    def sound_places(self, blake3: bytes) -> list[tuple[str, Entry]]:
        """The places as `places` gives them, the one that was sound when it was last read at the end."""
        with self._lock:
            name = self._sound_in.get(blake3)
            return sorted(self._places.get(blake3, ()), key=lambda place: place[0] == name)

    def is_base(self, blake3: bytes) -> bool:
        """Whether another segment is stored as a difference from this one, which must then stand alone."""
        with self._lock:
            return blake3 in self._needed

    def stands_alone(self, blake3: bytes) -> bool:
        """Whether a segment lies somewhere without a base."""
        return any(entry.base is None for _, entry in self.places(blake3))

    def read_alone(self, blake3: bytes) -> Data:
        """A segment's bytes as `read` gives them, from a place where it has no base."""
        return self._read(blake3, None, alone=True)

    def read(self, blake3: bytes) -> Data:
        """A segment's bytes, verified, from whichever place is sound. Raises IntegrityError naming the damaged pack."""
        return self._read(blake3, None)

    def read_into(self, blake3: bytes, out: memoryview) -> None:
        """The same, into `out`, which has its length; when this raises, `out` holds anything."""
        self._read(blake3, out)

    def near_base(self, blake3: bytes) -> Data:
        """The bytes of a base from wherever somebody has them at hand, unverified, else as `base` gives them.

        For who verifies what it decodes against them, and takes `read` where that is not right.
        """
        found = None if self.nearby is None else self.nearby(blake3)
        return self.base(blake3) if found is None else found

    def base(self, blake3: bytes) -> Data:
        """The bytes of a segment from which others are differences; the last few are kept at hand.

        Raises IntegrityError as `read` does, and where the segment is stored only as a difference itself: one lost
        base must not take more with it than what refers to it.
        """
        with self._lock:
            known = self._bases.get(blake3)
            if known is not None:
                self._bases.move_to_end(blake3)
                return known
        data = self._read(blake3, None, alone=True)
        with self._lock:
            if blake3 not in self._bases:
                self._bases[blake3] = data
                self._bases_size += len(data)
            while self._bases_size > BASES_BYTES:
                self._bases_size -= len(self._bases.popitem(last=False)[1])
        return data

    def _read(self, blake3: bytes, out: memoryview | None, alone: bool = False) -> Data:
        """From any place, or only from places where it stands alone; into `out` or into memory of its own."""
        failures: list[StoreError] = []
        failed: set[str] = set()
        looks = (partial(self.places, blake3), partial(self._look_again, blake3, failed))
        for look in looks:  # another process may have stored it, stored it again, or repaired a pack since
            for name, entry in look():
                key = pack_key(name)
                failed.add(name)
                if alone and entry.base is not None:
                    failures.append(damaged(key, f"segment {blake3.hex()} is a base, and a difference itself"))
                    continue
                room: Data = bytearray(entry.length) if out is None else out
                try:
                    base = None if entry.base is None else self.base(entry.base)
                    stored = self.store.get(key, entry.offset, entry.stored)
                    open_into(entry, stored, memoryview(room), key, base, self.keys)
                    self._note_sound(blake3, name)
                    return room
                except (IntegrityError, UnknownFormat) as error:
                    failures.append(error)
                except NotFound as error:
                    failures.append(damaged(key, "it is missing"))
                    failures[-1].__cause__ = error
        if failures:
            raise failures[0]
        unread = "".join(f"; {error.message}" for error in list(self.unreadable.values())[:3])
        raise IntegrityError(f"segment {blake3.hex()} is in no pack{unread}", segment=blake3.hex())

    def copies(self) -> Iterator[tuple[str, bytes]]:
        """(pack name, bytes) of every manifest copy that is sound. Call `refresh` first."""
        with self._lock:
            copies = list(self._copies)
        for name, entry in copies:
            key = pack_key(name)
            try:
                yield name, bytes(open_segment(entry, self.store.get(key, entry.offset, entry.stored), key))
            except (IntegrityError, NotFound):
                continue  # `verify` names the damage; here only sound copies help

    def _look_again(self, blake3: bytes, failed: Iterable[str]) -> list[tuple[str, Entry]]:
        """The places as the store has them now: packs that failed may have been put in place anew by another process.

        Where no pack known has the segment, the index of any may have been that of other bytes: all are read again.
        """
        self.refresh()
        with self._lock:
            again = set(failed) & self._loaded
            self._reload(again)
            now = time.monotonic()
            if not self._places.get(blake3) and now - self._anew_at >= ANEW_S:
                self._anew_at = now
                self._reload(self._loaded - again)
            return self.places(blake3)

    def _reload(self, names: Iterable[str]) -> None:
        """Read the indexes of these packs again. One that cannot be read now stays as it was known."""
        wanted = sorted(names)
        with ThreadPoolExecutor(READERS) as pool:
            found = dict(zip(wanted, pool.map(self._read_index, wanted), strict=True))
        sound = {name: entries for name, entries in found.items() if not isinstance(entries, StoreError)}
        self._forget_all(sound.keys())
        for name, entries in sound.items():
            self.add(name, entries)

    def _note_sound(self, blake3: bytes, name: str) -> None:
        with self._lock:
            if len(self._places.get(blake3, ())) > 1:
                self._sound_in[blake3] = name

    def _read_index(self, name: str) -> list[Entry] | StoreError:
        try:
            return read_index(self.store, pack_key(name))
        except NotFound as error:
            missing = damaged(pack_key(name), "it is missing")
            missing.__cause__ = error
            return missing
        except StoreError as error:
            if isinstance(error, (IntegrityError, UnknownFormat)):
                return error
            raise  # a store that does not answer says nothing about the pack

    def _forget_all(self, names: Collection[str]) -> None:
        self._loaded -= set(names)
        self._copies = [copy for copy in self._copies if copy[0] not in names]
        self._places = {
            digest: left
            for digest, places in self._places.items()
            if (left := [place for place in places if place[0] not in names])
        }
