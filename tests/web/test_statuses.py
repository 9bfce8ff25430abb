"""The table from errors to HTTP statuses."""

import pytest

from emeritus import errors
from emeritus.statuses import HTTP_STATUS, http_status


@pytest.mark.parametrize("cls", errors.walk(), ids=lambda cls: cls.code)
def test_every_error_has_an_error_status(cls: type[errors.EmeritusError]) -> None:
    """Every error class, new ones too, answers with a 4xx or 5xx."""
    assert 400 <= http_status(cls) <= 599


def test_nearest_ancestor_decides() -> None:
    """A class without a line takes its parent's, not the root's."""

    class Narrower(errors.NotFound):
        pass

    assert http_status(Narrower) == 404
    assert http_status(Narrower("gone")) == 404
    assert http_status(errors.BadName) == HTTP_STATUS[errors.InputError] == 400
