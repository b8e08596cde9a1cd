"""HTTP of machine clients, for the administrator of their facility."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.accounts import client_repository, client_service
from tamsoat.inference_service.accounts.access import (
    AccountSetupError,
    ForbiddenError,
    NotSignedInError,
    Principal,
    Role,
    allow,
)
from tamsoat.inference_service.accounts.client_service import (
    ClientDisabledError,
    ClientNotFoundError,
    FirstClientError,
)
from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.key_fetch import KeyAddressError
from tamsoat.inference_service.accounts.public_keys import PublicKeysError
from tamsoat.inference_service.accounts.scopes import SCOPES_MAX, ScopeError
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.conditional import PreconditionFailedError
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.uploads import UploadTooLargeError, UploadTooSlowError

router = APIRouter(prefix="/api/v1", tags=["clients"])

Name = Annotated[
    str,
    Field(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", examples=["HIS"]
    ),
]
Scopes = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=SCOPES_MAX,
        description="SMART v2 system scopes, the most that a token of this client may hold",
        examples=[["system/ServiceRequest.cr", "system/Media.c", "system/Observation.rs"]],
    ),
]
KeysUrl = Annotated[
    str | None,
    Field(
        max_length=500,
        description="https address of the client's JSON Web Key Set; the keys may change there at any time",
        examples=["https://his.hospital.example/jwks.json"],
    ),
]
Keys = Annotated[dict[str, Any] | None, Field(description="The client's public keys (RFC 7517), instead of an address")]


class NewClient(BaseModel):
    """A client to register; exactly one of `jwks_url` and `jwks`."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: Scopes
    jwks_url: KeysUrl = None
    jwks: Keys = None


class ClientChange(BaseModel):
    """What to change; what is not sent stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    scopes: Scopes | None = None
    jwks_url: KeysUrl = None
    jwks: Keys = None


class ClientAnswer(BaseModel):
    """A machine client."""

    client_id: str = Field(description="`iss` and `sub` of its assertions")
    name: str
    scopes: list[str]
    jwks_url: str | None
    jwks: dict[str, Any] | None
    state: Literal["enabled", "disabled"]
    created_at: datetime
    updated_at: datetime


class ClientList(BaseModel):
    """Every client of the facility, oldest first."""

    items: list[ClientAnswer]


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Admin = Annotated[Principal, allow(Role.ADMINISTRATOR)]
ClientId = Annotated[str, Path(max_length=64, description="From the list of clients")]
_COMMON = (
    NotSignedInError, ForbiddenError, AccountSetupError, InvalidRequestError, DatabaseUnavailableError
)  # fmt: skip
_WRITING = (*_COMMON, CsrfError, StorageFullError, UploadTooLargeError, UploadTooSlowError)
_KEYS = (ScopeError, PublicKeysError, KeyAddressError)


@router.get("/clients", summary="List machine clients", responses={**describe(*_COMMON)})
def list_clients(runtime: RuntimeDep, principal: Admin) -> ClientList:
    """Every machine client of the administrator's own facility, the disabled ones included."""
    with runtime.database.read() as session:
        found = client_repository.list_of_facility(session, principal.facility_id)
    return ClientList(items=[describe_client(client) for client in found])


@router.post(
    "/clients",
    status_code=201,
    summary="Register a machine client",
    responses={**describe(*_WRITING, *_KEYS, FirstClientError)},
)
def create_client(runtime: RuntimeDep, principal: Admin, response: Response, sent: NewClient) -> ClientAnswer:
    """A hospital system that proves who it is with its private key; the service only ever sees the public one."""
    if principal.kind == "local":
        raise FirstClientError("create an administrator first: once a client exists, everyone signs in")
    with runtime.database.write() as session:
        client = client_service.create(
            session,
            runtime.settings,
            facility_id=principal.facility_id,
            name=sent.name,
            scopes=sent.scopes,
            jwks_url=sent.jwks_url,
            jwks=sent.jwks,
            actor=principal.actor,
        )
    answer = describe_client(client)
    response.headers["Location"] = f"/api/v1/clients/{client.id}"
    response.headers["ETag"] = etag_of(client)
    return answer


@router.get(
    "/clients/{client_id}",
    response_model=ClientAnswer,
    summary="Read one machine client",
    responses={304: {"description": "Not modified"}, **describe(*_COMMON, ClientNotFoundError)},
)
def read_client(request: Request, runtime: RuntimeDep, principal: Admin, client_id: ClientId) -> Response:
    """One client of the administrator's own facility, with an `ETag`."""
    with runtime.database.read() as session:
        client = client_service.get(session, principal.facility_id, client_id)
    return conditional.answer(request, describe_client(client), etag=etag_of(client))


@router.patch(
    "/clients/{client_id}",
    response_model=ClientAnswer,
    summary="Change a machine client",
    responses={**describe(*_WRITING, *_KEYS, ClientNotFoundError, ClientDisabledError, PreconditionFailedError)},
)
def update_client(
    request: Request, runtime: RuntimeDep, principal: Admin, client_id: ClientId, sent: ClientChange
) -> Response:
    """Change name, scopes or keys. Tokens that were issued lose a scope within five seconds.

    With `If-Match` the change is made only where nobody has changed the client since it was read.
    """
    with runtime.database.write() as session:
        client = client_service.get(session, principal.facility_id, client_id, lock=True)
        conditional.require_match(request, etag_of(client), required=False)
        client_service.update(
            session,
            runtime.settings,
            client,
            name=sent.name,
            scopes=sent.scopes,
            jwks_url=sent.jwks_url,
            jwks=sent.jwks,
            actor=principal.actor,
        )
    runtime.tokens.forget(client_id)
    return conditional.answer(request, describe_client(client), etag=etag_of(client))


@router.post(
    "/clients/{client_id}/disable",
    summary="Disable a machine client",
    responses={**describe(*_WRITING, ClientNotFoundError)},
)
def disable_client(runtime: RuntimeDep, principal: Admin, client_id: ClientId) -> ClientAnswer:
    """No further tokens; those it holds end within five seconds. A disabled client stays disabled."""
    with runtime.database.write() as session:
        client = client_service.get(session, principal.facility_id, client_id, lock=True)
        client_service.disable(session, client, actor=principal.actor)
    runtime.tokens.forget(client_id)
    return describe_client(client)


def describe_client(client: Client) -> ClientAnswer:
    """What the administrator sees of a client."""
    return ClientAnswer(
        client_id=client.id,
        name=client.name,
        scopes=client.scopes,
        jwks_url=client.jwks_url,
        jwks=client.jwks,
        state="disabled" if client.disabled_at else "enabled",
        created_at=client.created_at,
        updated_at=client.updated_at,
    )


def etag_of(client: Client) -> str:
    """The tag of the client as it is stored."""
    return conditional.etag_of(client.id, client.updated_at.isoformat())
