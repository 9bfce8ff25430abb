"""The decoder that lies in the vault: it needs Python and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vault_models import contents

from emeritus.blobs.local import LocalStore
from emeritus.vault.vault import Vault

STANDALONE = """
import sys, runpy
for name in ("numpy", "blake3", "emeritus"):
    sys.modules[name] = None  # importing it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def standalone(vault: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The vault's own decoder on a bare interpreter: isolated, without site packages."""
    command = [sys.executable, "-I", "-S", "-c", STANDALONE, str(vault / "restore.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_standalone_decoder(vault: Vault, store: LocalStore, model: Path, tmp_path: Path, small_packs: None) -> None:
    """The decoder in the vault lists and restores everything with the standard library alone."""
    vault.preserve(model, "wren")
    report = tmp_path / "report"
    report.mkdir()
    (report / "r.txt").write_text("first")
    vault.preserve(report, "wren", role="report")
    (report / "r.txt").write_text("second")
    vault.preserve(report, "wren", role="report")
    moved = store.root.rename(tmp_path / "moved")
    listing = standalone(moved)
    assert listing.returncode == 0, listing.stderr
    assert [line.split(":")[0] for line in listing.stdout.splitlines()] == [
        "wren report 1",
        "wren report 2",
        "wren weights 1",
    ]
    done = standalone(moved, "wren", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(model)
    assert standalone(moved, "wren", str(tmp_path / "r2"), "report").returncode == 0
    assert standalone(moved, "wren", str(tmp_path / "r1"), "report", "1").returncode == 0
    assert ((tmp_path / "r1" / "r.txt").read_text(), (tmp_path / "r2" / "r.txt").read_text()) == ("first", "second")
    again = standalone(moved, "wren", str(tmp_path / "out"))
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_standalone_decoder_finds_damage(vault: Vault, store: LocalStore, model: Path, tmp_path: Path) -> None:
    """A flipped byte in a pack stops the decoder with the pack's name; a lost hint does not matter."""
    manifest = vault.preserve(model, "wren")
    key = f"packs/{manifest.packs[0][:2]}/{manifest.packs[0]}.pack"
    pack = bytearray(store.get(key))
    pack[20_000] ^= 1
    store.put(key, bytes(pack))
    done = standalone(store.root, "wren", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "DAMAGED" in done.stderr
    assert manifest.packs[0] in done.stderr
