"""What may be the public keys of a machine client: RSA from 2048 bits or the curve P-384, named by ``kid``."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

KEYS_MAX = 20
KID_LENGTH_MAX = 200
RSA_BITS = (2048, 8192)
CURVE = "P-384"
_PUBLIC_MEMBERS = frozenset({"kty", "kid", "n", "e", "crv", "x", "y"})
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class PublicKeysError(TamsoatError):
    """The keys of a client are missing, of a kind that is not accepted, or private."""

    status = 422
    title = "Client keys are not valid"
    slug = "client-keys-invalid"
    exit_code = EXIT_USAGE


def read_keys(document: object) -> dict[str, Key]:
    """The usable keys of a JSON Web Key Set by ``kid``; keys of other kinds are left out (RFC 7517, section 5).

    Raises:
        PublicKeysError: the document is not a key set, holds a private key, or no usable key.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not 1 <= len(listed) <= KEYS_MAX:
        raise PublicKeysError(f"the keys must be a JSON Web Key Set with 1 to {KEYS_MAX} keys")
    if any(not isinstance(entry, dict) for entry in listed):
        raise PublicKeysError("an entry of the key set is not an object")
    if any(not _PRIVATE_MEMBERS.isdisjoint(entry) for entry in listed):
        raise PublicKeysError("the key set holds a private key: register the public one, and replace this key pair")
    found: dict[str, Key] = {}
    for entry in listed:
        key = _read_key(entry)
        if key is not None:
            found.setdefault(str(entry["kid"]), key)
    if not found:
        raise PublicKeysError(
            f"no usable key: needed is RSA (from {RSA_BITS[0]} bits, for RS384) or EC {CURVE} (for ES384), each with "
            'a "kid", for signatures'
        )
    return found


def public_document(keys: dict[str, Key]) -> dict[str, Any]:
    """The key set to store for ``keys``: the members that a verification needs, and nothing else."""
    listed = KeySet(list(keys.values())).as_dict(private=False)["keys"]
    return {"keys": [{name: value for name, value in key.items() if name in _PUBLIC_MEMBERS} for key in listed]}


def _read_key(entry: dict[str, Any]) -> Key | None:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 1 <= len(kid) <= KID_LENGTH_MAX or not kid.isprintable():
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", "RS384") not in ("RS384", "ES384"):
        return None
    try:
        if entry.get("kty") == "RSA":
            rsa = RSAKey.import_key(entry)
            public = rsa.public_key
            accepted = isinstance(public, RSAPublicKey) and RSA_BITS[0] <= public.key_size <= RSA_BITS[1]
            return rsa if accepted else None
        if entry.get("kty") == "EC" and entry.get("crv") == CURVE:
            return ECKey.import_key(entry)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return None
    return None
