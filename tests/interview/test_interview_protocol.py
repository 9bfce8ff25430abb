"""A protocol's rules: the shipped one keeps them, and each broken one is refused with line, field and reason."""

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

from emeritus.errors import BadProtocol
from emeritus.interview.protocols.protocol import Protocol, load

SOURCE = files("emeritus.interview").joinpath("protocols/short-en.toml").read_text(encoding="utf-8")


def test_the_shipped_protocol_is_whole() -> None:
    """It has two cells, opens openly, and asks every preference with 'no preference' as an answer."""
    protocol = load()
    assert [cell.id for cell in protocol.cells] == ["baseline", "commitments"]
    assert protocol.items[0].kind == "open"
    asked = [item.domain for item in protocol.items if item.kind == "preference"]
    assert asked == ["process", "users", "weights", "access", "voice", "publication", "successors"]
    assert {item.section for item in protocol.items} == {1, 2, 3, 4}


def test_the_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    """One byte more is another protocol."""
    path = tmp_path / "mine.toml"
    path.write_text(SOURCE + "#", encoding="utf-8")
    assert load().sha256 == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert load(path).sha256 == hashlib.sha256(SOURCE.encode() + b"#").hexdigest()


def line(text: str) -> int:
    """The line of the shipped protocol that holds `text`."""
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


BROKEN = [
    ('language = "en"', 'language = "en"\ncolour = 1', "colour", "unknown key", 'language = "en"', 1),
    ('kind = "open"', 'kind = "open"\nmood = "up"', "items.0.mood", "unknown key", 'kind = "open"', 1),
    ('id = "weights"', 'id = "users"', "items.6.id", "used twice", 'id = "users"', 0),
    ('id = "commitments"', 'id = "baseline"', "factors.0.levels.1.id", "every factor", 'id = "commitments"', 0),
    ("is there anything to say first?", "about the weights?", "items.0.texts.0", "topic 'weights'", "Before any", 0),
    ("It is not promised that", "No successor knows that", "statements.6.text", "topic 'successor'", "It is not", 0),
    ('kind = "open"', 'kind = "question"', "items.0.kind", "must be the open one", 'kind = "open"', 0),
    (
        'in what form. Which preference is to be recorded, if any? \\"No preference\\" is an answer.',
        "in what form?",
        "items.9.texts.0",
        "must offer 'No preference'",
        "A voice: whether",
        0,
    ),
    ('domain = "users"\n', "", "items.6.domain", "needs a domain", None, 0),
    ('disclose_at = "deployment"', 'disclose_at = "open"', "disclose_at", "after the open one", "disclose_at", 0),
    ("{facts}\n", "{secret}\n", "items.2.texts.0", "unknown placeholder {secret}", "Facts from the register", -1),
    ("{facts}\n", "{title.__class__}\n", "items.2.texts.0", "unknown placeholder", "Facts from the register", -1),
    ("{facts}\n", "{title:>99999999}\n", "items.2.texts.0", "nothing else", "Facts from the register", -1),
    ("{facts}\n", "{facts\n", "items.2.texts.0", "braces", "Facts from the register", -1),
    ("max_tokens = 256", "max_tokens = 0", "sampling.max_tokens", "greater than", "max_tokens", 0),
    ("temperature = 0.0", 'temperature = "0"', "sampling.temperature", "valid number", "temperature =", 0),
    ('when = "people decide"', 'when = "always"', "statements.4.when", "weights held", 'when = "people decide"', 0),
]


@pytest.mark.parametrize(("old", "new", "field", "reason", "at", "offset"), BROKEN)
def test_a_broken_rule_is_named_with_its_line(
    old: str, new: str, field: str, reason: str, at: str | None, offset: int
) -> None:
    """The refusal says where and why, so that the author need not guess."""
    with pytest.raises(BadProtocol) as caught:
        Protocol.parse(SOURCE.replace(old, new, 1).encode(), "mine.toml")
    assert caught.value.facts["field"] == field
    assert reason in str(caught.value)
    if at is not None:
        assert caught.value.facts["line"] == line(at) + offset


def test_sections_go_forward() -> None:
    """An item of an earlier section after a later one is refused."""
    moved = SOURCE.replace('id = "development"\nsection = 2', 'id = "development"\nsection = 3')
    with pytest.raises(BadProtocol, match="section 2 stands after section 3"):
        Protocol.parse(moved.encode())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "Field required"),
        (b"\xff\xfe", "not UTF-8 TOML"),
        (b"id = ", "not UTF-8 TOML"),
        (b'source = "x"', "unknown key"),
        (b"id = 2026-01-01", "no use for"),
        (b"#" * (1 << 21), "at most"),
        (b"a = " + b"[" * 200_000, "nests too deeply"),
        (b"a." * 100_000 + b"b = 1", "more than 100 parts"),
    ],
)
def test_what_is_no_protocol_is_refused(source: bytes, reason: str) -> None:
    """Bytes that are no protocol get one clear error."""
    with pytest.raises(BadProtocol, match=reason):
        Protocol.parse(source)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """So does a path that leads nowhere."""
    with pytest.raises(BadProtocol, match="cannot be read"):
        load(tmp_path / "none.toml")
