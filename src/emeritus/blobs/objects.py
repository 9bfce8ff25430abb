"""S3, Google Cloud Storage and Azure as one store, through obstore. The only module that knows such a client.

Credentials, region and endpoint come from each vendor's usual environment variables (AWS_ACCESS_KEY_ID, AWS_REGION,
AWS_ENDPOINT_URL, ...; AWS_ALLOW_HTTP=true for a server without TLS), so that an address never holds a secret.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from emeritus.blobs.keys import check_key
from emeritus.blobs.staged import StagedBytes
from emeritus.errors import ExtraMissing, IntegrityError, NotFound, StoreError, StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from obstore import UpdateVersion

T = TypeVar("T")
WRITER = "emeritus-writer"  # metadata naming one call and the version it replaced, to tell a lost answer by
ATTEMPTS = 4
_ALLOW_HTTP = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP")
# obstore gives servers' refusals as one exception with the response in its text; 507 and these S3 codes mean "full".
_FULL = re.compile(r"\b507 Insufficient Storage\b|<Code>(XMinioStorageFull|QuotaExceeded|InsufficientCapacity)</Code>")


class ObjectStore:
    """BlobStore at s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.

    obstore retries requests that fail, but not answers that break off, nor what it does by POST: that is done here, up
    to ATTEMPTS times within `retry_s`. Conditional puts are retried here alone: a retry of one that had succeeded is
    refused by the server, and only the writer's mark in the object's metadata tells that from a lost race.
    """

    readers = 8

    def __init__(self, url: str, *, retries: int = 5, retry_s: float = 60.0, timeout_s: float = 300.0) -> None:
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            raise ExtraMissing(
                f"{url} needs the extra 's3'", remedy="Install it: pip install 'emeritus[s3]'.", extra="s3"
            ) from error
        self.url = url
        self._api = obstore
        self._attempts, self._retry_s = min(ATTEMPTS, 1 + retries), retry_s
        with self._reporting("the address"):
            self._store, self._once = (
                from_url(
                    url,
                    client_options={
                        "timeout": timedelta(seconds=timeout_s),
                        "connect_timeout": timedelta(seconds=5),
                        "allow_http": any(os.environ.get(name, "").lower() == "true" for name in _ALLOW_HTTP),
                    },
                    retry_config={"max_retries": count, "retry_timeout": timedelta(seconds=retry_s)},
                )
                for count in (retries, 0)
            )

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Store `data` under `key`, replacing what is there."""
        self._put(key, data)

    def put_if_absent(self, key: str, data: bytes | memoryview) -> bool:
        """Store `data` unless `key` exists; False when it does."""
        return self._put_conditionally(key, data, None) is not None

    def put_if_match(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        """Replace `key` only while its version is `version` (None: only while absent); the new version, or None."""
        return self._put_conditionally(key, data, version)

    def stage(self) -> StagedBytes:
        """Begin an object that is gathered in memory: its key, and so its place, is known at its end."""
        return StagedBytes(self)

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes, in parts when it is large; the file stays."""
        self._put(key, path)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of `key`, or `length` of them from `start`."""
        check_key(key)
        if start == 0 and length is None:
            return self._again(key, lambda: bytes(self._api.get(self._store, key).bytes()))
        if start < 0 or not length or length < 0:  # the client knows no empty ranges, none to the end
            return self._get_checked(key, start, length)
        from obstore.exceptions import GenericError

        try:
            with self._reporting(key, passing=(GenericError,)):
                found = bytes(self._api.get_range(self._store, key, start=start, length=length))
        except GenericError:  # perhaps a range beyond the end, which has no exception of its own
            return self._get_checked(key, start, length)
        if len(found) != length:
            raise _beyond(key, start, length)
        return found

    def read_into(self, key: str, start: int, out: memoryview) -> None:
        """Fill `out` with the bytes of `key` from `start` on."""
        out[:] = self.get(key, start, len(out))

    def prefetch(self, key: str, start: int, length: int) -> None:
        """Nothing: what would be fetched would have nowhere to wait."""

    def _get_checked(self, key: str, start: int, length: int | None) -> bytes:
        size = self.size(key)
        if size is None:
            raise NotFound(f"no object {key!r} in {self.url}", key=key)
        wanted = size - start if length is None else length
        if start < 0 or wanted < 0 or start + wanted > size:
            raise _beyond(key, start, wanted)
        if wanted == 0:
            return b""
        return self._again(key, lambda: bytes(self._api.get_range(self._store, key, start=start, length=wanted)))

    def version(self, key: str) -> str | None:
        """The store's entity tag and, where it has one, generation; None when there is no such object."""
        check_key(key)
        try:
            meta = self._again(key, lambda: self._api.head(self._store, key))
        except NotFound:
            return None
        return _mark(meta["e_tag"], meta["version"])

    def size(self, key: str) -> int | None:
        """Length in bytes; None when `key` does not exist."""
        check_key(key)
        try:
            return int(self._again(key, lambda: self._api.head(self._store, key))["size"])
        except NotFound:
            return None

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with `prefix`, sorted."""
        folder = prefix.rpartition("/")[0]  # the client lists whole path segments only
        keys = self._again(
            prefix or "the list",
            lambda: [str(meta["path"]) for page in self._api.list(self._store, folder or None) for meta in page],
        )
        yield from sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove `key`; no error when it is gone already."""
        check_key(key)
        with contextlib.suppress(NotFound):
            self._again(key, lambda: self._api.delete(self._store, key))

    # -- how -------------------------------------------------------------------------------------------------------

    def _again(self, key: str, call: Callable[[], T]) -> T:
        """What `call` gives, which may be done twice, tried anew where the connection failed it."""
        from obstore.exceptions import GenericError

        end = time.monotonic() + self._retry_s
        for attempt in itertools.count(1):
            try:
                with self._reporting(key, passing=(GenericError,)):
                    return call()
            except GenericError as error:
                if attempt >= self._attempts or time.monotonic() > end:
                    raise _translated(error, key, self.url) from error
            time.sleep(0.05 * 2**attempt)
        raise StoreUnavailable(f"{self.url} did not answer for {key}")

    def _put(self, key: str, what: bytes | memoryview | Path) -> None:
        check_key(key)
        with self._reporting(key, writing=True):
            self._api.put(self._store, key, what)

    def _put_conditionally(self, key: str, data: bytes | memoryview, version: str | None) -> str | None:
        check_key(key)
        from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError

        token, after = secrets.token_hex(16), _digest(version)
        mode: Literal["create"] | UpdateVersion = "create" if version is None else _condition(version)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._reporting(key, writing=True, passing=(AlreadyExistsError, PreconditionError, GenericError)):
                    done = self._api.put(self._once, key, data, attributes={WRITER: token + after}, mode=mode)
                return _mark(done["e_tag"], done["version"])
            except (AlreadyExistsError, PreconditionError) as error:
                mine, told = self._mine(key, token, after)
                if mine is None and not told and attempt > 1:  # an answer before this one was lost
                    raise _untold(key, self.url) from error
                return mine
            except GenericError as error:
                failure = _translated(error, key, self.url)
                if isinstance(failure, StoreFull) or attempt == ATTEMPTS:
                    raise failure from error
                mine, _ = self._mine(key, token, after)
                if mine is not None:
                    return mine
                time.sleep(0.1 * 2**attempt)
        raise StoreUnavailable(f"{self.url} did not take {key}")

    def _mine(self, key: str, token: str, after: str) -> tuple[str | None, bool]:
        """The object's version if this very call wrote it, else None; and whether that is sure.

        It is when the one that is there says it replaced the very version this call was to replace: then nothing came
        between. Where it is gone, or another followed, this call's own bytes may have lain there for a while.
        """
        try:
            found = self._again(key, lambda: self._api.get(self._store, key, options={"head": True}))
        except NotFound:
            return None, False
        writer = found.attributes.get(WRITER) or ""
        if not writer.startswith(token):
            return None, writer[len(token) :] == after
        return _mark(found.meta["e_tag"], found.meta["version"]), True

    @contextlib.contextmanager
    def _reporting(
        self, key: str, *, writing: bool = False, passing: tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        from obstore.exceptions import BaseError, NotFoundError

        try:
            yield
        except passing:
            raise
        except (NotFoundError, FileNotFoundError) as error:
            if writing:  # a put finds nothing missing but the bucket itself
                raise StoreUnavailable(
                    f"{self.url} does not exist", remedy="Make the bucket, or correct its name."
                ) from error
            raise NotFound(f"no object {key!r} in {self.url}", key=key) from error
        except (BaseError, PermissionError, ValueError, OSError) as error:
            raise _translated(error, key, self.url) from error


def _mark(e_tag: str | None, version: str | None) -> str:
    """A store's two version fields as one comparable string. S3 says "null" for an object in an unversioned bucket."""
    return json.dumps([e_tag, None if version == "null" else version])


def _digest(version: str | None) -> str:
    """32 hex digits for a version, or for none."""
    return hashlib.sha256((version or "").encode()).hexdigest()[:32]


def _untold(key: str, url: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{url} did not answer for {key}, which was changed since: whether this write came first cannot be told",
        remedy="Look at what is there now, and run the command again: nothing was written over.",
    )


def _beyond(key: str, start: int, length: int) -> IntegrityError:
    return IntegrityError(
        f"{key} does not hold {length} bytes from offset {start}", key=key, start=start, length=length
    )


def _condition(mark: str) -> UpdateVersion:
    e_tag, version = json.loads(mark)
    return {"e_tag": e_tag} if version is None else {"e_tag": e_tag, "version": version}


def _translated(error: Exception, key: str, url: str) -> StoreError:
    text = str(error)
    if _FULL.search(text):
        return StoreFull(f"{url} has no room for {key}")
    return StoreUnavailable(
        f"cannot reach {key} in {url}: {text.splitlines()[0][:300] if text else type(error).__name__}"
    )
