"""A real home with people in it, and its console in a browser without scripts that keeps cookies and sends forms."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from httpx2 import Response
from starlette.testclient import TestClient

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.people import accounts
from emeritus.settings import Settings
from emeritus.web.console.desk import Desk
from emeritus.web.house import House
from emeritus.web.site import build_site

PASSWORD = "correct horse battery"
STEWARD = Actor("stella")
BASE = "https://register.example"


def quick_hashes(patch: pytest.MonkeyPatch) -> None:
    """Real argon2, with parameters that do not take half the test run."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    patch.setattr(accounts, "_hasher", lambda: hasher)


def open_app(folder: Path, **settings: Any) -> App:
    """A new home, opened, with a person of each role and two coders."""
    chosen = Settings(home=folder / "home", organisation="The Alder Institute", **settings)
    App.create(chosen, STEWARD, set())
    app = App.open(chosen)
    for name, role in (
        ("stella", "steward"),
        ("ana", "coder"),
        ("ben", "coder"),
        ("rita", "reviewer"),
        ("moe", "moderator"),
    ):
        app.people.set_password(name, app.people.add(name, f"{name.capitalize()} Example", role), PASSWORD)
    return app


class Browser:
    """One person's browser without scripts: it keeps cookies and sends the forms it was shown."""

    def __init__(self, app: App, base: str = BASE) -> None:
        site = build_site(House(app), Desk.of(app))
        self.client = TestClient(site, base_url=base, follow_redirects=False, raise_server_exceptions=False)

    def get(self, address: str, status: int = 200) -> str:
        """A page."""
        response = self.client.get(address)
        assert response.status_code == status, f"{address}: {response.status_code} {response.text[-900:]}"
        return response.text

    def send(self, address: str, page: str, fields: dict[str, Any], status: int = 303) -> Response:
        """Send a form with the token of the page it stands on."""
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        data = {"csrf": unescape(token.group(1)) if token else "", **fields}
        response = self.client.post(address, data=data, headers={"origin": BASE})
        assert response.status_code == status, f"{address}: {response.status_code} {response.text[-1500:]}"
        return response

    def sign_in(self, name: str, password: str = PASSWORD, status: int = 303) -> Response:
        """Sign in through the page."""
        page = self.get("/console/sign-in")
        return self.send("/console/sign-in", page, {"name": name, "password": password}, status)
