"""A resident opened for loading: its tensors by name, straight from packs into memory, verified, several at a time.

Any one tensor can be read alone. Knows no engine and no model runtime: what it gives are NumPy arrays, which engines
wrap without copying, and it says the type of their numbers, since NumPy has no bf16 and no fp8.
"""

from __future__ import annotations

import io
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property, partial
from itertools import accumulate
from math import prod
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from emeritus.errors import BadTensorFile, InputError, NotFound
from emeritus.vault.formats.cut import Tensor
from emeritus.vault.formats.safetensors import BITS
from emeritus.vault.formats.table import tensors
from emeritus.vault.manifest import FileEntry, Manifest
from emeritus.vault.packs.index import SegmentIndex
from emeritus.vault.pages import pages
from emeritus.vault.reading.fetch import Fetcher, Run, Segment, split
from emeritus.vault.workers import THREADS

Array = npt.NDArray[np.generic]
# What an array of these numbers is in NumPy. BF16 comes as uint16 and fp8 as uint8: the bits, to be viewed as what they
# are. A type that is not here comes as the bytes it lies in.
DTYPES: Mapping[str, type[np.generic]] = MappingProxyType(
    {
        "BOOL": np.bool_,
        "U8": np.uint8,
        "I8": np.int8,
        "U16": np.uint16,
        "I16": np.int16,
        "U32": np.uint32,
        "I32": np.int32,
        "U64": np.uint64,
        "I64": np.int64,
        "F16": np.float16,
        "BF16": np.uint16,
        "F32": np.float32,
        "F64": np.float64,
        "C64": np.complex64,
        "F8_E5M2": np.uint8,
        "F8_E4M3": np.uint8,
        "F8_E8M0": np.uint8,
    }
)
LARGE = 4 << 20  # bytes from which a tensor has pages of its own
INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"


