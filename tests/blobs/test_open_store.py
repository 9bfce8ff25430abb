"""From an address to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from emeritus.blobs.local import LocalStore
from emeritus.blobs.objects import ObjectStore
from emeritus.blobs.open import SCHEMES, open_store
from emeritus.errors import BadSettings


def test_folders(tmp_path: Path) -> None:
    """A path, its text and its file:// address are the same local store, and opening makes nothing."""
    folder = tmp_path / "a b"
    for address in (folder, str(folder), f"file://{tmp_path}/a%20b"):
        store = open_store(address)
        assert isinstance(store, LocalStore)
        assert store.root == folder
    assert not folder.exists()


@pytest.mark.parametrize("url", ["s3://bucket/p", "gs://bucket/p", "az://container/p"])
def test_object_stores(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each vendor's scheme opens without a request."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    store = open_store(url)
    assert isinstance(store, ObjectStore)
    assert store.url == url


def test_unknown_scheme_lists_the_known() -> None:
    """The error names every scheme there is."""
    with pytest.raises(BadSettings) as caught:
        open_store("ftp://host/p")
    assert all(f"{scheme}://" in caught.value.message for scheme in SCHEMES)


@pytest.mark.parametrize("url", ["file://host/p", "file://"])
def test_file_address_of_another_host(url: str) -> None:
    """A file address that names a host, or nothing, is refused."""
    with pytest.raises(BadSettings):
        open_store(url)
