"""Object stores: the contract against a real S3-protocol server, lost answers, refusals."""

from __future__ import annotations

import re
import sys

import pytest

from emeritus.blobs.objects import ObjectStore, _translated
from emeritus.errors import ExtraMissing, NotFound, StoreFull, StoreUnavailable
from emeritus.testing.blob_contract import BlobContract
from emeritus.testing.s3 import LosingProxy, S3Server


class Bucket:
    """The back door of an S3 store: plain HTTP."""

    def __init__(self, server: S3Server, bucket: str, prefix: str) -> None:
        self.server, self.bucket, self.prefix = server, bucket, prefix

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        return self.server.request("GET", f"/{self.bucket}/{self.prefix}{key}")

    def write(self, key: str, data: bytes) -> None:
        """An object made by someone else."""
        self.server.request("PUT", f"/{self.bucket}/{self.prefix}{key}", data)

    def everything(self) -> list[str]:
        """Every key, the prefix taken off."""
        listing = self.server.request("GET", f"/{self.bucket}?list-type=2").decode()
        return sorted(key.removeprefix(self.prefix) for key in re.findall("<Key>(.*?)</Key>", listing))


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


def test_lost_answers_are_told_from_lost_races(losing_proxy: LosingProxy, s3_server: S3Server) -> None:
    """A put whose answer was lost reports the success it was; one that another had won reports that."""
    store = ObjectStore(f"s3://{s3_server.bucket()}/p")
    for number in range(3):
        losing_proxy.lose = 1
        assert store.put_if_absent(f"k{number}", b"mine")
    assert losing_proxy.lost == 3
    losing_proxy.lose = 1
    assert not store.put_if_absent("k0", b"mine")
    version = store.version("k0")
    losing_proxy.lose = 1
    swapped = store.put_if_match("k0", b"next", version)
    assert swapped is not None
    assert swapped == store.version("k0")
    losing_proxy.lose = 1
    assert store.put_if_match("k0", b"late", version) is None
    losing_proxy.lose = 1
    store.put("k0", b"plain")
    assert store.get("k0") == b"plain"
    assert losing_proxy.lose == 0


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
