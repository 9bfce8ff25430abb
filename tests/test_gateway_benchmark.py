"""The gateway benchmark's callers: where an answer ends is found whatever else its head says; failures are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from benchmarks import access_gateway
from benchmarks.access_traffic import FEW, MANY, Callers, Traffic, backend, request

HEAD = b"HTTP/1.1 200 OK\r\nllm_provider-content-length: 99999\r\n"


@pytest.fixture(scope="module")
def callers() -> Iterator[Callers]:
    """A process of callers."""
    made = Callers()
    yield made
    made.close()


@contextmanager
def served(answer: bytes, *, closes: bool = False) -> Iterator[int]:
    """A server of one connection that gives this answer to every request; yields its port."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(65536):
                connection.sendall(answer)
                if closes:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(5)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 9\r\n\r\nword word",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nword\r\n5\r\n word\r\n0\r\n\r\n",
    ],
    ids=["whole", "chunked"],
)
def test_an_answer_ends_where_its_own_head_says(callers: Callers, answer: bytes) -> None:
    """A backend's length that a proxy passes on under a longer name is not taken for the answer's."""
    with served(answer) as port:
        found = callers.run(Traffic(port, request("/", "key", stream=False, port=port), 1, 0.1, 2))
    assert len(found["times"]) > 1
    assert found["words"] == 2 * len(found["times"])


def test_an_error_within_a_stream_is_told_by_its_side(callers: Callers) -> None:
    """Too few words, however good the status: the side, the traffic and the stream's last event are in the reason."""
    answer = HEAD + b'Transfer-Encoding: chunked\r\n\r\n4\r\nword\r\n10\r\n{"error": "late"}\r\n0\r\n\r\n'
    with served(answer) as port, pytest.raises(RuntimeError, match=r"peer, alone: .*late"):
        access_gateway._rounds({"peer": (port, "key")}, callers, 1, 0.1)


def test_a_peer_that_fails_leaves_the_metrics_missing_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that hangs up is no traceback: each of the three figures says so and is not met."""
    with served(b"HTTP/1.1 200 OK\r\n", closes=True) as port:

        @contextmanager
        def peer(_behind: int) -> Iterator[tuple[int, str]]:
            yield port, "key"

        @contextmanager
        def ours(behind: int) -> Iterator[tuple[int, str]]:
            yield behind, "key"

        monkeypatch.setattr(access_gateway, "_ours", ours)
        monkeypatch.setattr(access_gateway, "_litellm", peer)
        found = access_gateway.measure(access_gateway.Options(scale=0.01))
    assert [each.name for each in found] == list(access_gateway.NAMES)
    assert all("litellm, alone: " in each.beside["missing"] and "closed" in each.beside["missing"] for each in found)
    assert not any(each.met for each in found)


def test_no_two_words_of_a_stream_in_a_row_are_the_same(callers: Callers) -> None:
    """The backend's own answers have the words asked for; LiteLLM ends a stream that repeats itself."""
    with backend() as port:
        for stream, words in ((False, FEW), (True, MANY)):
            asked = request("/v1/chat/completions", "key", stream=stream, port=port)
            assert callers.run(Traffic(port, asked, 1, 0.1, words))["times"]
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request("/v1/chat/completions", "key", stream=True, port=port))
            read = b""
            while b"[DONE]" not in read:
                read += connection.recv(65536)
    said = [line for line in read.split(b"\n") if b'"content": "word' in line]
    assert len(said) == MANY
    assert all(one != other for one, other in pairwise(said))
