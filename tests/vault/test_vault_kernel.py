"""The compiled kernel as such: built here, and held to the instruction set asked for."""

from __future__ import annotations

import pytest

from emeritus.vault.codec.kernel import kernel, level


def test_it_was_built() -> None:
    """The suite runs where a compiler is, so the kernel must be there: the optional build hides its own failure."""
    assert kernel is not None
    assert level() in {"avx512", "avx2", "neon", "scalar"}


def test_a_limit_holds_until_it_is_lifted() -> None:
    """Tests and benchmarks may ask for a slower instruction set, and get the machine's own back."""
    own = level()
    try:
        assert kernel.limit("scalar") == "scalar" == level()
    finally:
        assert kernel.limit("avx512") == own


def test_an_unknown_instruction_set_is_refused() -> None:
    """Anything but the known names is a ValueError that says so."""
    with pytest.raises(ValueError, match="no instruction set is called 'mmx'"):
        kernel.limit("mmx")
