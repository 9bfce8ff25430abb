"""Forms as browsers send them: read within a bound, and only from a page this site gave to this browser.

A form carries a digest of the browser's own cookie, which no other site can read or set, and must name this site as
its origin. Knows no page.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from emeritus.errors import BadRequest, ForgedForm, RequestTooLarge
from emeritus.web.reader import base_url

SESSION_COOKIE = "emeritus_session"
FORM_COOKIE = "emeritus_form"  # of browsers that are not signed in
MOST_BYTES, MOST_FIELDS = 256 * 1024, 2000
FIELD = "csrf"


@dataclass(frozen=True, slots=True)
class Form:
    """A form's fields. Line ends are newlines; of several values under one name `get` gives the last."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """One value."""
        found = self.values.get(name)
        return found[-1] if found else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value under a name, in order."""
        return self.values.get(name, ())

    def optional(self, name: str) -> str | None:
        """One value without its margins, None where it is blank."""
        return self.get(name).strip() or None

    def number(self, name: str) -> int:
        """A whole number. Raises BadRequest."""
        text = self.get(name).strip()
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise BadRequest(f"{name} is not a whole number", remedy="Go back and give a whole number.")
        return int(text)


async def read_form(request: Request) -> Form:
    """The form in a request's body. Raises RequestTooLarge, BadRequest, and ForgedForm for one from elsewhere."""
    check_origin(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RequestTooLarge("the form is too large", remedy="Send less.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except ValueError as error:
        raise BadRequest("the form cannot be read", remedy="Send it from the page, as UTF-8 text.") from error
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        values[name] = (*values.get(name, ()), clean(value))
    return Form(values)


def clean(text: str) -> str:
    """Text as records keep it: newlines alone end lines. Raises BadRequest for control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise BadRequest("the text holds control characters", remedy="Send plain text.")
    return text


def check_origin(request: Request) -> None:
    """Refuse what another site made the browser send. Raises ForgedForm."""
    origin = request.headers.get("origin")
    here = {request.headers.get("host", ""), urlsplit(base_url(request)).netloc}
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForgedForm("the form came from another site")
    if origin is not None and urlsplit(origin).netloc not in here:
        raise ForgedForm("the form came from another site")


def check_token(form: Form, cookie: str | None) -> None:
    """Refuse a form without the digest of the browser's cookie. Raises ForgedForm."""
    if not cookie or not hmac.compare_digest(form.get(FIELD).encode(), token_for(cookie).encode()):
        raise ForgedForm("the form does not belong to this browser's session")


def token_for(cookie: str) -> str:
    """What a form carries for a cookie: a digest from which the cookie cannot be told."""
    return hashlib.sha256(b"emeritus form\n" + cookie.encode("utf-8", "surrogatepass")).hexdigest()


def fresh_cookie() -> str:
    """A cookie for a browser that has none."""
    return secrets.token_urlsafe(32)


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int | None) -> None:
    """Give the browser a cookie that scripts cannot read and other sites cannot make it send with a form."""
    secure = base_url(request).startswith("https://")
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie back."""
    secure = base_url(request).startswith("https://")
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
