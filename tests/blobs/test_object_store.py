"""Object stores: the contract against a real S3-protocol server, refusals. test_store_faults.py has bad connections."""

from __future__ import annotations

import sys

import pytest
from s3_bucket import Bucket

from emeritus.blobs.objects import ObjectStore, _translated
from emeritus.errors import ExtraMissing, NotFound, StoreFull, StoreUnavailable
from emeritus.testing.blob_contract import BlobContract
from emeritus.testing.s3 import S3Server


@pytest.fixture
def back_door(s3_environment: S3Server) -> Bucket:
    """A new bucket, by plain HTTP."""
    return Bucket(s3_environment, s3_environment.bucket(), "some/prefix/")


@pytest.fixture
def store(back_door: Bucket) -> ObjectStore:
    """A store in that bucket, below a prefix."""
    return ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}")


class TestObjectStore(BlobContract):
    """The S3 store does all a store must."""


def test_unreachable(monkeypatch: pytest.MonkeyPatch, s3_environment: S3Server) -> None:
    """A server that is not there is StoreUnavailable for every call, without a long wait."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store = ObjectStore("s3://bucket/p", retries=0, retry_s=1)
    for call in (
        lambda: store.put("k", b""),
        lambda: store.get("k"),
        lambda: store.size("k"),
        lambda: list(store.list()),
        lambda: store.delete("k"),
        lambda: store.put_if_absent("k", b""),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert "127.0.0.1:1" in caught.value.message or "s3://bucket/p" in caught.value.message


def test_missing_bucket(s3_environment: S3Server) -> None:
    """A put into a bucket that does not exist says so; a read finds nothing."""
    store = ObjectStore("s3://no-such-bucket/p")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        store.put("k", b"")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        store.put_if_absent("k", b"")
    with pytest.raises(NotFound):
        store.get("k")
    with pytest.raises(StoreUnavailable):
        list(store.list())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without obstore the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ExtraMissing, match="'s3'") as caught:
        ObjectStore("s3://bucket/p")
    assert "emeritus[s3]" in caught.value.remedy


def test_full_store_is_told_by_the_servers_code() -> None:
    """A 507, or S3's codes for no room, is StoreFull; anything else is StoreUnavailable."""
    full = Exception("Error performing PUT ... status code: 507 Insufficient Storage: <Code>XMinioStorageFull</Code>")
    assert type(_translated(full, "k", "s3://b")) is StoreFull
    assert type(_translated(Exception("error 500 of object 507"), "k", "s3://b")) is StoreUnavailable
