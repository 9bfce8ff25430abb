"""A vault in a real S3-protocol server behind a bad connection: every byte, or one error and nothing half-made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_models import contents, make_model

from emeritus.blobs.objects import ObjectStore
from emeritus.errors import StoreUnavailable
from emeritus.testing.faulty_proxy import FaultyProxy, every
from emeritus.testing.s3 import S3Server
from emeritus.vault.vault import Vault

STEPS = 4  # how many places of a preservation the connection dies at


@pytest.fixture
def proxy(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The environment points at a proxy before the server."""
    proxy = FaultyProxy(s3_server.host, s3_server.port)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT_URL": proxy.endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.close()


def test_every_byte_through_a_bad_connection(
    proxy: FaultyProxy, s3_server: S3Server, tmp_path: Path, small_packs: None
) -> None:
    """Preserve, verify and restore while each third request fails in one of five ways: what went in comes out."""
    model = make_model(tmp_path / "model", count=8000)
    proxy.plan = every(3, ("lost", "torn", "cut", "busy", "refused"))
    vault = Vault.create(ObjectStore(f"s3://{s3_server.bucket()}/vault"))
    manifest = vault.preserve(model, "wren")
    assert vault.verify().ok
    vault.restore("wren", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(model)
    assert len({fault for _, fault in proxy.faults}) == 5
    assert vault.manifests() == [manifest]


def test_a_connection_that_dies_leaves_nothing_half_made(
    proxy: FaultyProxy, s3_server: S3Server, tmp_path: Path, small_packs: None
) -> None:
    """It dies at a request, its answer lost, and stays dead: one clear error; the next run completes."""
    model = make_model(tmp_path / "model", count=4000)
    Vault.create(ObjectStore(f"s3://{s3_server.bucket()}/vault")).preserve(model, "wren")
    needed = len(proxy.requests)
    refused = 0
    for place in range(1, needed, needed // STEPS):
        bucket = s3_server.bucket()
        start = len(proxy.requests)
        proxy.plan = lambda request, dies=start + place: (  # a default binds the loop's value
            None if request.number < dies else "lost" if request.number == dies else "refused"
        )
        with pytest.raises(StoreUnavailable):
            Vault.create(ObjectStore(f"s3://{bucket}/vault", retries=0, retry_s=0.1)).preserve(model, "wren")
        refused += 1
        proxy.plan = None
        store = ObjectStore(f"s3://{bucket}/vault")
        vault = Vault.create(store)
        listed = vault.manifests()
        assert all(vault.restore(each.name, tmp_path / f"early{place}") is not None for each in listed)
        vault.preserve(model, "wren")
        assert vault.verify().ok
        vault.restore("wren", tmp_path / f"out{place}")
        assert contents(tmp_path / f"out{place}") == contents(model)
    assert refused >= STEPS
