"""The keys of one installation: they encrypt personal data, blind searches and sign audit checkpoints.

The file is JSON, readable by its owner only. Encryption keys are many, one of them active, so that they can be
rotated; the search key and the signing key are one each. Losing the file makes encrypted columns unreadable for
ever: it is part of a backup, and a copy belongs apart from the database's.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

KEY_BYTES = 32


class KeysError(TamsoatError):
    """The file of the keys is missing, damaged, or readable by others."""

    status = 500
    title = "Keys cannot be used"
    slug = "keys"
    exit_code = EXIT_USAGE


@dataclass(frozen=True, repr=False)
class Keyring:
    """The keys, in memory.

    Attributes:
        active: identifier of the key that new values are encrypted with.
        encryption: identifier → AES-256 key.
        search: key of the HMAC behind searches.
        signing: Ed25519 key of checkpoints and webhooks of the installation.
    """

    active: str
    encryption: dict[str, bytes]
    search: bytes
    signing: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Keyring(active={self.active!r}, keys={len(self.encryption)})"

    def rotated(self) -> Keyring:
        """The same keys and a new active one; values are re-encrypted by ``tamsoat keys rotate``."""
        name = f"k{1 + max(int(known[1:]) for known in self.encryption if known[1:].isdigit())}"
        return Keyring(name, {**self.encryption, name: secrets.token_bytes(KEY_BYTES)}, self.search, self.signing)


def generate() -> Keyring:
    """A new set of keys."""
    return Keyring(
        "k1",
        {"k1": secrets.token_bytes(KEY_BYTES)},
        secrets.token_bytes(KEY_BYTES),
        Ed25519PrivateKey.generate(),
    )


def read_keyring(path: Path) -> Keyring:
    """Read the keys.

    Raises:
        KeysError: the file is missing, damaged, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise KeysError(f"{path}: the file of the keys is missing; restore it from its backup") from error
    except (OSError, ValueError) as error:
        raise KeysError(f"{path}: the file of the keys cannot be read") from error
    if os.name == "posix" and mode & 0o077:
        raise KeysError(f"{path}: others may read the keys; run: chmod 600 {path}")
    return _decode(content, path)


def open_keyring(path: Path) -> Keyring:
    """Read the keys, or make them where the file does not exist yet. Several processes may do so at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_keyring(path, generate(), replace=False)
    return read_keyring(path)


def write_keyring(path: Path, keyring: Keyring, *, replace: bool = True) -> None:
    """Write the keys durably, readable by the owner only; without ``replace`` an existing file is kept."""
    content = {
        "format": 1,
        "active": keyring.active,
        "encryption": {name: _text(key) for name, key in keyring.encryption.items()},
        "search": _text(keyring.search),
        "signing": _text(keyring.signing.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())),
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
    finally:
        Path(temporary).unlink(missing_ok=True)


def _decode(content: Any, path: Path) -> Keyring:
    try:
        encryption = {str(name): base64.b64decode(key, validate=True) for name, key in content["encryption"].items()}
        search = base64.b64decode(content["search"], validate=True)
        signing = Ed25519PrivateKey.from_private_bytes(base64.b64decode(content["signing"], validate=True))
        active = str(content["active"])
        if content["format"] != 1 or active not in encryption or len(search) != KEY_BYTES:
            raise ValueError("wrong content")
        if any(len(key) != KEY_BYTES for key in encryption.values()):
            raise ValueError("wrong length")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeysError(f"{path}: the file of the keys is damaged; restore it from its backup") from error
    return Keyring(active, encryption, search, signing)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")
