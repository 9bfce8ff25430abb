"""The site's routes and their documentation."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import Route
from web_house import House

from emeritus.web.site import build_site

DOCUMENT = Path(__file__).parents[2] / "docs" / "site.md"


def test_every_route_is_documented(house: House) -> None:
    """docs/site.md lists exactly the addresses the site answers."""
    served = {re.sub(r":\w+}", "}", route.path) for route in build_site(house).routes if isinstance(route, Route)}
    documented = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == served
