"""A working OpenID Connect provider on loopback: discovery, consent unasked, codes with PKCE, keys that rotate."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from serving import serving_beside

CLIENT, SECRET = "emeritus", "s3cret:of the client"


class Provider:
    """One provider. `claims` are added to every token; `forge` chooses what is wrong with the next ones."""

    def __init__(self) -> None:
        self.issuer = ""
        self.claims: dict[str, Any] = {"sub": "248289761001", "name": "Jane Doe"}
        self.forge = ""
        self.down = False
        self.codes: dict[str, dict[str, str]] = {}
        self.key = self._new_key()
        self.served = [self.key]
        self.fetched = 0

    @staticmethod
    def _new_key() -> RSAKey:
        return RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(4), "use": "sig"})

    def rotate(self) -> None:
        """Sign with a new key from now on, and serve it alone."""
        self.key = self._new_key()
        self.served = [self.key]

    def app(self) -> Starlette:
        """Its four addresses."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
            ]
        )

    def _discovery(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=500)
        named = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return JSONResponse({"issuer": self.issuer, **{key: f"{self.issuer}/{path}" for key, path in named.items()}})

    def _jwks(self, request: Request) -> Response:
        self.fetched += 1
        unknown = {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "of a later day"}
        return JSONResponse({"keys": [unknown, *(key.as_dict(private=False) for key in self.served)]})

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def _token(self, request: Request) -> Response:
        async with request.form() as form:
            given = {key: str(value) for key, value in form.items()}
        wanted = base64.b64encode(f"{quote_plus(CLIENT)}:{quote_plus(SECRET)}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(given.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or challenge.rstrip(b"=").decode() != asked["code_challenge"]
            or given["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": self.token(asked["nonce"])})

    def token(self, nonce: str) -> str:
        """An identity token, forged as asked."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce, **self.claims}
        claims |= {
            "nonce": {"nonce": "another"},
            "no-nonce": {"nonce": None},
            "audience": {"aud": "another-client"},
            "audiences": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
            "issuer": {"iss": "https://elsewhere.example"},
            "expired": {"exp": now - 600, "iat": now - 900},
            "future": {"iat": now + 900, "nbf": now + 900},
            "skewed": {"exp": now - 30, "iat": now - 300},
            "no-subject": {"sub": None},
        }.get(self.forge, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid}
        if self.forge == "other-key":
            return jwt.encode(header, claims, self._new_key())
        if self.forge == "hmac":  # the public key as though it were a shared secret
            return _hmac_signed(header, claims, self.key.as_pem(private=False))
        if self.forge == "hmac-client":  # a secret that others than the provider know
            return _hmac_signed(header, claims, SECRET.encode())
        if self.forge == "own-key":  # brings the key along that it is to be checked with
            own = self._new_key()
            return jwt.encode({"alg": "RS256", "kid": own.kid, "jwk": own.as_dict(private=False)}, claims, own)
        whole = jwt.encode(header, claims, self.key)
        if self.forge == "none":
            head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            return f"{head}.{whole.split('.')[1]}."
        if self.forge == "garbage":
            return "x.y.z"
        if self.forge == "header-list":
            return "W10." + whole.split(".", 1)[1]
        return whole


def _hmac_signed(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """An HS256 token, made by hand: a library that signs would refuse such a secret."""
    parts = ({**header, "alg": "HS256"}, claims)
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    digest = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return f"{signed.decode()}.{digest.decode()}"


@contextmanager
def provider_served() -> Iterator[Provider]:
    """A provider on loopback."""
    provider = Provider()
    with serving_beside(provider.app()) as provider.issuer:
        yield provider
