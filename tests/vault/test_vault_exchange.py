"""Exports judged by the programs of other archives, and taken back: ours, theirs, and what does not verify."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from vault_models import contents

from emeritus.blobs.local import LocalStore
from emeritus.errors import DestinationNotEmpty, EmeritusError, InputError, IntegrityError, NotFound, UnknownFormat
from emeritus.vault.exchange.content import Label
from emeritus.vault.exchange.export import FORMS, Exported, export
from emeritus.vault.exchange.taking import Part, lay_out, read
from emeritus.vault.vault import Vault

LABEL = Label("wren", "Example  Lab", "2026-11-21T12:00:00Z")
TOOLS = {
    "ocfl": [sys.executable, "-W", "ignore", str(Path(sys.executable).with_name("ocfl-validate.py")), ".", "wren"],
    "bagit": [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", "."],
    "folder": ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"],
}


@pytest.fixture
def kept(vault: Vault, model: Path, tmp_path: Path) -> Vault:
    """A vault with `wren`: weights with odd names, a reference, two reports."""
    (model / "100% of ünïcode \\ and\r.txt").write_text("odd too")
    vault.preserve(model, "wren")
    for role, texts in (("reference", ["r"]), ("report", ["first", "second"])):
        for text in texts:
            folder = tmp_path / "made" / role
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "text.md").write_text(text)
            vault.preserve(folder, "wren", role=role)
    return vault


def taken(source: Path, work: Path) -> list[Part]:
    """The parts of a source."""
    shutil.rmtree(work, ignore_errors=True)
    return lay_out(read(source)[1], work)


def judged(form: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the form's own program says."""
    return subprocess.run(TOOLS[form], cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_round_trip_through_each_form(kept: Vault, model: Path, form: str, tmp_path: Path) -> None:
    """Valid to the form's own program, and changed not; every part comes back, modes and empty folders too."""
    steps: list[tuple[int, int]] = []
    done = export(kept, LABEL, form, tmp_path / "out", lambda what, done, total: steps.append((done, total)))
    assert done.parts == (("reference", 1), ("report", 1), ("report", 2), ("weights", 1))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    odd = next((tmp_path / "out").rglob("100%*"))
    if form == "bagit":  # bagit.py does not know that RFC 8493 has % written as %25
        odd.rename(odd.with_name(odd.name.replace("%", "%25")))
    fine = judged(form, tmp_path / "out")
    assert fine.returncode == 0, fine.stdout + fine.stderr
    if form == "bagit":
        odd.with_name(odd.name.replace("%", "%25")).rename(odd)
    parts = taken(tmp_path / "out", tmp_path / "work")
    assert [(part.role, part.version) for part in parts] == [
        ("weights", 1),
        ("reference", 1),
        ("report", 1),
        ("report", 2),
    ]
    assert contents(parts[0].folder) == contents(model)
    assert [part.folder.joinpath("text.md").read_text() for part in parts[1:]] == ["r", "first", "second"]
    again = Vault.create(LocalStore(tmp_path / "fresh"))
    assert again.preserve(parts[0].folder, "other").weights_digest == kept.manifest("wren").weights_digest

    next((tmp_path / "out").rglob("config.json")).write_bytes(b'{"model_type": "gpt3"}')
    assert judged(form, tmp_path / "out").returncode != 0
    with pytest.raises(IntegrityError, match=r"config\.json"):
        taken(tmp_path / "out", tmp_path / "work")


Spoil = Callable[[Path], object]


def _content(folder: Path) -> Path:
    return next(path.parent.parent for path in folder.rglob("config.json"))


SPOILS: dict[str, Spoil] = {
    "a file less": lambda folder: next(folder.rglob("tokenizer.json")).unlink(),
    "a file more": lambda folder: (_content(folder) / "weights.1" / "more.py").write_text("import os"),
    "a link": lambda folder: (_content(folder) / "weights.1" / "more.py").symlink_to("/etc/passwd"),
    "a file cut short": lambda folder: next(folder.rglob("*.bin")).write_bytes(b"PK"),
}


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("spoil", sorted(SPOILS))
def test_what_does_not_verify_is_refused(vault: Vault, model: Path, form: str, spoil: str, tmp_path: Path) -> None:
    """Anything missing, unlisted, linked or cut short is named, in every form."""
    vault.preserve(model, "wren")
    export(vault, LABEL, form, tmp_path / "out")
    SPOILS[spoil](tmp_path / "out")
    with pytest.raises(IntegrityError):
        taken(tmp_path / "out", tmp_path / "work")


def rewritten(path: Path, old: str, new: str) -> None:
    """Put other text into a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("form", "path", "old", "new", "error"),
    [
        ("bagit", "bagit.txt", "1.0", "2.0", UnknownFormat),
        ("bagit", "bag-info.txt", "Lab", "Mob", IntegrityError),
        ("bagit", "manifest-sha256.txt", "data/weights.1/config", "data/../../etc/config", IntegrityError),
        ("ocfl", "wren/inventory.json", "v1/content/", "v1/content/../", IntegrityError),
        ("ocfl", "wren/inventory.json", "Exported", "Imported", IntegrityError),
        ("ocfl", "wren/inventory.json", '"sha256"', '"md5"', UnknownFormat),
        ("ocfl", "wren/inventory.json", '"head"', '"tail"', IntegrityError),
        ("folder", "SHA256SUMS", "weights.1/config", "../config", IntegrityError),
        ("folder", "SHA256SUMS", "  weights.1/config", " weights", IntegrityError),
    ],
)
def test_lists_that_were_changed_are_refused(
    vault: Vault, model: Path, form: str, path: str, old: str, new: str, error: type[EmeritusError], tmp_path: Path
) -> None:
    """Another version, a path that leads out, a list that is not what its own digest says: refused by name."""
    vault.preserve(model, "wren")
    export(vault, LABEL, form, tmp_path / "out")
    rewritten(tmp_path / "out" / path, old, new)
    if form == "bagit" and path.startswith("manifest"):
        (tmp_path / "out" / "tagmanifest-sha256.txt").unlink()
    if form == "ocfl" and "../" in new:
        data = (tmp_path / "out" / path).read_bytes()
        for place in ("wren", "wren/v1"):
            (tmp_path / "out" / place / "inventory.json").write_bytes(data)
            (tmp_path / "out" / place / "inventory.json.sha256").write_text(hashlib.sha256(data).hexdigest())
    with pytest.raises(error):
        taken(tmp_path / "out", tmp_path / "work")


def test_a_manifest_that_is_not_of_its_files_is_refused(vault: Vault, model: Path, tmp_path: Path) -> None:
    """All sums hold, but the manifest inside lists other files: nobody's word is taken for the other's."""
    vault.preserve(model, "wren")
    export(vault, LABEL, "folder", tmp_path / "out")
    sums = tmp_path / "out" / "SHA256SUMS"
    (tmp_path / "out" / "weights.1" / "more.txt").write_text("more")
    sums.write_text(sums.read_text() + f"{hashlib.sha256(b'more').hexdigest()}  weights.1/more.txt\n")
    with pytest.raises(IntegrityError, match="manifest"):
        taken(tmp_path / "out", tmp_path / "work")


def test_what_others_packed_is_taken_as_a_model(model: Path, tmp_path: Path) -> None:
    """A bag that bagit.py made, an object that ocfl-py made with two versions, and sums of coreutils."""
    shutil.rmtree(model / ".git")
    shutil.rmtree(model / "nothing")
    shutil.rmtree(model / "code")
    wanted = contents(model)
    bag = shutil.copytree(model, tmp_path / "bag")
    made = subprocess.run([*TOOLS["bagit"][:-2], "--sha512", str(bag)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    program = str(Path(sys.executable).with_name("ocfl-object.py"))
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "config.json").write_text("{}")
    for step in (["create", "--srcdir", tmp_path / "older", "--id", "info:x"], ["update", "--srcdir", model]):
        command = [sys.executable, "-W", "ignore", program, *map(str, step), "--objdir", str(tmp_path / "object")]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    sums = shutil.copytree(model, tmp_path / "sums")
    paths = [path.relative_to(sums) for path in sums.rglob("*") if path.is_file()]
    listed = subprocess.run(["sha256sum", *paths], cwd=sums, capture_output=True, check=True)
    (sums / "SHA256SUMS").write_bytes(listed.stdout)
    for source, form in ((bag, "bagit"), (tmp_path / "object", "ocfl"), (sums, "folder")):
        assert read(source)[0] == form
        (part,) = taken(source, tmp_path / "work")
        assert (part.role, part.version) == ("weights", 1)
        assert contents(part.folder) == wanted


def test_an_export_is_there_whole_or_not_at_all(vault: Vault, model: Path, tmp_path: Path) -> None:
    """A name nobody has, a destination in use and a damaged pack leave nothing behind."""
    manifest = vault.preserve(model, "wren")
    with pytest.raises(NotFound):
        export(vault, Label("robin", "x", LABEL.at), "folder", tmp_path / "out")
    with pytest.raises(DestinationNotEmpty):
        export(vault, LABEL, "folder", model)
    key = f"packs/{manifest.packs[0][:2]}/{manifest.packs[0]}.pack"
    vault.store.delete(key)
    with pytest.raises(IntegrityError):
        export(vault, LABEL, "bagit", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "vault"]


def test_what_is_no_export_is_refused(model: Path, tmp_path: Path) -> None:
    """A file, a folder without sums, a root of two objects: each error says what to give instead."""
    with pytest.raises(NotFound):
        read(model / "config.json")
    with pytest.raises(InputError, match="no bag") as plain:
        read(model)
    assert "emeritus preserve" in plain.value.remedy
    root = tmp_path / "root"
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        (root / name / "0=ocfl_object_1.1").write_text("ocfl_object_1.1\n")
    (root / "0=ocfl_1.1").write_text("ocfl_1.1\n")
    with pytest.raises(InputError, match="holds 2 objects"):
        read(root)
    (root / "one" / "inventory.json").write_text(json.dumps([1]))
    with pytest.raises(IntegrityError):
        read(root / "one")


def test_exported_says_what_there_is(kept: Vault, tmp_path: Path) -> None:
    """Files and bytes are those that lie there, manifests counted."""
    done = export(kept, LABEL, "folder", tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert done == Exported(done.parts, len(files), sum(path.stat().st_size for path in files))
