"""Client assertions: ``private_key_jwt`` as in SMART Backend Services 2.2 and RFC 7523."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from tamsoat.inference_service.accounts.client_tables import Client
from tamsoat.inference_service.accounts.key_fetch import ClientKeys, KeyAddressError, KeyFetchError
from tamsoat.inference_service.accounts.public_keys import PublicKeysError, read_keys
from tamsoat.inference_service.errors import TamsoatError

ALGORITHMS = ("RS384", "ES384")
LIFETIME_MAX_S = 300
CLOCK_LEEWAY_S = 5
REMEMBERED_S = 600
ASSERTION_BYTES_MAX = 8192
JTI_LENGTH_MAX = 255


class OAuthError(TamsoatError):
    """The token endpoint refuses a request; ``code`` is that of RFC 6749, section 5.2."""

    status = 400
    title = "Token refused"
    slug = "token-refused"

    def __init__(self, code: str, detail: str, client: Client | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.client = client
        """Whom the request named, where it named someone who exists."""


class _Registry(JWSRegistry):
    max_header_length = 2048
    max_payload_length = ASSERTION_BYTES_MAX
    max_signature_length = 2048


@dataclass(frozen=True)
class Assertion:
    """A well-formed assertion; nothing of it is proven yet."""

    signed: CompactSignature
    claims: dict[str, Any]
    client_id: str
    kid: str

    @property
    def jti_sha256(self) -> str:
        return hashlib.sha256(str(self.claims["jti"]).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def expires_at(self) -> datetime:
        """When it may be forgotten: long after it ended by itself, because clocks of several machines differ."""
        return datetime.fromtimestamp(float(self.claims["exp"]) + REMEMBERED_S, UTC)


def read_assertion(text: str, token_url: str) -> Assertion:
    """Read an assertion and check everything but its signature.

    Raises:
        OAuthError: invalid_client.
    """
    if not text or len(text) > ASSERTION_BYTES_MAX or not text.isascii():
        raise _refuse("the client_assertion is missing or too long")
    try:
        signed = jws.extract_compact(text.encode("ascii"), registry=_Registry(algorithms=ALGORITHMS))
        claims = json.loads(signed.payload)
        header = signed.headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise _refuse("the client_assertion is not a signed JSON Web Token") from error
    if not isinstance(claims, dict):
        raise _refuse("the client_assertion is not a signed JSON Web Token")
    if header.get("alg") not in ALGORITHMS:
        raise _refuse("the client_assertion must be signed with RS384 or ES384")
    kid, client_id = header.get("kid"), claims.get("iss")
    if not isinstance(kid, str) or not isinstance(client_id, str):
        raise _refuse("the client_assertion must name its key (kid) and its client (iss and sub)")
    _check_claims(claims, client_id, token_url)
    return Assertion(signed, claims, client_id, kid)


def verify_signature(assertion: Assertion, client: Client, keys: ClientKeys) -> None:
    """Check that ``client`` signed ``assertion``.

    Raises:
        OAuthError: invalid_client, or temporarily_unavailable when the client's keys cannot be fetched.
    """
    jku = assertion.signed.headers().get("jku")
    if jku is not None and jku != client.jwks_url:
        raise _refuse("jku is not the registered address of the keys", client)
    try:
        key = _find_key(assertion.kid, client, keys)
        proven = key is not None and jws.validate_compact(
            assertion.signed, key, registry=_Registry(algorithms=ALGORITHMS)
        )
    except (KeyFetchError, KeyAddressError) as error:
        raise OAuthError("invalid_client", error.detail, client) from error
    except (JoseError, PublicKeysError, ValueError) as error:
        raise _refuse("the signature of the client_assertion does not fit the client's key", client) from error
    if key is None:
        raise _refuse("the client has no key with this kid", client)
    if not proven:
        raise _refuse("the signature of the client_assertion does not fit the client's key", client)


def _find_key(kid: str, client: Client, keys: ClientKeys) -> Key | None:
    if client.jwks_url is not None:
        return keys.find(client.jwks_url, kid)
    return read_keys(client.jwks).get(kid)


def _check_claims(claims: dict[str, Any], client_id: str, token_url: str) -> None:
    registry = JWTClaimsRegistry(
        leeway=CLOCK_LEEWAY_S,
        iss={"essential": True, "value": client_id},
        sub={"essential": True, "value": client_id},
        aud={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        registry.validate(claims)
    except JoseError as error:
        raise _refuse(f"a claim of the client_assertion is missing, wrong or expired: {error.description}") from error
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if audience != [token_url]:
        raise _refuse(f"aud must be {token_url} and nothing else")
    if claims["exp"] > time.time() + LIFETIME_MAX_S:
        raise _refuse(f"exp must not be more than {LIFETIME_MAX_S} s ahead")
    if not 1 <= len(claims["jti"]) <= JTI_LENGTH_MAX:
        raise _refuse(f"jti must have 1 to {JTI_LENGTH_MAX} characters")


def _refuse(detail: str, client: Client | None = None) -> OAuthError:
    return OAuthError("invalid_client", detail, client)
