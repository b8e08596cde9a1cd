"""Register, change and disable machine clients."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import client_repository, examples
from tamsoat.inference_service.accounts.cache import forget_after_commit
from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.key_fetch import check_address
from tamsoat.inference_service.accounts.public_keys import PublicKeysError, public_document, read_keys
from tamsoat.inference_service.accounts.scopes import check_scopes
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event, canonical_json, sha256_hex
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import Settings


class ClientNotFoundError(TamsoatError):
    """The facility has no client with this identifier."""

    status = 404
    title = "Client not found"
    slug = "client-not-found"
    exit_code = EXIT_USAGE


class FirstClientError(TamsoatError):
    """The first client of a machine that works without sign-in would lock everybody out."""

    status = 409
    title = "First client"
    slug = "first-client"


class ClientDisabledError(TamsoatError):
    """A disabled client cannot be changed; register a new one."""

    status = 409
    title = "Client is disabled"
    slug = "client-disabled"
    exit_code = EXIT_USAGE


def create(
    session: Session,
    settings: Settings,
    *,
    facility_id: str,
    name: str,
    scopes: Sequence[str],
    jwks_url: str | None = None,
    jwks: dict[str, Any] | None = None,
    actor: str,
) -> Client:
    """Register a client of the facility; records ``client:create``.

    Raises:
        ScopeError: a scope is not valid.
        PublicKeysError, KeyAddressError: the keys or their address cannot be used; exactly one must be given.
    """
    now = datetime.now(UTC)
    client = Client(
        id=str(uuid.uuid4()), facility_id=facility_id, name=name, scopes=check_scopes(scopes),
        jwks_url=None, jwks=None, created_at=now, updated_at=now, disabled_at=None,
    )  # fmt: skip
    _set_keys(client, settings, jwks_url, jwks)
    session.add(client)
    session.flush()
    forget_after_commit(session)
    examples.retire(session, actor)
    _record(session, client, Action.CLIENT_CREATE, actor)
    return client


def update(
    session: Session,
    settings: Settings,
    client: Client,
    *,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
    jwks_url: str | None = None,
    jwks: dict[str, Any] | None = None,
    actor: str,
) -> None:
    """Change what is given; records ``client:update``.

    Raises:
        ClientDisabledError, ScopeError, PublicKeysError, KeyAddressError: nothing was changed.
    """
    if client.disabled_at is not None:
        raise ClientDisabledError("the client is disabled for good; register a new one")
    if name is not None:
        client.name = name
    if scopes is not None:
        client.scopes = check_scopes(scopes)
    if jwks_url is not None or jwks is not None:
        _set_keys(client, settings, jwks_url, jwks)
    client.updated_at = datetime.now(UTC)
    session.flush()
    _record(session, client, Action.CLIENT_UPDATE, actor)


def disable(session: Session, client: Client, *, actor: str) -> None:
    """Refuse the client from now on (tokens that it holds: within five seconds); records ``client:disable`` once."""
    if client.disabled_at is not None:
        return
    client.disabled_at = client.updated_at = datetime.now(UTC)
    session.flush()
    _record(session, client, Action.CLIENT_DISABLE, actor)


def get(session: Session, facility_id: str | None, client_id: str, *, lock: bool = False) -> Client:
    """The client of the facility (None: of any); ``lock`` keeps others from changing it meanwhile.

    Raises:
        ClientNotFoundError: there is none.
    """
    found = client_repository.get(session, client_id, lock=lock)
    if found is None or facility_id not in (None, found.facility_id):
        raise ClientNotFoundError("there is no client with this identifier")
    return found


def _set_keys(client: Client, settings: Settings, jwks_url: str | None, jwks: dict[str, Any] | None) -> None:
    if (jwks_url is None) == (jwks is None):
        raise PublicKeysError("state exactly one of jwks_url and jwks")
    if jwks_url is not None:
        check_address(jwks_url, settings)
    client.jwks_url = jwks_url
    client.jwks = None if jwks is None else public_document(read_keys(jwks))


def _record(session: Session, client: Client, action: Action, actor: str) -> None:
    keys = canonical_json(client.jwks) if client.jwks is not None else str(client.jwks_url)
    digests = {"keys": sha256_hex(keys), "scopes": sha256_hex(" ".join(client.scopes))}
    event = Event(actor, action, f"client:{client.id}", digests, client.facility_id, {"scopes": len(client.scopes)})
    audit.append(session, event)
