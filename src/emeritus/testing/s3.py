"""A real S3-protocol server on loopback (moto), and a proxy before it that can lose answers. Needs the extra `dev`."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading

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


class LosingProxy:
    """Passes each connection's request on; while `lose` is above zero it drops the answer to a PUT."""

    def __init__(self, host: str, port: int) -> None:
        self.lose = 0
        self.lost = 0
        self._target = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request per connection: read it whole, pass it on, answer or lose the answer."""
        with client, client.makefile("rb") as reader:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = reader.readline()
                if not line:
                    return
                head += line
            lines = head.split(b"\r\n")
            lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
            body = reader.read(lengths[0]) if lengths else b""
            kept = [line for line in lines if not line.lower().startswith(b"connection:")]
            kept.insert(1, b"Connection: close")
            with socket.create_connection(self._target) as server:
                server.sendall(b"\r\n".join(kept) + body)
                answer = b""
                while piece := server.recv(65536):
                    answer += piece
            if self.lose and head.startswith(b"PUT"):
                self.lose -= 1
                self.lost += 1
                return
            client.sendall(answer)
