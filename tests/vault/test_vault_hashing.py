"""sha256 side by side: what hashlib gives, whatever the lengths and however they are divided."""

from __future__ import annotations

import hashlib
import random
import time
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.vault import hashing
from emeritus.vault.codec.kernel import kernel
from emeritus.vault.hashing import Hasher, Sha256, update_both
from emeritus.vault.workers import Workers


@pytest.fixture(params=["kernel", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel and without it."""
    if request.param == "hashlib":
        monkeypatch.setattr(hashing, "kernel", None)
    return str(request.param)


def test_every_length_up_to_three_blocks(way: str) -> None:
    """Each length by itself, and beside one of another length, as hashlib has it; a stream can go on after a digest."""
    data = random.Random(1).randbytes(400)
    for length in range(195):
        one, other = Sha256(), Sha256()
        update_both(one, data[:length], other, data[: (7 * length) % 195])
        assert one.digest() == hashlib.sha256(data[:length]).digest()
        assert other.hexdigest() == hashlib.sha256(data[: (7 * length) % 195]).hexdigest()
        one.update(data)
        assert one.digest() == hashlib.sha256(data[:length] + data).digest()


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=12))
def test_any_division(lengths: list[tuple[int, int]]) -> None:
    """Streams that grow by pieces of any lengths, side by side, are those of the whole."""
    chance = random.Random(2)
    one, other, first, second = Sha256(), Sha256(), b"", b""
    for left, right in lengths:
        data, more = chance.randbytes(left), chance.randbytes(right)
        update_both(one, data, other, more)
        first, second = first + data, second + more
    assert one.digest() == hashlib.sha256(first).digest()
    assert other.digest() == hashlib.sha256(second).digest()


def test_long_streams_of_zeros(way: str) -> None:
    """A length whose bits take more than 32 bits to count is padded rightly."""
    piece = bytes(1 << 24)
    one, other, right = Sha256(), Sha256(), hashlib.sha256()
    for _ in range(33):
        update_both(one, piece, other, piece)
        right.update(piece)
    assert one.digest() == other.digest() == right.digest()


def test_what_comes_soon_beside_what_can_wait(way: str) -> None:
    """Both kinds are taken whole and in order, whichever is longer, and nothing waits where one hurries."""
    chance = random.Random(3)
    with Workers() as workers:
        hasher = Hasher(workers)
        for soon, later in ((5000, 300), (10, 7000), (0, 100), (100, 0)):
            one, other, first, second = Sha256(), Sha256(), b"", b""
            for _ in range(4):
                data, more = chance.randbytes(soon), chance.randbytes(later)
                waiting = hasher.later(other, memoryview(more))
                hasher.soon(one, memoryview(data)).result()
                first, second = first + data, second + more
            hasher.hurry()
            waiting.result()
            assert one.digest() == hashlib.sha256(first).digest()
            assert other.digest() == hashlib.sha256(second).digest()


def test_wrong_states_are_refused() -> None:
    """A state that is none, or one stream given twice, is a ValueError and changes nothing."""
    state = kernel.sha256_new()
    if state is None:
        with pytest.raises(AttributeError):  # nothing of it is there
            kernel.sha256_ni_only()
        return
    before = bytes(state)
    for wrong in ((state, state), (state, bytearray(3)), (bytearray(3), state)):
        with pytest.raises(ValueError, match="two different states"):
            kernel.sha256_update(wrong[0], b"x", wrong[1], b"y")
    with pytest.raises(ValueError, match="a state"):
        kernel.sha256_digest(b"abc")
    assert bytes(state) == before


def test_the_most_urgent_comes_first() -> None:
    """A chain's tasks run in order, one at a time, before what stands alone; what fails says so where it is asked."""
    order: list[str] = []
    blocked, free = Event(), Event()

    def hold() -> None:
        blocked.set()
        free.wait()

    with Workers(1) as workers:
        urgent, other = workers.chain(), workers.chain()
        workers.submit(hold)
        blocked.wait()
        loose = [workers.submit(order.append, "alone"), workers.submit(lambda: 1 // 0)]
        tasks = [chain.submit(order.append, name) for name, chain in (("c", other), ("a", urgent), ("b", urgent))]
        free.set()
        for task in tasks:
            task.result()
        with pytest.raises(ZeroDivisionError):
            loose[1].result()
    assert order == ["a", "b", "c", "alone"]


def test_what_is_left_is_cancelled() -> None:
    """On leaving, what runs ends and nothing else begins."""
    begun = Event()
    with Workers(1) as workers:
        running = workers.submit(lambda: begun.set() or time.sleep(0.05) or "done")
        begun.wait()
        left = [workers.chain().submit(list), workers.submit(list)]
    assert running.result() == "done"
    assert all(each.cancelled() for each in left)
