"""Text leaves whole characters at a time and never shows any of a stop sequence."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from emeritus.engines.detokenise import Detokeniser, StopGate


def decode_bytes(ids: Sequence[int]) -> str:
    """A byte-level tokenizer's decoder."""
    return bytes(ids).decode("utf-8", errors="replace")


def decode_words(ids: Sequence[int]) -> str:
    """A decoder that strips the first space, as sentence-piece tokenizers do."""
    return "".join([" a", " bc", "d", " ü"][each % 4] for each in ids).removeprefix(" ")


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes(ids: list[int]) -> None:
    """Whatever bytes a model produces, valid or not, the pieces join to the whole decoding."""
    speller = Detokeniser(decode_bytes)
    pieces = [speller.push(each) for each in ids] + [speller.flush()]
    assert "".join(pieces) == decode_bytes(ids)


@given(st.text(max_size=40))
def test_no_character_is_broken(text: str) -> None:
    """A valid text's bytes never show a replacement character on the way."""
    speller = Detokeniser(decode_bytes)
    pieces = [speller.push(each) for each in text.encode(errors="ignore")]
    assert all("\ufffd" not in piece or "\ufffd" in text for piece in pieces)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_spaces_survive(ids: list[int]) -> None:
    """A decoder that strips the first space loses no other one."""
    speller = Detokeniser(decode_words)
    assert "".join([speller.push(each) for each in ids] + [speller.flush()]) == decode_words(ids)


@given(st.lists(st.text(alphabet="ab\n", max_size=4), max_size=20), st.lists(st.text("ab\n", min_size=1), max_size=3))
def test_stop(pieces: list[str], stops: list[str]) -> None:
    """What goes out is the text up to the first stop sequence that is completed; items go with their text."""
    gate: StopGate[int] = StopGate(stops)
    out, items = "", []
    read = ""
    for at, piece in enumerate(pieces):
        read += piece
        text, passed = gate.push(piece, at)
        out += text
        items += passed
        assert gate.stopped == any(stop in read for stop in stops)
        if gate.stopped:
            break
    if not gate.stopped:
        text, passed = gate.flush()
        out, items = out + text, items + passed
        assert items == list(range(len(pieces)))
    ends = [read.index(stop) for stop in stops if stop in read]
    assert out == read[: min(ends, default=len(read))]
    assert items == sorted(set(items))


def test_text_is_not_held_longer_than_needed() -> None:
    """Text that cannot begin a stop sequence goes out at once."""
    gate: StopGate[None] = StopGate(["END"])
    assert [gate.push(each, None)[0] for each in ["a", "b E", "N", "x"]] == ["a", "", "", "b ENx"]
