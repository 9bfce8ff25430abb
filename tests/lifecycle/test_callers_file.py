"""The callers' CSV: what is read, and that every fault names its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emeritus.errors import BadTable
from emeritus.lifecycle.callers import CallerLine, read_callers


def test_columns_in_any_order_with_a_byte_order_mark() -> None:
    """A spreadsheet's export is read as it is: BOM, CRLF, reordered columns, blank lines."""
    data = (
        "\ufefflabel,Contact,last_used,requests\r\nThe lab,a@example.org,2026-02-01,12\r\n\r\nno mail,,,\r\n".encode()
    )
    assert read_callers(data) == (
        CallerLine("a@example.org", "The lab", 12, "2026-02-01"),
        CallerLine(None, "no mail", None, None),
    )


def test_a_header_alone_is_an_empty_list() -> None:
    """A model without callers has a file with its header only."""
    assert read_callers(b"contact\n") == ()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"contact,phone\n", 1),
        (b"label\nx\n", 1),
        (b"contact,contact\n", 1),
        (b"contact,requests\na@b.c,1\nd@e.f,-1\n", 3),
        (b"contact,requests\na@b.c,99999999999\n", 2),
        (b"contact,last_used\na@b.c,yesterday\n", 2),
        (b"contact,label\na@b.c\n", 2),
        (b"contact,label\n,\n,x\nno-address,y\n", 4),
        (b'contact,label\n"a@b.c\nBcc: d@e.f",y\n', 2),
        (b"contact\na@b.c\nA@B.C\n", 3),
        (b"contact\na@b.c\n\xff@b.c\n", 3),
        (b'contact,label\na@b.c,"two\nlines"\nbad,x\n', 4),
        (b'contact\n"open\n', 2),
    ],
)
def test_every_fault_names_its_line(data: bytes, line: int) -> None:
    """One clear error with the line to correct; nothing is returned."""
    with pytest.raises(BadTable, match=f"line {line}:") as caught:
        read_callers(data)
    assert caught.value.facts["line"] == line


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input makes anything but callers or BadTable."""
    try:
        for caller in read_callers(data):
            assert caller.contact or caller.label
    except BadTable:
        pass
