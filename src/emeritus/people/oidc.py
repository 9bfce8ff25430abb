"""Signing in at an OpenID Connect provider: the authorization code flow with PKCE, and what of its answer is believed.

OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636, RFC 9207. Knows no page, no account's row and no plan: it turns a
provider's answer into who it says that someone is. The secret is read when it is used, and never shown.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus, unquote_plus, urlsplit

from emeritus.errors import BadSettings, BadSignIn, SignInUnavailable
from emeritus.people.accounts import CALLER, ROLES
from emeritus.settings import Settings

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

SKEW_S = 120  # how far a provider's clock may be off, in seconds
TIMEOUT_S = 10.0
KEPT_S = 3600.0  # how long a discovery document and keys are used without asking again
REFETCH_S = 5.0  # an unknown key makes its set be read again, this often at most
MOST_BYTES = 1 << 20
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
_REMEDY = "Begin again from the sign-in page."


@dataclass(frozen=True, slots=True)
class Pending:
    """One sign-in under way, as the browser's own cookie holds it."""

    state: str
    nonce: str
    verifier: str
    following: str

    def dump(self) -> str:
        """As a cookie."""
        return ".".join((self.state, self.nonce, self.verifier, quote_plus(self.following)))

    @classmethod
    def load(cls, cookie: str) -> Pending:
        """From a cookie. Raises BadSignIn."""
        parts = cookie.split(".", 3)
        if len(parts) != 4 or not all(parts[:3]):
            raise BadSignIn("this browser began no sign-in here, or too long ago", remedy=_REMEDY)
        return cls(parts[0], parts[1], parts[2], unquote_plus(parts[3]))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a provider says that someone is. Only issuer and subject identify; the rest may change."""

    issuer: str
    subject: str
    display: str
    plans: frozenset[str]
    role: str | None  # None: the provider gives none, and none is changed


class Provider:
    """One provider. Belongs to no event loop; safe to use from one at a time. Raises BadSettings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plans: dict[str, str] = json.loads(settings.oidc_plans or "{}")
        self._roles: dict[str, str] = json.loads(settings.oidc_roles or "{}")
        if not all(isinstance(plan, str) for plan in self._plans.values()):
            raise BadSettings("the setting oidc_plans gives a plan that is not a name")
        if unknown := [str(role) for role in self._roles.values() if role not in (*ROLES, CALLER)]:
            raise BadSettings(f"the setting oidc_roles gives the role {unknown[0]!r}, which is none here")
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """What the button says."""
        return self._settings.oidc_name or urlsplit(self._settings.oidc_issuer).netloc

    @property
    def plans(self) -> frozenset[str]:
        """Every plan that the provider may say that someone belongs to."""
        return frozenset(self._plans.values())

    async def begin(self, callback: str, following: str) -> tuple[str, Pending]:
        """Where to send the browser, and what it is to bring back. Raises SignInUnavailable."""
        from authlib.common.urls import add_params_to_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        found = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = Pending(state, nonce, verifier, following)
        params = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": callback,
            "scope": self._settings.oidc_scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": create_s256_code_challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        return add_params_to_uri(found["authorization_endpoint"], list(params.items())), pending

    async def finish(self, pending: Pending, answer: Mapping[str, str], callback: str) -> Identity:
        """Who signed in, by the provider's answer. Raises BadSignIn, SignInUnavailable."""
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise BadSignIn("the answer belongs to another sign-in", remedy=_REMEDY)
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise BadSignIn("the answer comes from another provider", remedy=_REMEDY)
        if not answer.get("code"):
            raise BadSignIn("the provider did not sign you in", remedy=_REMEDY)
        found = await self._discovered()
        token = await self._fetch(
            found["token_endpoint"],
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": callback,
                "code_verifier": pending.verifier,
            },
        )
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise BadSignIn("the provider sent no identity", remedy=_REMEDY)
        return self._identity(await self._claims(raw, pending.nonce))

    # -- what is believed --------------------------------------------------------------------------------------------

    async def _claims(self, raw: str, nonce: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        refused = BadSignIn("the provider's answer cannot be believed", remedy=_REMEDY)
        options = {
            "iss": {"essential": True, "value": self._settings.oidc_issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
        }
        for fresh in (False, True):
            keys = await self._key_set(fresh=fresh)
            try:
                token = jwt.decode(raw, _usable(keys), algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                if fresh:
                    raise refused from error
                continue  # its key may be newer than the set that is known
            try:
                claims = CodeIDToken(
                    token.claims, token.header, options, {"nonce": nonce, "client_id": self._settings.oidc_client_id}
                )
                claims.validate(now=int(time.time()), leeway=SKEW_S)
            except (JoseError, ValueError, TypeError) as error:
                raise refused from error
            given = token.claims.get("nonce")
            if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
                raise refused
            return dict(token.claims)
        raise refused

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise BadSignIn("the provider's answer names nobody", remedy=_REMEDY)
        address = claims.get("email") if claims.get("email_verified") is True else None
        domains = {each.strip().lower() for each in self._settings.oidc_domains.split(",") if each.strip()}
        if domains and (not isinstance(address, str) or address.rpartition("@")[2].lower() not in domains):
            raise BadSignIn(
                "this account has no verified address at a domain that may sign in", remedy="Use another account."
            )
        shown = claims.get("name") or claims.get("preferred_username") or address or subject
        display = "".join(each for each in str(shown) if each.isprintable()).strip()[:200] or subject[:200]
        plans = {self._plans[each] for each in _values(claims, self._settings.oidc_plan_claim) if each in self._plans}
        roles = [self._roles[each] for each in _values(claims, self._settings.oidc_role_claim) if each in self._roles]
        # a role that the provider gave goes when the provider no longer gives it
        role = (roles or [CALLER])[0] if self._settings.oidc_role_claim else None
        return Identity(self._settings.oidc_issuer, subject, display, frozenset(plans), role)

    # -- the provider ------------------------------------------------------------------------------------------------

    async def _discovered(self) -> dict[str, Any]:
        if self._known is not None and time.monotonic() - self._known[0] < KEPT_S:
            return self._known[1]
        issuer = self._settings.oidc_issuer
        found = await self._fetch(_secure(issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if found.get("issuer") != issuer:
            raise SignInUnavailable("the sign-in provider calls itself by another name than the setting oidc_issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _secure(found.get(name))
        self._known = (time.monotonic(), found)
        return found

    async def _key_set(self, *, fresh: bool) -> dict[str, Any]:
        age = float("inf") if self._keys is None else time.monotonic() - self._keys[0]
        if self._keys is not None and age < (REFETCH_S if fresh else KEPT_S):
            return self._keys[1]
        found = await self._fetch((await self._discovered())["jwks_uri"])
        self._keys = (time.monotonic(), found)
        return found

    async def _fetch(self, address: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object. A form is sent as the client, by its secret. Raises SignInUnavailable, BadSignIn."""
        import aiohttp

        headers = {"Accept": "application/json"}
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
                if form is None:
                    request = session.get(address, headers=headers, allow_redirects=False)
                else:
                    who = quote_plus(self._settings.oidc_client_id), quote_plus(await asyncio.to_thread(self._secret))
                    headers["Authorization"] = aiohttp.encode_basic_auth(*who)
                    request = session.post(address, data=dict(form), headers=headers, allow_redirects=False)
                async with request as response:
                    body = await response.content.read(MOST_BYTES)
                    status = response.status
            found = json.loads(body) if status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            raise SignInUnavailable("the sign-in provider does not answer as it should") from error
        if form is not None and status == 401:
            raise SignInUnavailable("the sign-in provider does not know this site by its client id and secret")
        if form is not None and 400 <= status < 500:
            raise BadSignIn("the provider did not take the code that your browser brought", remedy=_REMEDY)
        if status != 200:
            raise SignInUnavailable(f"the sign-in provider answered with status {status}")
        if not isinstance(found, dict):
            raise SignInUnavailable("the sign-in provider does not answer as it should")
        return found

    def _secret(self) -> str:
        """The client's secret. Raises BadSettings."""
        if self._settings.oidc_client_secret_file:
            try:
                return Path(self._settings.oidc_client_secret_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadSettings(f"the file of the setting oidc_client_secret_file cannot be read: {error}") from error
        return self._settings.oidc_client_secret.get_secret_value()


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name; None where they name none. Raises BadSettings."""
    if bool(settings.oidc_issuer) != bool(settings.oidc_client_id):
        raise BadSettings("of the settings oidc_issuer and oidc_client_id one is given without the other")
    return Provider(settings) if settings.oidc_issuer else None


def _usable(served: Mapping[str, Any]) -> KeySet:
    """The keys of a set that signatures are checked with; kinds not known here leave the others be."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    keys = []
    for each in served["keys"]:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") == "oct":
            continue
        try:
            keys.append(JWKRegistry.import_key(cast("Any", each)))
        except (JoseError, ValueError, KeyError, TypeError):
            continue
    return KeySet(keys)


def _values(claims: Mapping[str, Any], path: str) -> Collection[str]:
    """The words under a claim, which may lie deeper (`realm_access.roles`): a list's, or one."""
    found: Any = claims
    for part in path.split(".") if path else ():
        found = found.get(part) if isinstance(found, dict) else None
    if not path or found is None:
        return ()
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]


def _secure(address: Any) -> str:
    """An address that may be asked: https, or this machine. Raises SignInUnavailable."""
    parts = urlsplit(address if isinstance(address, str) else "")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise SignInUnavailable("the sign-in provider names an address that is not https")
    return str(address)
