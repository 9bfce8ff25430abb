"""The S3 server of this folder's tests, one for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emeritus.testing.s3 import S3Server

pytest.register_assert_rewrite("emeritus.testing.blob_contract")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server; ended with the session."""
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The usual environment variables, pointing at the server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    return s3_server
