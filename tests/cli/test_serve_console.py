"""A person's way into the console of a running `emeritus serve`: the one-time link, the password, the sign-in."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from pathlib import Path

from refused import Program
from served import serving

from warm_program import Warm

PASSWORD = "four words one remembers"


class Visitor:
    """A browser without a screen: follows redirects, keeps cookies, fills the forms it is shown."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        """The page a person ends at."""
        page: str = self._opener.open(self.base + path).read().decode()
        return page

    def submit(self, page: str, **fields: str) -> str:
        """Send the form of a page, its hidden fields among the others; the page a person ends at."""
        form = re.search(r'<form class="stacked" method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL)
        assert form is not None, page
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.group(2))
        shown = re.findall(r'name="(name)" value="([^"]*)"', form.group(2))
        data = {name: unescape(value) for name, value in [*hidden, *shown]} | fields
        request = urllib.request.Request(
            self.base + form.group(1), urllib.parse.urlencode(data).encode(), {"Origin": self.base}
        )
        answer: str = self._opener.open(request).read().decode()
        return answer


def test_a_coder_sets_a_password_signs_in_and_is_named(tmp_path: Path, warm: Warm) -> None:
    """The link works once; the password opens the console until the account is disabled."""
    program = Program(tmp_path / "home", tmp_path, warm.parent)
    program("init")
    added = program("people", "add", "ana", "--display", "Ana Example", "--role", "coder")
    link = urllib.parse.urlsplit(added["setup_link"])
    with serving(program.home) as served:
        ana = Visitor(served.port)
        ana.submit(ana.get(f"{link.path}?{link.query}"), password=PASSWORD, again=PASSWORD)
        page = ana.submit(ana.get("/console/sign-in"), name="ana", password=PASSWORD)
        assert "Ana Example" in page
        assert "(ana, coder)" in ana.get("/console")

        again = Visitor(served.port)
        try:
            refused = again.submit(again.get(f"{link.path}?{link.query}"), password="other words", again="other words")
        except urllib.error.HTTPError as error:
            refused = error.read().decode()
        assert "(ana, coder)" not in refused
        try:
            wrong = again.submit(again.get("/console/sign-in"), name="ana", password="other words")
        except urllib.error.HTTPError as error:
            wrong = error.read().decode()
        assert "(ana, coder)" not in wrong + again.get("/console")

        assert program.say("people", "disable", "ana").code == 0
        assert "(ana, coder)" not in ana.get("/console")
