"""From a request to its principal: a bearer token, a session cookie, or this machine itself."""

from __future__ import annotations

from fastapi import Request

from tamsoat.inference_service.accounts.access import EVERYONE, NotSignedInError, Principal
from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY

LOCAL = Principal("local", "local", LOCAL_FACILITY, frozenset(EVERYONE))
"""Whoever sits at the machine of a service that listens on loopback and has no account yet."""


def authenticate(request: Request) -> Principal | None:
    """The principal of ``request``; None where it carries no proof of one.

    A request with an ``Authorization`` header is judged by it alone, so that a cookie never stands in for a token
    that expired.

    Raises:
        NotSignedInError: the token of the ``Authorization`` header is not valid.
        CsrfError: a change was asked for with a cookie and without the session's token (accounts/sessions.py).
    """
    from tamsoat.inference_service.accounts import sessions

    header = request.headers.get("authorization")
    if header is not None:
        return _principal_of_header(request, header)
    principal = sessions.principal_of_session(request)
    if principal is not None:
        return principal
    return LOCAL if serves_this_machine(request) else None


def serves_this_machine(request: Request) -> bool:
    """Whether requests without sign-in are answered: on loopback, until the first account or client exists."""
    from tamsoat.inference_service.accounts import service

    settings = request.app.state.settings
    if settings.access != "auto" or not settings.listens_on_loopback:
        return False
    return not service.any_account_or_client(request.app.state.runtime)


def _principal_of_header(request: Request, header: str) -> Principal:
    from tamsoat.inference_service.accounts.tokens import principal_of_token

    scheme, _, token = header.partition(" ")
    principal = principal_of_token(request, token.strip()) if scheme.lower() == "bearer" else None
    if principal is None:
        raise NotSignedInError("the bearer token is missing, expired or not valid")
    return principal
