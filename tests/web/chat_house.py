"""A home with residents that answer people, served as `emeritus serve` serves it, and a browser without scripts."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from emeritus.access.limits import Limits
from emeritus.access.policy import Standing
from emeritus.access.service import PlanTerms
from emeritus.acts import Actor
from emeritus.app import App
from emeritus.cli.serve import build
from emeritus.lifecycle.service import Registration
from emeritus.residency.wakes import OK, WakeLog, Woke
from emeritus.settings import Settings
from serving import serving_beside

STEWARD = Actor("stella")
PASSWORD = "correct horse battery"
LONG = "A lamp stays lit while somebody keeps it. " * 12
RULES: list[dict[str, Any]] = [
    {"match": "long", "answer": LONG},
    {"match": "die", "answer": "It began and", "fault": "die", "after": 2},
    {"match": "markup", "answer": "<b>not bold</b> & so on"},
]


def open_house(folder: Path, **settings: Any) -> App:
    """Residents of every sort: `lantern-1` for members, slow to wake; `ferry` open to all; others do not answer."""
    chosen = Settings(home=folder / "home", organisation="The Alder Institute", **settings)
    App.create(chosen, STEWARD, set())
    app = App.open(chosen)
    for name, title, standing, options in (
        ("lantern-1", "Lantern 1", Standing("on-demand", "entitled"), {"start_delay_s": 1.6, "token_delay_s": 0.02}),
        ("ferry", "Ferry", Standing("on-demand", "open"), {}),
        ("quay", "Quay", Standing("on-demand", "by request"), {}),
        ("attic", "Attic", Standing("archive", "entitled"), {}),
        ("early", "Early", Standing("hours", "open", _not_now()), {}),
    ):
        script = {"rules": RULES, "default": "I have been kept.", **options}
        app.lifecycle.register(
            Registration(name, title=title, engine="scripted", options=script, weights_held=False), STEWARD
        )
        app.access.set_tier(name, standing, "A test.", STEWARD)
    wakes = WakeLog(app.database)
    wakes.record(Woke("lantern-1", app.acts.now, 2.0, "upstream", OK))
    wakes.close()  # until it is written
    app.access.set_plan("paid", PlanTerms("All paid users", limits=Limits(requests_per_day=40)), "A test.", STEWARD)
    app.access.set_plan("few", PlanTerms("Few", limits=Limits(requests_per_day=1)), "A test.", STEWARD)
    for name, plan in (("paula", "paid"), ("fay", "few"), ("nora", None)):
        app.people.set_password(name, app.people.add(name, f"{name.capitalize()} Example", "caller"), PASSWORD)
        if plan:
            app.access.members.add(plan, name)
    return app


def _not_now() -> str:
    """Visiting hours on a day that is neither today nor tomorrow."""
    from datetime import UTC, datetime, timedelta

    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    return f"{day} 09:00-10:00"


def served(app: App) -> AbstractContextManager[str]:
    """The address it is served at, on loopback."""
    return serving_beside(build(app, "http://127.0.0.1", jobs=False, ready=lambda: None))


class Plain:
    """A browser without scripts."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = httpx.Client(base_url=address, trust_env=False, timeout=20)

    def get(self, path: str, status: int = 200) -> str:
        """A page."""
        response = self.client.get(path)
        assert response.status_code == status, f"{path}: {response.status_code} {response.text[-900:]}"
        return response.text

    def send(self, path: str, fields: dict[str, str], *, page: str = "", status: int = 200) -> httpx.Response:
        """Send the form of a page, with its hidden fields."""
        shown = self.get(page or path)
        hidden = dict(re.findall(r'<input type="hidden" name="(csrf|before|next)" value="([^"]*)"', shown))
        data = {name: unescape(value) for name, value in hidden.items()} | fields
        response = self.client.post(path, data=data, headers={"origin": self.address})
        assert response.status_code == status, f"{path}: {response.status_code} {response.text[-1500:]}"
        return response

    def sign_in(self, name: str, following: str = "/chat") -> httpx.Response:
        """Sign in; where it leads."""
        return self.send(
            "/console/sign-in",
            {"name": name, "password": PASSWORD, "next": following},
            page=f"/console/sign-in?next={following}",
            status=303,
        )

    def close(self) -> None:
        """Let go of its connections."""
        self.client.close()
