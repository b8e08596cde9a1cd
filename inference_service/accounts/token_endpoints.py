"""HTTP of the token endpoint and of its discovery documents."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.accounts import token_service
from tamsoat.inference_service.accounts.access import public, scopes_of
from tamsoat.inference_service.accounts.assertions import ALGORITHMS, OAuthError
from tamsoat.inference_service.accounts.public_address import base_url
from tamsoat.inference_service.accounts.token_service import ASSERTION_TYPE, GRANT_TYPE, TokenRequest
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.problems import MEDIA_TYPE, InvalidRequestError, describe
from tamsoat.inference_service.transport.rate_limits import Limit
from tamsoat.inference_service.transport.uploads import UploadTooLargeError, UploadTooSlowError

TURNS = 8
"""Token requests worked on at once: a client whose keys arrive slowly holds up no more threads than these."""
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path

router = APIRouter(tags=["clients"])


class TokenAnswer(BaseModel):
    """An access token (RFC 6749, section 5.1)."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`")
    token_type: str = Field(examples=["bearer"])
    expires_in: int = Field(description="Seconds for which it is valid", examples=[300])
    scope: str = Field(description="What it is good for", examples=["system/ServiceRequest.cr"])


class TokenRefusal(BaseModel):
    """Why there is no token (RFC 6749, section 5.2); not a problem document, as that RFC demands."""

    error: str = Field(examples=["invalid_client"])
    error_description: str = Field(examples=["this client_assertion was used before"])


class ServerMetadata(BaseModel):
    """What a client needs to know before its first call (SMART App Launch 2.2 and RFC 8414)."""

    model_config = ConfigDict(extra="forbid")

    issuer: str
    token_endpoint: str
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    scopes_supported: list[str]
    capabilities: list[str]


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


_REFUSAL: dict[int | str, dict[str, Any]] = {
    400: {
        "model": TokenRefusal,
        "description": "Refused, as RFC 6749 says; a problem document where the form itself cannot be read",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


@router.post(
    TOKEN_PATH,
    response_model=TokenAnswer,
    summary="Get an access token",
    responses={
        **_REFUSAL,
        **describe(
            UploadTooSlowError, UploadTooLargeError, InvalidRequestError, DatabaseUnavailableError, StorageFullError
        ),
    },
    dependencies=[public("a client proves who it is with its assertion", Limit.TOKEN)],
)
async def token(
    request: Request,
    runtime: Annotated[Runtime, Depends(get_runtime)],
    grant_type: Annotated[str, Form(description=f"`{GRANT_TYPE}`")] = "",
    scope: Annotated[str, Form(description="Scopes, separated by spaces", max_length=4000)] = "",
    client_assertion_type: Annotated[str, Form(description=f"`{ASSERTION_TYPE}`")] = "",
    client_assertion: Annotated[str, Form(description="Signed JWT, RS384 or ES384")] = "",
    client_id: Annotated[str, Form(description="Not needed; the assertion names the client")] = "",
) -> Any:
    """OAuth 2.0 client credentials with a signed assertion: SMART Backend Services 2.2.

    The assertion's `iss` and `sub` are the client's identifier, `aud` is this address, `exp` is at most five minutes
    ahead, and `jti` is new each time.
    """
    wanted = TokenRequest(grant_type, scope, client_assertion_type, client_assertion, client_id)
    try:
        exchange = partial(token_service.exchange, runtime, wanted, base_url(request) + TOKEN_PATH)
        issued = await to_thread.run_sync(exchange, limiter=request.app.state.token_turns)
    except OAuthError as error:
        refusal = {"error": error.code, "error_description": error.detail.replace('"', "'").replace("\\", "/")}
        return JSONResponse(refusal, status_code=error.status, headers={"Pragma": "no-cache"})
    return JSONResponse(
        {
            "access_token": issued.access_token,
            "token_type": "bearer",
            "expires_in": issued.expires_in_s,
            "scope": issued.scope,
        },
        headers={"Pragma": "no-cache"},
    )


@router.get(
    "/.well-known/smart-configuration",
    summary="What a machine client needs to know (SMART)",
    dependencies=[public("addresses and algorithms only")],
)
def smart_configuration(request: Request) -> ServerMetadata:
    """The token endpoint and what it accepts, as SMART App Launch 2.2 describes it."""
    return _metadata(request)


@router.get(
    "/.well-known/oauth-authorization-server",
    summary="What a machine client needs to know (RFC 8414)",
    dependencies=[public("addresses and algorithms only")],
)
def oauth_metadata(request: Request) -> ServerMetadata:
    """The same for clients that know OAuth 2.0 and not SMART."""
    return _metadata(request)


def _metadata(request: Request) -> ServerMetadata:
    base = base_url(request)
    return ServerMetadata(
        issuer=base,
        token_endpoint=base + TOKEN_PATH,
        grant_types_supported=[GRANT_TYPE],
        token_endpoint_auth_methods_supported=["private_key_jwt"],
        token_endpoint_auth_signing_alg_values_supported=list(ALGORITHMS),
        scopes_supported=_declared_scopes(request),
        capabilities=["client-confidential-asymmetric", "permission-v2"],
    )


def _declared_scopes(request: Request) -> list[str]:
    """What the endpoints of this application ask for, one scope for each resource; the same for every request."""
    known: list[str] | None = getattr(request.app.state, "declared_scopes", None)
    if known is None:
        letters: dict[str, set[str]] = {}
        for scope in scopes_of(request.app):
            resource, _, rights = scope.rpartition(".")
            letters.setdefault(resource, set()).update(rights)
        known = [f"{name}.{''.join(filter(rights.__contains__, 'cruds'))}" for name, rights in sorted(letters.items())]
        request.app.state.declared_scopes = known
    return known