class OpenResident:
    """The tensors of one resident. Safe in threads; nothing is held open."""

    def __init__(self, index: SegmentIndex, manifest: Manifest, files: Collection[FileEntry] | None = None) -> None:
        """Use `Vault.open`. `files`: those whose tensors are meant; all when None."""
        index.load(manifest.packs)
        self._index = index
        self._files = manifest.files if files is None else files
        self.manifest = manifest
        self._starts: dict[str, list[int]] = {}  # of each file: where its segments begin, and its end

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor by its name: type, shape, file, and where in the file it lies.

        A name that several files have is that of the file which `model.safetensors.index.json` says. Raises
        BadTensorFile, IntegrityError, and InputError where nothing says which file is meant.
        """
        wanted = self._weight_map()
        found: dict[str, Tensor] = {}
        for file in self._files:
            for tensor in self._tensors(file):
                other = found.setdefault(tensor.name, tensor)
                if other is tensor or wanted.get(tensor.name) == other.path:
                    continue
                if wanted.get(tensor.name) != tensor.path:
                    raise InputError(
                        f"{other.path} and {tensor.path} both have a tensor {tensor.name!r}",
                        remedy=f"Add an {INDEX} that says which one counts, or restore the files and load one.",
                    )
                found[tensor.name] = tensor
        return MappingProxyType(found)

    def checkpoint(self) -> OpenResident:
        """The same with the tensors alone that model libraries load: of `model.safetensors`, or of its index's files.

        Raises NotFound where there is neither, as for weights in another format, and for a file the index only names.
        """
        if self.manifest.file(WHOLE) is not None:
            paths = {WHOLE}
        elif self.manifest.file(INDEX) is not None:
            paths = set(self._weight_map().values())
        else:
            raise NotFound(
                f"{self.manifest.name!r} has neither {WHOLE} nor {INDEX}",
                remedy="Restore its files and load them as their format asks.",
                name=self.manifest.name,
            )
        return OpenResident(self._index, self.manifest, [self._file(path) for path in sorted(paths)])

    def read(self, name: str, out: Array | None = None) -> Array:
        """One tensor, verified, in `out` (contiguous, of its length in bytes) or in memory of its own.

        Its NumPy type is that of DTYPES. Raises NotFound, IntegrityError; `out` then holds anything.
        """
        with Fetcher(self._index) as fetcher:
            array, futures = self._begin(fetcher, self._tensor(name), out)
            for future in futures:
                future.result()
        return array

    def read_all(self, names: Iterable[str] | None = None, threads: int = THREADS) -> dict[str, Array]:
        """These tensors, or all, by name. Tensors that are tied share their memory. Raises as `read` does."""
        return dict(self.each(names, threads))

    def each(
        self,
        names: Iterable[str] | None = None,
        threads: int = THREADS,
        room: Callable[[Tensor], Array] | None = None,
    ) -> Iterator[tuple[str, Array]]:
        """(name, array) of these tensors, or of all, as they lie in their files, with the next ones under way.

        Memory beyond what the taker keeps: a few segments ahead, or one tensor where that is more. `room` says where a
        tensor is to be put, as `read`'s `out`; of tensors that are tied it is asked for the first.
        """
        chosen = list(self.tensors.values()) if names is None else [self._tensor(name) for name in names]
        chosen.sort(key=lambda tensor: (tensor.path, tensor.offset, -tensor.length))
        waiting: deque[tuple[str, Array, list[Future[None]]]] = deque()
        last: tuple[Tensor, Array] | None = None
        with Fetcher(self._index, threads) as fetcher:
            under_way = 0
            for tensor in chosen:
                if last and (last[0].path, last[0].offset, last[0].length) == (
                    tensor.path,
                    tensor.offset,
                    tensor.length,
                ):
                    waiting.append((tensor.name, _view(_bytes(last[1]), tensor), []))
                    continue
                array, futures = self._begin(fetcher, tensor, None if room is None else room(tensor))
                last = tensor, array
                waiting.append((tensor.name, array, futures))
                under_way += len(futures)
                while under_way > fetcher.ahead and len(waiting) > 1:
                    under_way -= len(waiting[0][2])
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())

    def pour(self, put: Callable[[Tensor, int, memoryview], object], threads: int = THREADS) -> None:
        """Have `put` take every tensor's bytes, verified, a stretch at a time: (tensor, start in it, bytes).

        Called by several threads, in any order; the bytes are the callee's until it returns, warm in the processor's
        cache. Of tensors that are tied the first is given. Raises as `read` does, and what `put` raises.
        """
        chosen = sorted(self.tensors.values(), key=lambda tensor: (tensor.path, tensor.offset, -tensor.length))
        waiting: deque[Future[None]] = deque()
        last: tuple[str, int, int] | None = None
        with Fetcher(self._index, threads) as fetcher:
            for tensor in chosen:
                place = tensor.path, tensor.offset, tensor.length
                if place == last:
                    continue
                last = place
                for at, length, source in self._parts(fetcher, self._file(tensor.path), tensor.offset, tensor.length):
                    waiting.append(fetcher.pour(source, length, partial(put, tensor, at)))
                    if len(waiting) > fetcher.ahead:
                        waiting.popleft().result()
            while waiting:
                waiting.popleft().result()

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytearray:
        """A range of one file, or all of it from `offset` on, verified. Raises NotFound, IntegrityError."""
        file = self._file(path)
        length = file.size - offset if length is None else length
        if offset < 0 or length < 0 or offset + length > file.size:
            raise InputError(f"{path} has {file.size} bytes; {length} from {offset} were asked for")
        out = bytearray(length)
        with Fetcher(self._index) as fetcher:
            for future in self._fetch(fetcher, file, offset, memoryview(out)):
                future.result()
        return out

    def file(self, path: str) -> BinaryIO:
        """One file, to be read from anywhere; every read is verified. Raises NotFound."""
        return cast("BinaryIO", _File(self, self._file(path)))

    # -- how -------------------------------------------------------------------------------------------------------

    def _tensor(self, name: str) -> Tensor:
        tensor = self.tensors.get(name)
        if tensor is None:
            raise NotFound(f"{self.manifest.name!r} has no tensor {name!r}", name=name)
        return tensor

    def _file(self, path: str) -> FileEntry:
        file = self.manifest.file(path)
        if file is None:
            raise NotFound(f"{self.manifest.key} lists no file {path!r}", path=path)
        return file

    def _tensors(self, file: FileEntry) -> list[Tensor]:
        return tensors(self.file(file.path), file.size, file.path)

    def _weight_map(self) -> dict[str, str]:
        if self.manifest.file(INDEX) is None:
            return {}
        try:
            table = json.loads(self.read_bytes(INDEX))["weight_map"]
            return {str(name): str(path) for name, path in table.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadTensorFile(f"{INDEX}: it maps no tensors to files", path=INDEX, reason=str(error)) from error

    def _begin(self, fetcher: Fetcher, tensor: Tensor, out: Array | None) -> tuple[Array, list[Future[None]]]:
        """The array, and what fills it."""
        if out is None:
            room = _room(tensor.length)
        elif out.nbytes == tensor.length and out.flags.c_contiguous and out.flags.writeable:
            room = _bytes(out)
        else:
            raise InputError(f"{tensor.name!r} needs {tensor.length} bytes of contiguous, writable memory")
        futures = self._fetch(fetcher, self._file(tensor.path), tensor.offset, room.data)
        return _view(room, tensor) if out is None else out, futures

    def _fetch(self, fetcher: Fetcher, file: FileEntry, offset: int, out: memoryview) -> list[Future[None]]:
        """Have `out` filled with the file's bytes from `offset` on. Tensors begin where segments do, as a rule."""
        return [
            fetcher.fetch(source, split(out[at : at + length], source.segments))
            if isinstance(source, Run)
            else fetcher.part(*source, out[at : at + length])
            for at, length, source in self._parts(fetcher, file, offset, len(out))
        ]

    def _parts(
        self, fetcher: Fetcher, file: FileEntry, offset: int, size: int
    ) -> Iterator[tuple[int, int, Run | tuple[Segment, int]]]:
        """What `size` bytes of a file consist of: where in them, how many, and the run or the segment and where in it.

        The last ones are the ends that are no whole segment.
        """
        if not size:
            return
        if file.path not in self._starts:
            self._starts[file.path] = [0, *accumulate(length for _, length in file.segments)]
        starts, end = self._starts[file.path], offset + size
        first, after = bisect_right(starts, offset) - 1, bisect_right(starts, end - 1)
        whole_first = first + (starts[first] < offset)
        whole_after = after - (starts[after] > end)
        if whole_first < whole_after:
            at = starts[whole_first] - offset
            for run in fetcher.runs(file.segments[whole_first:whole_after]):
                yield at, run.length, run
                at += run.length
        for number in sorted({first, after - 1} - set(range(whole_first, whole_after))):
            begin = max(offset, starts[number])
            length = min(end, starts[number + 1]) - begin
            yield begin - offset, length, (file.segments[number], begin - starts[number])


