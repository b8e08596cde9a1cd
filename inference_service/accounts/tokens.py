"""Access tokens of machine clients: JSON Web Tokens (RFC 9068) that this installation signs and reads itself."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jwt import JWTClaimsRegistry

from tamsoat.inference_service.accounts import client_repository
from tamsoat.inference_service.accounts.access import Principal, Role
from tamsoat.inference_service.accounts.scopes import within
from tamsoat.inference_service.db.keyring import Keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
KEY_PURPOSE = b"tamsoat access tokens 1"
TOKEN_BYTES_MAX = 8192
CLIENT_BELIEVED_S = 5.0
"""A disabled client, or one that lost a scope, is noticed within this time."""
CACHED_CLIENTS_MAX = 1000


@dataclass(frozen=True)
class _Standing:
    """What is known about a client, and until when (monotonic seconds)."""

    facility_id: str
    scopes: tuple[str, ...]
    enabled: bool
    until_s: float


class AccessTokens:
    """Issues and reads access tokens. Thread-safe.

    Every process of an installation derives the same key from the file of the keys, so each reads the tokens of
    the others; nothing is stored.
    """

    def __init__(self, keyring: Keyring, database: Database, settings: Settings) -> None:
        self._database = database
        self._key = _derive_key(keyring)
        self.issuer = settings.public_url.rstrip("/") or f"http://{settings.host}"
        self.audience = f"{self.issuer}/api/v1"
        self.lifetime_s = settings.token_lifetime_s
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.audience},
            exp={"essential": True},
            jti={"essential": True},
            client_id={"essential": True},
            facility={"essential": True},
            scope={"essential": True},
        )
        self._known: dict[str, _Standing] = {}
        self._lock = threading.Lock()

    def issue(self, client_id: str, facility_id: str, scopes: Sequence[str]) -> str:
        """A token that ends after ``lifetime_s`` seconds."""
        now_s = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": client_id,
            "client_id": client_id,
            "facility": facility_id,
            "scope": " ".join(scopes),
            "iat": now_s,
            "exp": now_s + self.lifetime_s,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode({"alg": ALGORITHM}, claims, self._key, algorithms=[ALGORITHM], default_type=TYPE)

    def principal(self, token: str) -> Principal | None:
        """Who holds ``token``; None where it is not ours, has ended, or its client was disabled.

        Scopes that the client has lost since are left out. Asks the database at most once per client and
        ``CLIENT_BELIEVED_S``.
        """
        if len(token) > TOKEN_BYTES_MAX or not token.isascii():
            return None
        try:
            read = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            self._claims.validate(read.claims)
        except (JoseError, ValueError):
            return None
        client_id, facility_id, scope = (read.claims[name] for name in ("client_id", "facility", "scope"))
        if read.header.get("typ") != TYPE:
            return None
        standing = self._standing(client_id)
        if not standing.enabled or standing.facility_id != facility_id:
            return None
        scopes = frozenset(name for name in scope.split() if within(standing.scopes, name))
        return Principal(f"client:{client_id}", "client", facility_id, frozenset({Role.INTEGRATOR}), scopes)

    def forget(self, client_id: str) -> None:
        """Ask the database again at this client's next request: it was changed in this process."""
        with self._lock:
            self._known.pop(client_id, None)

    def _standing(self, client_id: str) -> _Standing:
        now_s = time.monotonic()
        known = self._known.get(client_id)
        if known is not None and now_s < known.until_s:
            return known
        with self._database.read() as session:
            client = client_repository.get(session, client_id)
        until_s = now_s + CLIENT_BELIEVED_S
        known = (
            _Standing("", (), False, until_s)
            if client is None
            else _Standing(client.facility_id, tuple(client.scopes), client.disabled_at is None, until_s)
        )
        with self._lock:
            if len(self._known) >= CACHED_CLIENTS_MAX:
                self._known.clear()
            self._known[client_id] = known
        return known


def principal_of_token(request: Request, token: str) -> Principal | None:
    """The machine client that sends ``token`` with ``request``; None where the token is not valid."""
    tokens: AccessTokens = request.app.state.runtime.tokens
    return tokens.principal(token)


def _derive_key(keyring: Keyring) -> OKPKey:
    secret = keyring.signing.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=KEY_PURPOSE).derive(secret)
    return OKPKey.import_key(
        Ed25519PrivateKey.from_private_bytes(seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
