"""HTTP of signing in at the hospital's OpenID provider: there, back, and out."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from tamsoat.inference_service.accounts import oidc, oidc_service, sessions
from tamsoat.inference_service.accounts.access import public
from tamsoat.inference_service.accounts.oidc import OidcNotConfiguredError, OidcProvider, OidcRefusedError
from tamsoat.inference_service.accounts.public_address import base_url
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport.redirects import local_path

CALLBACK = "/oidc/callback"
HINT_CONTEXT = "oidc.id-token"
HINT_BYTES_MAX = 3000
"""A cookie holds about four kilobytes; a longer ID token is not kept, and the provider asks at the sign-out."""

router = APIRouter(prefix="/oidc", include_in_schema=False)


@router.get("/sign-in", dependencies=[public("leads to the identity provider")])
async def begin(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Send the browser to the provider; ``next``: where it goes afterwards."""
    settings: Settings = request.app.state.settings
    try:
        url, begun = await _provider(request).begin(base_url(request) + CALLBACK, local_path(next))
    except oidc.OidcUnavailableError as error:
        return _back_to_sign_in(error)
    response = RedirectResponse(url, 303)
    _set(response, settings, _name(settings), begun.seal(), oidc.SIGN_IN_S)
    return response


@router.get("/callback", dependencies=[public("comes back from the identity provider")])
async def finish(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Judge what the provider says, and start a session."""
    runtime: Runtime = request.app.state.runtime
    settings = runtime.settings
    provider = _provider(request)
    try:
        begun = oidc.unseal(request.cookies.get(_name(settings)), state)
        if not code:
            raise OidcRefusedError("the identity provider did not sign you in")
        identity = await provider.finish(begun, base_url(request) + CALLBACK, code, iss)
        presented = request.cookies.get(sessions.cookie_name(settings))
        token = await to_thread.run_sync(partial(oidc_service.sign_in, runtime.database, settings, identity, presented))
    except (OidcRefusedError, oidc.OidcUnavailableError, oidc_service.NoAccountHereError) as error:
        response = _back_to_sign_in(error)
    else:
        response = RedirectResponse(begun.target, 303)
        sessions.set_cookie(response, settings, token)
        if len(identity.id_token) <= HINT_BYTES_MAX:
            sealed = encryption.encrypt(identity.id_token, HINT_CONTEXT)
            _set(response, settings, _name(settings, "hint"), sealed, settings.session_max_h * 3600)
    _clear(response, settings, _name(settings))
    return response


@router.get("/sign-out", dependencies=[public("leads to the identity provider; our own session was ended before")])
async def sign_out(request: Request) -> Response:
    """Sign out at the provider too, where the person had signed in there."""
    settings: Settings = request.app.state.settings
    back = base_url(request) + "/sign-in"
    response: Response = RedirectResponse("/sign-in", 303)
    sealed = request.cookies.get(_name(settings, "hint"))
    if settings.oidc_issuer and sealed:
        try:
            url = await _provider(request).sign_out_url(encryption.decrypt(sealed, HINT_CONTEXT), back)
        except (encryption.DecryptionError, oidc.OidcUnavailableError):
            url = None
        response = RedirectResponse(url or "/sign-in", 303)
    _clear(response, settings, _name(settings, "hint"))
    return response


def _provider(request: Request) -> OidcProvider:
    if not request.app.state.settings.oidc_issuer:
        raise OidcNotConfiguredError("this service signs people in by itself: /sign-in")
    provider: OidcProvider = request.app.state.oidc
    return provider


def _back_to_sign_in(error: TamsoatError) -> Response:
    return RedirectResponse(f"/sign-in?problem={quote(error.slug)}", 303)


def _name(settings: Settings, kind: str = "sign-in") -> str:
    return f"{'__Host-' if settings.secure else ''}tamsoat-oidc-{kind}"


def _set(response: Response, settings: Settings, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=settings.secure, httponly=True, samesite="lax")


def _clear(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(name, path="/", secure=settings.secure, httponly=True, samesite="lax")
