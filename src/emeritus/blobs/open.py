"""From an address to its store. The table is the whole registry: a new backend is a line in it and a module beside."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emeritus.blobs.base import BlobStore
from emeritus.errors import BadSettings

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def _local(url: str) -> BlobStore:
    from emeritus.blobs.local import LocalStore

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise BadSettings(f"{url!r} is not a local folder: write file:///folder, with three slashes")
    return LocalStore(Path(unquote(parts.path)))


def _objects(url: str) -> BlobStore:
    from emeritus.blobs.objects import ObjectStore

    return ObjectStore(url)


SCHEMES: dict[str, Callable[[str], BlobStore]] = {"file": _local, "s3": _objects, "gs": _objects, "az": _objects}


def open_store(url_or_path: str | Path) -> BlobStore:
    """The store at a folder or an address. Opening reads and writes nothing.

    Raises BadSettings for an unknown scheme, ExtraMissing when the scheme's client is not installed.
    """
    match = _SCHEME.match(str(url_or_path))
    if isinstance(url_or_path, Path) or match is None:
        from emeritus.blobs.local import LocalStore

        return LocalStore(Path(url_or_path).expanduser())
    try:
        backend = SCHEMES[match[1].lower()]
    except KeyError:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise BadSettings(f"no store is known for {match[0]!r}; known: a folder, {known}", scheme=match[1]) from None
    return backend(str(url_or_path))
