"""The manifests of a vault: which there are, which is the newest, and writing one where none is. Knows no segments."""

from __future__ import annotations

from emeritus.blobs.base import BlobStore
from emeritus.errors import IntegrityError, NotFound
from emeritus.vault.manifest import Manifest, check_name, check_role, manifest_key, parse_key


class Shelf:
    """The manifests in a store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def all_keys(self, name: str | None = None) -> list[str]:
        """The keys of all manifests, or of one resident's, by name, role and version."""
        prefix = "manifests/" if name is None else f"manifests/{check_name(name)}/"
        return sorted((key for key in self._store.list(prefix) if parse_key(key)), key=lambda key: parse_key(key) or ())

    def versions(self, name: str, role: str) -> list[int]:
        """The versions there are, oldest first."""
        check_role(role)
        found = [parsed for key in self.all_keys(name) if (parsed := parse_key(key))]
        return [version for _, its_role, version in found if its_role == role]

    def read(self, key: str) -> Manifest:
        """The manifest at `key`. Raises NotFound, IntegrityError (also when it lies under another's key)."""
        manifest = Manifest.from_bytes(self._store.get(key), key)
        if manifest.key != key:
            raise IntegrityError(f"{key} holds the manifest of {manifest.key}", key=key)
        return manifest

    def newest(self, name: str, role: str) -> Manifest | None:
        """The manifest of the highest version, or None."""
        versions = self.versions(name, role)
        return self.read(manifest_key(name, role, versions[-1])) if versions else None

    def get(self, name: str, role: str, version: int | None = None) -> Manifest:
        """A manifest, the newest when no version is named. Raises NotFound, naming what there is."""
        versions = self.versions(name, role)
        if not versions or (version is not None and version not in versions):
            which = "" if version is None else f" version {version}"
            raise NotFound(f"the vault holds no {role}{which} of {name!r}", name=name, role=role, versions=versions)
        return self.read(manifest_key(name, role, versions[-1] if version is None else version))

    def add(self, manifest: Manifest) -> bool:
        """Make a manifest visible; False when its key is taken."""
        return self._store.put_if_match(manifest.key, manifest.to_bytes(), None) is not None
