"""An object store behind a bad connection: lost answers, torn uploads, cut downloads, busy and silent servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_bucket import Bucket

from emeritus.blobs.objects import ObjectStore
from emeritus.errors import EmeritusError, StoreUnavailable
from emeritus.testing.blob_contract import BlobContract
from emeritus.testing.faulty_proxy import Fault, FaultyProxy, Request, at, every
from emeritus.testing.s3 import S3Server

STALLED_S = 0.3  # how long the client waits for a silent server here
PASSING: tuple[Fault, ...] = ("lost", "torn", "cut", "busy", "refused")


@pytest.fixture
def proxy(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The environment points at a proxy before the server; without a plan it passes everything."""
    proxy = FaultyProxy(s3_environment.host, s3_environment.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def back_door(s3_environment: S3Server) -> Bucket:
    """A new bucket, by plain HTTP."""
    return Bucket(s3_environment, s3_environment.bucket(), "some/prefix/")


@pytest.fixture
def store(back_door: Bucket, proxy: FaultyProxy) -> ObjectStore:
    """A store in that bucket, through the proxy."""
    return ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}", timeout_s=STALLED_S)


class TestBadConnection(BlobContract):
    """Every fourth request suffers one of five faults, and the store does all a store must all the same."""

    answers_get_lost = True

    @pytest.fixture
    def store(self, back_door: Bucket, proxy: FaultyProxy) -> Iterator[ObjectStore]:
        """Patient, behind a connection that fails every fourth time."""
        proxy.plan = every(4, PASSING)
        yield ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}")
        assert len(proxy.faults) == len(proxy.requests) // 4


@pytest.mark.parametrize("fault", ["lost", "torn", "cut", "busy", "stall", "refused"])
def test_one_fault_is_got_over(store: ObjectStore, proxy: FaultyProxy, back_door: Bucket, fault: Fault) -> None:
    """Each call finds its first request failed, goes on, and says what is true: its own write is its own."""
    data = bytes(range(256)) * 400

    def failing() -> None:
        proxy.plan = at({len(proxy.requests) + 1: fault})

    failing()
    store.put("a", data)
    assert back_door.read("a") == data
    failing()
    assert store.put_if_absent("b", data)
    assert back_door.read("b") == data
    failing()
    assert not store.put_if_absent("b", b"another's")
    version = store.version("b")
    failing()
    swapped = store.put_if_match("b", data[1:], version)
    assert swapped == store.version("b") != version
    assert back_door.read("b") == data[1:]
    failing()
    assert store.put_if_match("b", b"late", version) is None
    for read in (lambda: store.get("a") == data, lambda: store.get("a", 7, 1000) == data[7:1007]):
        failing()
        assert read()
    failing()
    assert store.size("a") == len(data)
    failing()
    assert list(store.list()) == ["a", "b"]
    failing()
    store.delete("a")
    assert back_door.everything() == ["b"]
    assert [kind for _, kind in proxy.faults] == [fault] * 10


def test_a_wrong_tag_never_lets_a_swap_win(store: ObjectStore, proxy: FaultyProxy, back_door: Bucket) -> None:
    """An answer with another's ETag: a swap by it is refused and changes nothing; who looks again can swap."""
    proxy.plan = at({1: "etag"})
    wrong = store.put_if_match("k", b"1", None)
    assert wrong is not None
    assert store.put_if_match("k", b"2", wrong) is None
    assert back_door.read("k") == b"1"
    assert store.put_if_match("k", b"2", store.version("k")) is not None
    assert back_door.read("k") == b"2"


@pytest.mark.parametrize("fault", ["torn", "busy", "stall", "refused"])
def test_a_dead_connection_is_one_clear_error(
    proxy: FaultyProxy, back_door: Bucket, tmp_path: Path, fault: Fault
) -> None:
    """Where every request fails, each call says that the store cannot be reached, and nothing becomes visible."""
    store = ObjectStore(f"s3://{back_door.bucket}/p", retries=0, retry_s=0.5, timeout_s=0.1)
    back_door.write("before", b"")
    proxy.plan = lambda request: fault
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    calls: list[Callable[[], object]] = [
        lambda: store.put("k", bytes(1000)),
        lambda: store.put_if_absent("k", bytes(1000)),
        lambda: store.put_if_match("k", bytes(1000), None),
        lambda: store.put_file("k", path),
        lambda: store.get("before"),
        lambda: store.size("before"),
        lambda: store.version("before"),
        lambda: list(store.list()),
        lambda: store.delete("before"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    assert back_door.everything() == ["before"]


def test_a_lost_download_is_never_short(proxy: FaultyProxy, back_door: Bucket) -> None:
    """Where every answer is cut, a read raises; it never gives the half it got."""
    store = ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}", retries=1, retry_s=1)
    back_door.write("k", bytes(range(256)) * 100)
    proxy.plan = lambda request: "cut"
    for call in (lambda: store.get("k"), lambda: store.get("k", 10, 20_000)):
        with pytest.raises(EmeritusError):
            call()


@pytest.mark.parametrize("fault", ["torn", "refused"])
def test_an_upload_in_parts_that_is_interrupted(
    proxy: FaultyProxy, back_door: Bucket, tmp_path: Path, fault: Fault
) -> None:
    """Parts fail until the call gives up: nothing is visible, nothing is left behind, and the next call succeeds."""
    store = ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}", retries=1, retry_s=1)
    path = tmp_path / "large"
    data = bytes(range(256)) * 4096 * 12
    path.write_bytes(data)
    proxy.plan = lambda request: fault if "partNumber=2" in request.path else None
    with pytest.raises(StoreUnavailable):
        store.put_file("k", path)
    assert any("partNumber=2" in request.path for request, _ in proxy.faults)
    assert back_door.everything() == []
    assert back_door.unfinished() == []
    proxy.plan = at({len(proxy.requests) + 3: "lost"})
    store.put_file("k", path)
    assert back_door.read("k") == data


def test_a_swap_whose_answer_is_lost_and_that_another_follows(
    store: ObjectStore, proxy: FaultyProxy, back_door: Bucket
) -> None:
    """Ours was stored, another replaced it before we could look: never "refused", but that nobody can tell."""
    other = ObjectStore(f"s3://{back_door.bucket}/{back_door.prefix}")
    first = store.put_if_match("k", b"1", None)
    begun = len(proxy.requests)

    def plan(request: Request) -> Fault | None:
        if request.number == begun + 1:
            return "lost"
        if request.number == begun + 2:  # before we look again
            back_door.write("k", b"another's")
        return None

    proxy.plan = plan
    with pytest.raises(StoreUnavailable, match="cannot be told"):
        store.put_if_match("k", b"2", first)
    proxy.plan = lambda request: None
    version = store.version("k")
    assert other.put_if_match("k", b"3", version) is not None
    proxy.plan = at({len(proxy.requests) + 1: "busy", len(proxy.requests) + 2: "refused"})
    assert store.put_if_match("k", b"4", version) is None  # the one there says that it replaced that very version
    assert back_door.read("k") == b"3"
