"""The benchmark of faults, in small: it finds nothing wrong with repair, and finds a repair out that does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.vault_faults import Trial

from emeritus.vault.mending import repair
from emeritus.vault.parity import mend
from emeritus.vault.vault import Vault


def faults(folder: Path, seed: int) -> Trial:
    """Ten handfuls of faults in a small vault."""
    trial = Trial(folder, 150_000, seed)
    for _ in range(10):
        trial.run(trial.chance.randint(1, 6))
    return trial


def test_every_fault_is_borne_or_named(tmp_path: Path) -> None:
    """Within the budget every byte comes back; beyond it the loss is named exactly."""
    trial = faults(tmp_path, 5)
    assert trial.wrong == []
    assert trial.count["rounds"] == 10
    assert trial.count["brought back"] > 10


def test_a_repair_without_parity_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When parity brings nothing back, what it should have borne is counted as wrong."""
    monkeypatch.setattr(repair, "mend", lambda *_: iter(()))
    assert any("did not come back" in line for line in faults(tmp_path, 5).wrong)


def test_wrong_bytes_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that gives other bytes than it was given, and calls them sound, is counted as wrong."""
    monkeypatch.setattr(Vault, "read_file", lambda *_, **__: b"other bytes")
    assert any("WRONG BYTES" in line for line in faults(tmp_path, 5).wrong)


def test_the_truth_asks_no_code_of_the_vault() -> None:
    """What must come back is worked out without any module of the vault."""
    text = Path(__file__).parents[2].joinpath("benchmarks", "vault_truth.py").read_text(encoding="utf-8")
    assert "emeritus" not in text
    assert mend.BLOCK == 65536  # which it states by itself
