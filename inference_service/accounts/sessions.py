"""Signed-in browsers: their cookies, their limits, and the token that proves a change was asked for by our page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fastapi import Request, Response
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository
from tamsoat.inference_service.accounts.access import NotSignedInError, Pending, Principal, Role
from tamsoat.inference_service.accounts.cache import LiveSession, changes, forget_after_commit
from tamsoat.inference_service.accounts.tables import ACTIVE, Account, AccountSession
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings

CSRF_HEADER = "X-CSRF-Token"
TOKEN_BYTES = 32
SECURE_COOKIE, PLAIN_COOKIE = "__Host-tamsoat-session", "tamsoat-session"
TOUCH_AFTER = timedelta(seconds=60)
"""Activity is written at most this often."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class CsrfError(TamsoatError):
    """A change was asked for with a session cookie but without the session's own token."""

    status = 403
    title = "Request not confirmed by the page"
    slug = "csrf"


def open_session(session: Session, settings: Settings, account: Account, method: str) -> str:
    """Start a session in the caller's transaction and return the value of its cookie, which is stored nowhere.

    ``method``: ``password`` or ``oidc``. The caller ends the session that the request came with, if any.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = datetime.now(UTC)
    session.add(
        AccountSession(
            id=str(uuid.uuid4()),
            token_sha256=_digest(token),
            account_id=account.id,
            method=method,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(hours=settings.session_max_h),
        )
    )
    account.last_active_at = now
    return token


def end_token(session: Session, token: str | None) -> None:
    """End the session of this cookie, so that none from before a sign-in goes on working."""
    found = repository.session_by_token(session, _digest(token)) if token else None
    if found is not None:
        repository.remove_sessions(session, session_id=found.id)
        forget_after_commit(session)


def principal_of_session(request: Request) -> Principal | None:
    """The principal behind the session cookie of ``request``; None where there is no valid one.

    Raises:
        CsrfError: the method is not a safe one and :data:`CSRF_HEADER` does not hold the session's token.
    """
    live = live_session(request)
    if live is None:
        return None
    if request.method not in _SAFE_METHODS:
        offered = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(offered.encode(), live.csrf_token.encode()):
            raise CsrfError("the page is out of date or the request did not come from it: reload the page, try again")
    return live.principal


def live_session(request: Request) -> LiveSession | None:
    """The session of the cookie, within its idle and absolute limits; records activity once a minute."""
    runtime: Runtime = request.app.state.runtime
    token = request.cookies.get(cookie_name(runtime.settings))
    if not token:
        return None
    digest, now = _digest(token), datetime.now(UTC)
    seen = changes()
    live = runtime.access.get(digest)
    if live is None:
        live = _read(runtime, token, digest)
        if live is None:
            return None
        runtime.access.put(digest, live, seen)
    if now >= live.expires_at or now - live.last_seen_at >= timedelta(minutes=runtime.settings.session_idle_min):
        return None
    if now - live.last_seen_at >= TOUCH_AFTER:
        with runtime.database.write() as session:
            repository.touch(session, live.session_id, live.account_id, now)
        runtime.access.put(digest, replace(live, last_seen_at=now), seen)
    return live


def read_session(runtime: Runtime, token: str) -> tuple[Principal, LiveSession]:
    """The session of a cookie that was handed out a moment ago.

    Raises:
        NotSignedInError: it was ended meanwhile.
    """
    live = _read(runtime, token, _digest(token))
    if live is None:
        raise NotSignedInError("the session was ended meanwhile: sign in again")
    return live.principal, live


def csrf_token(token: str) -> str:
    """The token that goes with a cookie: derived from it, and of no use without it."""
    digest = hmac.new(token.encode(), b"tamsoat csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def pending_of(account: Account, method: str, settings: Settings) -> Pending | None:
    """What the person has to do before anything else; the identity provider answers for those it signed in."""
    if method == "oidc":
        return None
    if account.must_change_password:
        return "change-password"
    roles = {row.role for row in account.role_rows}
    if account.totp_secret is None and needs_second_factor(roles, settings):
        return "enrol-second-factor"
    return None


def needs_second_factor(roles: set[str], settings: Settings) -> bool:
    """Administrators always; everybody where the service is reached over a network."""
    return settings.secure or Role.ADMINISTRATOR in roles


def cookie_name(settings: Settings) -> str:
    """``__Host-`` binds the cookie to this host and to https; browsers refuse it on plain http."""
    return SECURE_COOKIE if settings.secure else PLAIN_COOKIE


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Hand the cookie to the browser."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=settings.session_max_h * 3600,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, settings: Settings) -> None:
    """Take the cookie back."""
    response.delete_cookie(cookie_name(settings), path="/", secure=settings.secure, httponly=True, samesite="lax")


def _read(runtime: Runtime, token: str, digest: str) -> LiveSession | None:
    with runtime.database.read() as session:
        row = repository.session_by_token(session, digest)
        if row is None or row.account.status != ACTIVE:
            return None
        account = row.account
        pending = pending_of(account, row.method, runtime.settings)
        roles = frozenset(Role(role.role) for role in account.role_rows)
        principal = Principal(
            actor=f"account:{account.id}",
            kind="account",
            facility_id=account.facility_id,
            roles=frozenset() if pending else roles,
            pending=pending,
        )
        return LiveSession(
            row.id, account.id, principal, row.method, csrf_token(token), row.last_seen_at, row.expires_at
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
