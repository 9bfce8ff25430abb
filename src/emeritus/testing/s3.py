"""A real S3-protocol server on loopback (moto). Needs the extra `dev`; faulty_proxy.py is a bad connection to it."""

from __future__ import annotations

import http.client
import itertools

BUCKETS = itertools.count(1)
_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


class S3Server:
    """moto's server. It checks no secrets; it does check conditions."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.host, self.port = self._server.get_host_and_port()
        self.endpoint = f"http://{self.host}:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One plain request, without our client."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Authorization": _AUTHORIZATION})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {data[:200]!r}")
        return data

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(BUCKETS)}"
        self.request("PUT", f"/{name}")
        return name

    def stop(self) -> None:
        """End the server."""
        self._server.stop()