class _File(io.RawIOBase):
    """A file of the resident, to be read from anywhere: for its header. Not read ahead: what follows may be damaged."""

    def __init__(self, resident: OpenResident, file: FileEntry) -> None:
        self._resident = resident
        self._size, self._path, self._at = file.size, file.path, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, out: Any) -> int:
        found = self._resident.read_bytes(self._path, self._at, min(len(out), max(0, self._size - self._at)))
        out[: len(found)] = found
        self._at += len(found)
        return len(found)


def _room(length: int) -> npt.NDArray[np.uint8]:
    """Fresh memory; much of it begins on a large page, which the allocator's does not."""
    return np.frombuffer(pages(length), np.uint8) if length >= LARGE else np.empty(length, np.uint8)


def _finished(waiting: tuple[str, Array, Sequence[Future[None]]]) -> tuple[str, Array]:
    for future in waiting[2]:
        future.result()
    return waiting[0], waiting[1]


def _bytes(array: Array) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _view(room: npt.NDArray[np.uint8], tensor: Tensor) -> Array:
    """The bytes as what they are, or as bytes where NumPy has no such type or the shape does not fill them."""
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None or prod(tensor.shape) * BITS[tensor.dtype] != 8 * tensor.length:
        return room
    return room.view(dtype).reshape(tensor.shape)
