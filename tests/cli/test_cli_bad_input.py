"""Bad input to the program: one clear error with its code and remedy, nothing half-made, and the right call works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_models import LYING, NO_MODEL, WEIGHTS, model, safetensors
from refused import Program

from warm_program import Warm

RETIRES = ("--retires", "2099-01-31", "--reason", "Little used")
ADDRESS = ("-o", "base_url=http://127.0.0.1:9/v1", "-o", "model=far")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Program]:
    """The program on a home that holds one model; every test leaves the home sound."""
    folder = tmp_path_factory.mktemp("bad")
    program = Program(folder / "home", folder, warm.parent)
    program("init", "--second-coder", "waived", "--second-decider", "waived")
    program("preserve", str(model(folder / "wren")), "--name", "wren", "--no-reference")
    yield program
    assert program("verify")["ok"]


@pytest.mark.parametrize("what", NO_MODEL)
def test_what_is_no_model_is_refused(program: Program, tmp_path: Path, what: str) -> None:
    """Nothing of it is kept, and its name stays free for the right folder."""
    make, code, said = NO_MODEL[what]
    name = what.replace(" ", "-")
    folder = make(tmp_path / "model")
    given = program.refuses("preserve", str(folder), "--name", name, code=code, status=3)
    assert said in given["message"]
    kept = program("preserve", str(model(tmp_path / "right")), "--name", name, "--no-reference")
    assert kept["weights_held"]


@pytest.mark.parametrize("what", LYING)
def test_weight_files_that_lie_are_refused(program: Program, tmp_path: Path, what: str) -> None:
    """The error names the file and, in a line, what is wrong with it."""
    folder = model(tmp_path / "model", LYING[what])
    given = program.refuses_json("preserve", str(folder), "--name", "lying", code="EM102", status=3)
    assert given["message"].startswith(f"{WEIGHTS}: ")
    assert len(given["message"]) < 400
    assert given["facts"]["path"] == WEIGHTS


def test_a_mended_weight_file_is_kept_under_the_same_name(program: Program, tmp_path: Path) -> None:
    """What was refused has used nothing up."""
    folder = model(tmp_path / "model", LYING["data cut off"])
    program.refuses("preserve", str(folder), "--name", "mended", code="EM102", status=3)
    (folder / WEIGHTS).write_bytes(safetensors({}))
    program("preserve", str(folder), "--name", "mended", "--no-reference")


TRICKS = ["../x", "/abs", "a/b", ".", "..", ".hidden", "Wren", "a" * 65, "wrën", "a b", "a\nb", "-o", "a\\b", "~", ""]


@pytest.mark.parametrize("name", TRICKS)
def test_names_with_tricks_are_refused(program: Program, tmp_path: Path, name: str) -> None:
    """A name that could leave its folder is no name, and the remedy says what is one."""
    given = program.refuses_json("register", *ADDRESS, "--", name, code="EM104", status=3)
    assert "1-64 lowercase letters" in given["remedy"]


@pytest.mark.parametrize("command", ["preserve", "register", "restore", "status", "announce"])
def test_no_command_takes_a_path_for_a_name(program: Program, tmp_path: Path, command: str) -> None:
    """What would make something says how names are, what looks one up finds none; no folder outside is touched."""
    folder, dest = model(tmp_path / "model"), tmp_path / "dest"
    before = sorted(tmp_path.iterdir())
    for name in ("../../x", str(tmp_path / "x"), "."):
        arguments, code = {
            "preserve": ((str(folder), "--name", name, "--no-reference"), "EM104"),
            "register": ((name, *ADDRESS), "EM104"),
            "restore": ((name, str(dest)), "EM104"),
            "status": ((name,), "EM108"),
            "announce": ((name, *RETIRES), "EM108"),
        }[command]
        program.refuses(command, *arguments, code=code, status=3)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("arguments", [("status",), ("restore", "wren"), ("announce", *RETIRES)])
def test_an_argument_that_is_no_text_is_refused(program: Program, arguments: tuple[str, ...]) -> None:
    """Bytes that are not UTF-8 could be neither stored nor printed."""
    program.refuses(*arguments, "\udcff", code="EM100", status=3)


def test_names_that_exist_are_not_taken_twice(program: Program, tmp_path: Path) -> None:
    """Other files under a name in care are refused, and so is another kind of resident."""
    other = model(tmp_path / "other", safetensors({}))
    program.refuses("preserve", str(other), "--name", "wren", "--no-reference", code="EM109", status=3)
    program.refuses("register", "wren", *ADDRESS, code="EM109", status=3)
    program.refuses("preserve", "--name", "nobody", code="EM108", status=3)


TABLES = {
    "empty": b"",
    "other columns": b"name,phone\nAnn,1\n",
    "no contact column": b"label\nAnn\n",
    "too few values": b"contact,label\nann@example.org\n",
    "no address": b"contact\nann\n",
    "a header in an address": b'contact\n"ann@example.org\r\nBcc: b@example.org"\n',
    "not UTF-8": b"contact\nann\xff@example.org\n",
    "a count below nothing": b"contact,requests\nann@example.org,-3\n",
    "no date": b"contact,last_used\nann@example.org,yesterday\n",
    "an open quote": b'contact\n"ann@example.org\n',
    "twice": b"contact\nann@example.org\nANN@example.org\n",
    "NUL": b"contact\nann\0@example.org\n",
}


@pytest.mark.parametrize("what", TABLES)
def test_unreadable_tables_of_callers_announce_nothing(program: Program, tmp_path: Path, what: str) -> None:
    """The line is named; neither callers nor the announcement are recorded."""
    table = tmp_path / "callers.csv"
    table.write_bytes(TABLES[what])
    given = program.refuses_json("announce", "wren", *RETIRES, "--callers", str(table), code="EM107", status=3)
    assert given["message"].startswith("line ")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--callers", "none.csv"), "EM107"),
        (("--retires", "soon"), "EM100"),
        (("--retires", "2000-01-01"), "EM100"),
        (("--access", "everyone"), "EM100"),
        (("--reason", ""), "EM100"),
    ],
)
def test_an_announcement_that_is_refused_imports_no_callers(
    program: Program, tmp_path: Path, more: tuple[str, ...], code: str
) -> None:
    """A good table beside a bad date is not half the work."""
    table = tmp_path / "callers.csv"
    table.write_text("contact\nann@example.org\n")
    arguments = ("announce", "wren", *RETIRES, "--callers", str(table), *more)
    program.refuses(*arguments, code=code, status=3)


PROTOCOLS = {
    "not there": (None, ""),
    "not TOML": (b"[[item\n", "line 1"),
    "not UTF-8": (b"\xff", ""),
    "empty": (b"", ""),
    "an unknown key": (b'schema = "x"\nsurprise = 1\n', ""),
    "a list": (b"items = 3\n", ""),
}


@pytest.mark.parametrize("what", PROTOCOLS)
def test_an_unusable_protocol_is_not_logged(program: Program, tmp_path: Path, what: str) -> None:
    """It is refused before anything is asked or recorded, with its file's name."""
    data, said = PROTOCOLS[what]
    protocol = tmp_path / "protocol.toml"
    if data is not None:
        protocol.write_bytes(data)
    given = program.refuses_json("interview", "run", "wren", "--protocol", str(protocol), code="EM110", status=3)
    assert "protocol.toml" in given["message"]
    assert said in given["message"]
