"""The cache folder: restored folders under a byte budget, leased while they are used, the least valuable given up.

What makes room is deleted by rename first, so that a folder under its name is whole. Safe beside other processes: a
lease is a lock on the folder itself, which the system lets go of when its holder ends; room is made by one at a time,
and what a restore under way will take is counted. Knows no vault: whoever restores does it in the folder it is given.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emeritus.errors import StoreFull

SPARE = 20  # without a budget, a twentieth of the disk is left free as long as there is something to give up
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ENTRY = re.compile(r"(?P<name>[a-z0-9._-]+)@[0-9a-f]{16}(\.light)?", re.ASCII)
_FRESH = re.compile(r"(?P<name>[a-z0-9._-]+)@[0-9a-f]{16}(\.light)?~new[0-9a-f]+", re.ASCII)
_RECORD, _GONE = ".use", ".gone-"
_BESIDE = (_RECORD, ".verified")  # what lies beside a folder and goes with it


@dataclass(frozen=True, slots=True)
class Use:
    """What is known of a restored folder. `priority`: the clock when it was last used + uses x seconds / bytes.

    Greedy dual with sizes and frequency (GDSF; Cherkasova 1998): the clock is the priority of what was given up last,
    so that what was valuable once ages. `seconds` is what restoring it took.
    """

    bytes: int
    seconds: float = 0.0
    uses: int = 0
    last_used: float = 0.0  # seconds since the epoch
    priority: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A restored folder and its use."""

    place: str
    resident: str
    use: Use
    in_use: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What a cache holds. `budget_bytes` 0: a twentieth of the disk is left free."""

    budget_bytes: int
    bytes: int
    reserved_bytes: int  # of restores under way
    entries: tuple[Entry, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Lease:
    """A folder that is in use: it is not given up until this is closed, or the last process that holds it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go. Safe to repeat."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class Cache:
    """Restored folders by their place, `NAME@DIGEST`. `budget_bytes` 0: no more than leaves a twentieth of the disk.

    `trust_s`: how long the record of a verification may stand for another one, in seconds (`preservation.verified`).
    """

    def __init__(self, folder: Path, budget_bytes: int = 0, trust_s: float = 0.0) -> None:
        self.folder = folder
        self.trust_s = trust_s
        self._budget = budget_bytes

    def lease(self, place: str) -> Lease | None:
        """The folder, kept from being given up; None where there is none. Call under the resident's lock."""
        path = self.folder / place
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link: nothing that was restored
                return None
            raise
        lease = Lease(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            same = False
        if same:
            return lease
        lease.close()  # it was given up between the two
        return None

    def used(self, place: str, seconds: float | None = None) -> None:
        """Note a use; `seconds` where it was restored for it. What cannot be noted is let be."""
        known = self._read(place)
        known = replace(known, uses=known.uses + 1, last_used=time.time())
        if seconds is not None:
            known = replace(known, seconds=seconds, bytes=_measure(self.folder / place))
        worth = known.uses * known.seconds / max(1, known.bytes)
        self._write(place, replace(known, priority=self._clock() + worth))

    @contextmanager
    def restoring(self, place: str, size: int) -> Iterator[Path]:
        """A name to restore `size` bytes to, room made for them; renamed to `place` when the block ends well.

        Call under the resident's lock. Raises StoreFull where the budget or the disk has no room, whatever is given up;
        nothing is left behind then.
        """
        fresh = self.folder / f"{place}~new{secrets.token_hex(4)}"
        try:
            self._reserve(fresh.name, size)
            try:
                yield fresh
            except StoreFull as error:
                raise _full(place, size, error.message) from error
            os.rename(fresh, self.folder / place)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise _full(place, size, str(error.strerror)) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            with suppress(OSError):
                (self.folder / f"{fresh.name}{_RECORD}").unlink(missing_ok=True)

    def give_up_one(self) -> bool:
        """Delete the least valuable folder that nobody uses; whether there was one."""
        with locked(self.folder / ".room.lock"):
            return self._give_up()

    def discard(self, place: str) -> None:
        """Delete a folder that is not as it should be. Who uses it keeps what they opened."""
        self._remove(place)

    def sweep(self, name: str) -> None:
        """Delete what a restore of this resident left that was killed. Call under the resident's lock."""
        for left in self.folder.glob(f"{name}@*~new*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)

    def fits(self, size: int) -> bool:
        """Whether so many bytes have room here once others are given up; in use are those that are now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self.held()
        kept = sum(each.use.bytes for each in held.entries if each.in_use) + held.reserved_bytes
        if self._budget and kept + size > self._budget:
            return False
        disk = shutil.disk_usage(self.folder)
        return disk.free + held.bytes - kept + held.reserved_bytes - size >= disk.total / SPARE

    def held(self) -> Held:
        """What is here, the least valuable first."""
        entries = sorted(self._entries(), key=lambda each: (each.use.priority, each.use.last_used, each.place))
        reserved = sum(self._reservations())
        return Held(self._budget, sum(each.use.bytes for each in entries), reserved, tuple(entries))

    # -- room --------------------------------------------------------------------------------------------------------

    def _reserve(self, fresh: str, size: int) -> None:
        """Give up what must go for `size` bytes, and note that they will come. Raises StoreFull."""
        if self._budget and size > self._budget:
            raise _full(fresh.partition("@")[0], size, f"the cache may hold {self._budget} bytes in all")
        with locked(self.folder / ".room.lock"):
            for gone in self.folder.glob(f"{_GONE}*"):  # its deletion was interrupted
                shutil.rmtree(gone, ignore_errors=True)
            while self._lacking(size) > 0:
                if self._give_up():
                    continue
                if self._budget == 0 and shutil.disk_usage(self.folder).free > size:
                    break  # the spare part of the disk is for others, if they need it
                raise _full(fresh.partition("@")[0], size, "everything else in the cache is in use")
            self._write(fresh, Use(size))

    def _lacking(self, size: int) -> float:
        """How many bytes too many there would be with `size` more."""
        coming = sum(self._reservations())
        disk = shutil.disk_usage(self.folder)
        if self._budget == 0:
            return size + disk.total / SPARE - disk.free
        held = sum(each.use.bytes for each in self._entries())
        return max(held + coming + size - self._budget, size - disk.free)

    def _give_up(self) -> bool:
        for entry in self.held().entries:
            if not entry.in_use and self._remove(entry.place, unused=True):
                with suppress(OSError):
                    (self.folder / ".clock").write_text(repr(max(self._clock(), entry.use.priority)))
                return True
        return False

    def _remove(self, place: str, unused: bool = False) -> bool:
        """Delete a folder; with `unused` only if nobody uses it, and whether that was so."""
        path, gone = self.folder / place, self.folder / f"{_GONE}{secrets.token_hex(8)}"
        try:
            lease = _exclusive(path) if unused else Lease(-1)
        except OSError:
            return False
        try:
            os.rename(path, gone)
        except FileNotFoundError:
            return False
        finally:
            lease.close()
        for ending in _BESIDE:
            (self.folder / f"{place}{ending}").unlink(missing_ok=True)
        if gone.is_symlink() or not gone.is_dir():
            gone.unlink()
        else:
            shutil.rmtree(gone, ignore_errors=True)
        return True

    # -- what is known -----------------------------------------------------------------------------------------------

    def _entries(self) -> Iterator[Entry]:
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                found = _ENTRY.fullmatch(path.name)
                if found is not None and path.is_dir() and not path.is_symlink():
                    yield Entry(path.name, found["name"], self._read(path.name), _in_use(path))

    def _reservations(self) -> Iterator[int]:
        """The bytes that restores under way will take; what a killed one noted counts no more."""
        for path in self.folder.glob(f"*~new*{_RECORD}"):
            found = _FRESH.fullmatch(path.name.removesuffix(_RECORD))
            if found is not None and _is_locked(self.folder / f"{found['name']}.lock"):
                yield self._read(path.name.removesuffix(_RECORD)).bytes

    def _read(self, place: str) -> Use:
        try:
            fields = json.loads((self.folder / f"{place}{_RECORD}").read_text(encoding="ascii"))
            return Use(**{name: type(value)(fields[name]) for name, value in asdict(Use(0)).items()})
        except (OSError, ValueError, KeyError, TypeError):
            return Use(_measure(self.folder / place))

    def _write(self, place: str, use: Use) -> None:
        new = self.folder / f".{secrets.token_hex(8)}{_RECORD}"
        try:
            new.write_text(json.dumps(asdict(use)), encoding="ascii")
            os.replace(new, self.folder / f"{place}{_RECORD}")
        except OSError:  # what is not noted costs a folder its rank, and no caller an answer
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _clock(self) -> float:
        try:
            return float((self.folder / ".clock").read_text())
        except (OSError, ValueError):
            return 0.0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for it; the system lets go of it when the process ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _exclusive(path: Path) -> Lease:
    """A folder that nobody else uses. Raises OSError where somebody does."""
    lease = Lease(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
    try:
        fcntl.flock(lease._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lease.close()
        raise
    return lease


def _in_use(path: Path) -> bool:
    try:
        _exclusive(path).close()
    except OSError:
        return True
    return False


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _measure(folder: Path) -> int:
    """The bytes of a folder's files."""
    total = 0
    for current, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(current, name)).st_size
    return total


def _full(what: str, size: int, why: str) -> StoreFull:
    return StoreFull(
        f"no room in the cache for {size} bytes of {what.partition('@')[0]!r}: {why}",
        remedy="Free space on the cache's disk, raise cache_budget_bytes, or set `loading` to memory.",
        bytes=size,
    )
