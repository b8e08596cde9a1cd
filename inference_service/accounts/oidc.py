# ruff: noqa: E402 - a warning has to be silenced before the library that gives it is imported
"""OpenID Connect as the relying party: Authorization Code with PKCE, state and nonce; the protocol is authlib's.

What the answers of the provider are held to: the issuer is the one of the settings, the ID token is signed by one of
its keys with an asymmetric algorithm, is meant for us, has not expired, and carries the nonce of this browser.
"""

from __future__ import annotations

import hmac
import json
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import structlog
from authlib.deprecate import AuthlibDeprecationWarning

# Said on import to everyone who starts the service; it is for those who write it.
warnings.filterwarnings("ignore", "The httpx module is deprecated", AuthlibDeprecationWarning)
from authlib.integrations.base_client.errors import OAuthError as ProviderRefusal
from authlib.integrations.starlette_client import StarletteIntegration, StarletteOAuth2App
from joserfc.errors import JoseError

from tamsoat.inference_service.accounts.key_fetch import trusted_context
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import LOOPBACK_HOSTS, Settings

CONTEXT = "oidc.sign-in"
SIGN_IN_S = 600
"""How long a person may take at the provider."""
METADATA_BELIEVED_S = 3600.0
TIMEOUT_S = 10.0
CLOCK_LEEWAY_S = 30
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")

log = structlog.get_logger("tamsoat.oidc")


class OidcUnavailableError(TamsoatError):
    """The hospital's OpenID provider does not answer, or not as one."""

    status = 503
    title = "Identity provider unavailable"
    slug = "oidc-unavailable"


class OidcRefusedError(TamsoatError):
    """The answer of the OpenID provider, or of the browser that brought it, cannot be trusted."""

    status = 401
    title = "Sign-in at the identity provider failed"
    slug = "oidc-refused"


class OidcNotConfiguredError(TamsoatError):
    """This service knows no OpenID provider."""

    status = 404
    title = "No identity provider"
    slug = "oidc-not-configured"


@dataclass(frozen=True, repr=False)
class Begun:
    """What the browser has to bring back, sealed into a cookie."""

    state: str
    nonce: str
    code_verifier: str
    target: str
    begun_s: float

    def seal(self) -> str:
        """The value of the cookie; only this installation can read or make it."""
        return encryption.encrypt(json.dumps(asdict(self)), CONTEXT)


@dataclass(frozen=True, repr=False)
class Identity:
    """Who signed in at the provider; ``id_token`` is kept for the sign-out."""

    issuer: str
    subject: str
    claims: dict[str, Any]
    id_token: str


def unseal(cookie: str | None, state: str) -> Begun:
    """What :meth:`Begun.seal` made for the sign-in that ``state`` belongs to.

    Raises:
        OidcRefusedError: there is none, it is another one's, or too old.
    """
    try:
        begun = Begun(**json.loads(encryption.decrypt(cookie or "", CONTEXT)))
    except (encryption.DecryptionError, ValueError, TypeError) as error:
        raise OidcRefusedError("the sign-in was not begun in this browser: begin again") from error
    if not 0 <= time.time() - begun.begun_s <= SIGN_IN_S:
        raise OidcRefusedError("the sign-in took too long: begin again")
    if not state or not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise OidcRefusedError("the answer belongs to another sign-in: begin again")
    return begun


class OidcProvider:
    """The provider of the settings; its metadata is read when it is first needed, and hourly. Of one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: StarletteOAuth2App | None = None
        self._made_s = float("-inf")

    async def begin(self, redirect_uri: str, target: str) -> tuple[str, Begun]:
        """The address to send the browser to, and what it has to bring back."""
        app = await self._ready()
        made = await app.create_authorization_url(redirect_uri)
        return made["url"], Begun(made["state"], made["nonce"], made["code_verifier"], target, time.time())

    async def finish(self, begun: Begun, redirect_uri: str, code: str, issuer: str | None) -> Identity:
        """Exchange the code for an ID token and judge it. ``issuer``: the ``iss`` that came with the code (RFC 9207).

        Raises:
            OidcRefusedError: the provider refuses the code, or its answer does not hold.
            OidcUnavailableError: it does not answer.
        """
        app = await self._ready()
        expected = self._settings.oidc_issuer
        if issuer != expected and (
            issuer is not None or app.server_metadata.get("authorization_response_iss_parameter_supported")
        ):
            raise OidcRefusedError("the answer comes from another identity provider")
        try:
            token = await app.fetch_access_token(redirect_uri, code=code, code_verifier=begun.code_verifier)
            if not isinstance(token.get("id_token"), str):
                raise OidcRefusedError("the identity provider sent no ID token")
            claims = await self._judge(app, token, begun.nonce)
        except (JoseError, ProviderRefusal, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("oidc_refused", kind=type(error).__name__)
            raise OidcRefusedError("the answer of the identity provider does not hold") from error
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise OidcRefusedError("the identity provider does not say who signed in")
        return Identity(expected, subject, dict(claims), token["id_token"])

    async def sign_out_url(self, id_token: str, back: str) -> str | None:
        """Where to sign out at the provider too (RP-Initiated Logout); None where it offers no such place."""
        app = await self._ready()
        if not app.server_metadata.get("end_session_endpoint"):
            return None
        made = await app.create_logout_url(
            post_logout_redirect_uri=back, id_token_hint=id_token, client_id=self._settings.oidc_client_id
        )
        return str(made["url"])

    async def _judge(self, app: StarletteOAuth2App, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        required = {
            "iss": {"essential": True, "value": self._settings.oidc_issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
            "nonce": {"essential": True, "value": nonce},
        }
        claims = await app.parse_id_token(token, nonce, claims_options=required, leeway=CLOCK_LEEWAY_S)
        return dict(claims)

    async def _ready(self) -> StarletteOAuth2App:
        if self._app is not None and time.monotonic() - self._made_s < METADATA_BELIEVED_S:
            return self._app
        try:
            app = self._make()
            metadata = await app.load_server_metadata()
            self._check(metadata)
        except (httpx.HTTPError, OSError, ValueError, TypeError, AttributeError) as error:
            raise self._unavailable(error) from error
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in ALGORITHMS]
        self._app, self._made_s = app, time.monotonic()
        return app

    def _make(self) -> StarletteOAuth2App:
        settings = self._settings
        secret = settings.oidc_secret
        return StarletteOAuth2App(
            StarletteIntegration("oidc"),
            name="oidc",
            client_id=settings.oidc_client_id,
            client_secret=secret,
            server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scopes,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
                "verify": trusted_context(settings),
                "timeout": TIMEOUT_S,
                "trust_env": False,
            },
        )

    def _check(self, metadata: dict[str, Any]) -> None:
        """The provider must call itself what the settings call it, and be reached by https."""
        if metadata.get("issuer") != self._settings.oidc_issuer:
            raise ValueError("the metadata names another issuer")
        for name in _ENDPOINTS:
            url = metadata.get(name)
            if url is None and name == "end_session_endpoint":
                continue
            parsed = httpx.URL(str(url))
            local = parsed.scheme == "http" and parsed.host in LOOPBACK_HOSTS and self._settings.listens_on_loopback
            if parsed.scheme != "https" and not local:
                raise ValueError("an endpoint of the provider is not https")

    def _unavailable(self, error: Exception) -> OidcUnavailableError:
        log.warning("oidc_unavailable", kind=type(error).__name__, reason=str(error)[:200])
        return OidcUnavailableError("the hospital's identity provider does not answer; try again in a moment")
