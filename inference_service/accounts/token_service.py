"""Exchange a client's assertion for an access token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import IntegrityError

from tamsoat.inference_service.accounts import client_repository
from tamsoat.inference_service.accounts.assertions import (
    Assertion,
    OAuthError,
    read_assertion,
    verify_signature,
)
from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.scopes import SCOPES_MAX, within
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.runtime import Runtime

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT_TYPE = "client_credentials"

log = structlog.get_logger("tamsoat.clients")


@dataclass(frozen=True)
class TokenRequest:
    """The fields of the form, empty where they were not sent."""

    grant_type: str
    scope: str
    client_assertion_type: str
    client_assertion: str
    client_id: str = ""


@dataclass(frozen=True)
class Issued:
    """A token and what it is good for."""

    access_token: str
    expires_in_s: int
    scope: str


def exchange(runtime: Runtime, request: TokenRequest, token_url: str) -> Issued:
    """Check the request and issue a token; the assertion cannot be used a second time.

    Blocks (database, sometimes the network): to be called from a thread.

    Raises:
        OAuthError: refused, with the code of RFC 6749.
        DatabaseUnavailableError, StorageFullError: nothing was issued.
    """
    try:
        return _exchange(runtime, request, token_url)
    except OAuthError as error:
        _record_refusal(runtime, error)
        raise


def _exchange(runtime: Runtime, request: TokenRequest, token_url: str) -> Issued:
    if not request.grant_type:
        raise OAuthError("invalid_request", "grant_type is missing")
    if request.grant_type != GRANT_TYPE:
        raise OAuthError("unsupported_grant_type", f"grant_type must be {GRANT_TYPE}")
    if request.client_assertion_type != ASSERTION_TYPE:
        raise OAuthError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}")
    assertion = read_assertion(request.client_assertion, token_url)
    with runtime.database.read() as session:
        client = client_repository.get(session, assertion.client_id)
        used = client is not None and client_repository.is_used(session, client.id, assertion.jti_sha256)
    if client is None or request.client_id not in ("", client.id):
        raise OAuthError("invalid_client", "the client is not known")
    verify_signature(assertion, client, runtime.client_keys)
    if client.disabled_at is not None:
        raise OAuthError("invalid_client", "the client is disabled", client)
    if used:
        raise _replayed(client)
    scopes = _granted(request.scope, client)
    _record_use(runtime, assertion, client, scopes)
    token = runtime.tokens.issue(client.id, client.facility_id, scopes)
    log.info("token_issued", client_id=client.id)
    return Issued(token, runtime.tokens.lifetime_s, " ".join(scopes))


def _granted(scope: str, client: Client) -> list[str]:
    wanted = list(dict.fromkeys(scope.split(" "))) if scope.strip() else []
    if not wanted or len(wanted) > SCOPES_MAX:
        raise OAuthError("invalid_scope", f"scope must name between 1 and {SCOPES_MAX} scopes", client)
    if any(not within(client.scopes, name) for name in wanted):
        raise OAuthError("invalid_scope", f"this client may hold only: {' '.join(client.scopes)}", client)
    return wanted


def _record_use(runtime: Runtime, assertion: Assertion, client: Client, scopes: list[str]) -> None:
    """Make the assertion unusable and write the event, in one transaction over all processes."""
    event = Event(
        f"client:{client.id}",
        Action.CLIENT_TOKEN,
        f"client:{client.id}",
        facility=client.facility_id,
        details={"scopes": len(scopes)},
    )
    try:
        with runtime.database.write() as session:
            client_repository.forget_expired(session, datetime.now(UTC))
            client_repository.add_used(session, client.id, assertion.jti_sha256, assertion.expires_at)
            audit.append(session, event)
    except IntegrityError as error:
        raise _replayed(client) from error


def _replayed(client: Client) -> OAuthError:
    return OAuthError("invalid_client", "this client_assertion was used before: each needs a jti of its own", client)


def _record_refusal(runtime: Runtime, error: OAuthError) -> None:
    log.warning("token_refused", code=error.code, client_id=error.client.id if error.client else None)
    if error.client is None:
        return
    event = Event(
        f"client:{error.client.id}",
        Action.ACCESS_DENY,
        f"client:{error.client.id}",
        facility=error.client.facility_id,
        details={"code": error.code},
    )
    with runtime.database.write() as session:
        audit.append(session, event)
