"""A hospital system in a test: its own key pair, registered in the database, tokens from the real endpoint."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet

from tamsoat.inference_service.accounts import client_service
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EVERY_SCOPE = ("system/*.cruds",)


@dataclass
class TestMachineClient:
    """A registered client that holds its private key."""

    __test__ = False

    client_id: str
    facility_id: str
    scopes: tuple[str, ...]
    key: Key = field(repr=False)
    algorithm: str = "ES384"

    def assertion(self, token_url: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed assertion; ``header`` and ``claims`` replace what a well-behaved client sends (None: left out)."""
        now_s = int(time.time())
        sent = {"iss": self.client_id, "sub": self.client_id, "aud": token_url, "exp": now_s + 240}
        sent |= {"iat": now_s, "jti": str(uuid.uuid4()), **claims}
        named = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT", **(header or {})}
        return jwt.encode(
            named, {name: value for name, value in sent.items() if value is not None}, self.key,
            algorithms=[str(named["alg"])],
        )  # fmt: skip

    def form(self, token_url: str, scope: str | None = None, **claims: Any) -> dict[str, str]:
        """The fields of a token request."""
        return {
            "grant_type": "client_credentials",
            "scope": " ".join(self.scopes) if scope is None else scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(token_url, **claims),
        }

    def bearer(self, http_client: httpx.Client, scope: str | None = None) -> str:
        """A fresh access token of the service behind ``http_client``."""
        token_url = http_client.get("/.well-known/smart-configuration").json()["token_endpoint"]
        answer = http_client.post(httpx.URL(token_url).raw_path.decode(), data=self.form(token_url, scope))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def headers(self, http_client: httpx.Client, scope: str | None = None) -> dict[str, str]:
        """The header that signs a request, with a fresh token."""
        return {"Authorization": f"Bearer {self.bearer(http_client, scope)}"}


def new_key(kid: str | None = None) -> ECKey:
    """A key pair on P-384."""
    return ECKey.generate_key("P-384", {"kid": kid or str(uuid.uuid4())})


def public_jwks(*keys: Key) -> dict[str, Any]:
    """What a client registers or publishes."""
    return dict(KeySet(list(keys)).as_dict(private=False))


def make_client(
    database: Database, facility_id: str, scopes: Sequence[str] = EVERY_SCOPE, *, key: Key | None = None
) -> TestMachineClient:
    """Register a client of the facility with its public key, as an administrator would."""
    pair = key or new_key()
    with database.write() as session:
        client = client_service.create(
            session,
            Settings(),
            facility_id=facility_id,
            name="HIS of a test",
            scopes=scopes,
            jwks=public_jwks(pair),
            actor="system",
        )
        return TestMachineClient(client.id, facility_id, tuple(scopes), pair)
