"""An OCFL 1.1 storage root with one object of one version; sources may be a root or an object, of 1.0 or 1.1.

Digests are sha256, which OCFL allows and the vault knows already. Reading checks the head: its inventory, and that all
content is there and listed; it is no validator of older versions' inventories.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emeritus.errors import InputError, IntegrityError, UnknownFormat
from emeritus.vault.exchange.content import (
    DIGESTS,
    Found,
    Item,
    Label,
    check_digest,
    check_path,
    files_below,
    require_same,
)

ROOT = "0=ocfl_1.1"
OBJECT = "0=ocfl_object_1.1"
_ROOT = re.compile(r"0=ocfl_1\.[01]")
_OBJECT = re.compile(r"0=ocfl_object_1\.[01]")
_VERSION = re.compile(r"v0*[1-9][0-9]*")


def content_below(label: Label) -> str:
    """Where the files lie below the root."""
    return f"{label.name}/v1/content"


def finish(folder: Path, items: Sequence[Item], label: Label) -> None:
    """Write what makes the folder a storage root, and what lies in it an object."""
    whole = folder / label.name
    (folder / ROOT).write_text("ocfl_1.1\n")
    (whole / OBJECT).write_text("ocfl_object_1.1\n")
    digests: dict[str, list[str]] = {}
    for item in items:
        digests.setdefault(item.sha256, []).append(item.path)
    inventory = {
        "id": f"emeritus:{label.name}",
        "type": "https://ocfl.io/1.1/spec/#inventory",
        "digestAlgorithm": "sha256",
        "head": "v1",
        "manifest": {digest: [f"v1/content/{path}" for path in paths] for digest, paths in digests.items()},
        "versions": {
            "v1": {
                "created": label.at,
                "message": "Exported from a vault of Emeritus",
                "user": {"name": label.organisation, "address": f"emeritus:{label.name}"},
                "state": digests,
            }
        },
    }
    data = json.dumps(inventory, indent=1, ensure_ascii=False).encode()
    for place in (whole, whole / "v1"):
        (place / "inventory.json").write_bytes(data)
        (place / "inventory.json.sha256").write_text(f"{hashlib.sha256(data).hexdigest()} inventory.json\n")


def is_one(source: Path) -> bool:
    """Whether the folder says that it is a storage root or an object."""
    return any(_ROOT.fullmatch(each.name) or _OBJECT.fullmatch(each.name) for each in source.iterdir())


def read(source: Path) -> list[Found]:
    """The head version's files, complete, with the digests stated for them; none is read yet.

    Raises IntegrityError, UnknownFormat, and InputError for a root that holds no object or several.
    """
    whole = _object(source)
    inventory, algorithm = _inventory(whole)
    try:
        head = str(inventory["head"])
        stated = {
            str(path): check_digest(str(digest), algorithm, "inventory.json")
            for digest, paths in inventory["manifest"].items()
            for path in paths
        }
        content = {digest: path for path, digest in stated.items()}
        state = inventory["versions"][head]["state"]
        logical = [(str(path), str(digest).lower()) for digest, paths in state.items() for path in paths]
        content_folder = check_path(str(inventory.get("contentDirectory", "content")), "inventory.json")
        if not _VERSION.fullmatch(head) or "/" in content_folder:
            raise KeyError("a head and a content folder that are names")
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{whole}/inventory.json lacks what an inventory has: {error!r}") from error
    for path in stated:
        check_path(path, "inventory.json")
    versions = [each.name for each in whole.iterdir() if each.is_dir() and _VERSION.fullmatch(each.name)]
    held = {
        f"{version}/{content_folder}/{path}"
        for version in versions
        if (whole / version / content_folder).is_dir()
        for path in files_below(whole / version / content_folder)
    }
    require_same(set(stated), held, "the inventory")
    found = []
    for path, digest in sorted(logical):
        if digest not in content:
            raise IntegrityError(f"inventory.json places no content for {path!r}", path=path)
        found.append(Found(check_path(path, "inventory.json"), whole / content[digest], ((algorithm, digest),)))
    return found


def _object(source: Path) -> Path:
    if any(_OBJECT.fullmatch(each.name) for each in source.iterdir()):
        return source
    found = sorted({path.parent for path in source.rglob("0=ocfl_object_1.*") if _OBJECT.fullmatch(path.name)})
    if len(found) != 1:
        names = ", ".join(str(each.relative_to(source)) for each in found[:10]) or "none"
        raise InputError(
            f"{source} holds {len(found)} objects, not one: {names}",
            remedy="Give the folder of the object that is meant.",
        )
    return found[0]


def _inventory(whole: Path) -> tuple[dict[str, Any], str]:
    """The object's inventory, its own digest checked; and its algorithm."""
    try:
        data = (whole / "inventory.json").read_bytes()
        inventory = json.loads(data)
        algorithm = str(inventory["digestAlgorithm"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{whole}/inventory.json cannot be read: {error}") from error
    if algorithm not in DIGESTS:
        raise UnknownFormat(f"{whole} states digests of {algorithm!r}; known: {', '.join(DIGESTS)}")
    for place in (whole, whole / str(inventory.get("head"))):
        side = place / f"inventory.json.{algorithm}"
        try:
            words = side.read_text(encoding="utf-8", errors="replace").split()
            same = (place / "inventory.json").read_bytes() == data
        except (OSError, ValueError):  # not there, or what the inventory calls its head can be no folder
            words, same = [], False
        if not same or words[:1] != [hashlib.new(algorithm, data).hexdigest()]:
            raise IntegrityError(f"{side} does not hold the digest of the object's inventory")
    return inventory, algorithm
