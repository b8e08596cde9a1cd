"""Encrypted columns (AES-256-GCM) and keyed hashes to search them by.

A stored value reads ``<key>:<base64 of nonce, ciphertext and tag>``. The name of the column is authenticated with
it, so that a value cannot be moved to another column. The keys are those of :func:`install`, one set per process;
where their file is named, a rotation by another process is noticed within seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from tamsoat.inference_service.db.keyring import Keyring, read_keyring
from tamsoat.inference_service.errors import TamsoatError

NONCE_BYTES = 12
NOTICE_S = 2.0
"""How long a process may go on with keys that were replaced in their file."""


@dataclass(frozen=True)
class _Installed:
    keyring: Keyring
    path: Path | None
    stamp: tuple[int, int]
    """Inode and time of change (ns) of the file that was read."""
    looked_at_s: float


_installed: list[_Installed] = []
_lock = threading.Lock()


class DecryptionError(TamsoatError):
    """An encrypted value does not fit its column or the keys: it was altered, or the keys are others."""

    status = 500
    title = "Stored data cannot be decrypted"
    slug = "decryption"


def install(keyring: Keyring, path: Path | None = None) -> None:
    """Let encrypted columns of this process use ``keyring`` from now on.

    ``path``: the file that it was read from; when the file changes, its keys are used.
    """
    _installed[:] = [_Installed(keyring, path, _stamp(path), time.monotonic())]


def installed() -> Keyring:
    """The keys in use.

    Raises:
        RuntimeError: :func:`install` was not called; a fault of the program.
    """
    if not _installed:
        raise RuntimeError("no keys installed: call db.encryption.install first")
    current = _installed[0]
    if current.path is not None and time.monotonic() - current.looked_at_s > NOTICE_S:
        return _look_again(current)
    return current.keyring


def _look_again(current: _Installed) -> Keyring:
    """The keys of the file where it changed, else those in use.

    Raises:
        KeysError: the file changed and cannot be used.
    """
    with _lock:
        stamp = _stamp(current.path)
        missing = stamp == (0, 0)
        changed = stamp != current.stamp and not missing and current.path is not None
        keyring = read_keyring(current.path) if changed and current.path else current.keyring
        if _installed and _installed[0].path == current.path:
            _installed[:] = [_Installed(keyring, current.path, stamp if changed else current.stamp, time.monotonic())]
        return keyring


def _stamp(path: Path | None) -> tuple[int, int]:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return 0, 0
    return (found.st_ino, found.st_mtime_ns) if found else (0, 0)


def _key(name: str) -> bytes | None:
    """The key of that name; unknown names are looked for in the file at once."""
    key = installed().encryption.get(name)
    if key is None and _installed[0].path is not None:
        key = _look_again(_installed[0]).encryption.get(name)
    return key


def encrypt(text: str, context: str) -> str:
    """Encrypt ``text`` under the active key; ``context`` (``table.column``) must be the same to decrypt."""
    keyring = installed()
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(keyring.encryption[keyring.active]).encrypt(nonce, text.encode("utf-8"), context.encode())
    return f"{keyring.active}:{base64.b64encode(nonce + sealed).decode('ascii')}"


def decrypt(stored: str, context: str) -> str:
    """The text behind a stored value.

    Raises:
        DecryptionError: it was altered, belongs to another column, or its key is unknown.
    """
    name, _, encoded = stored.partition(":")
    key = _key(name)
    if key is None:
        raise DecryptionError(f"{context}: the key of a stored value is not in the file of the keys")
    try:
        raw = base64.b64decode(encoded, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()).decode("utf-8")
    except (InvalidTag, ValueError) as error:
        raise DecryptionError(f"{context}: a stored value was altered or its keys are others") from error


def search_hash(text: str, context: str) -> str:
    """Keyed hash (HMAC-SHA-256, hex) to find ``text`` by: equal for equal text in the same ``context``.

    Case, surrounding and repeated spaces and Unicode composition do not matter.
    """
    plain = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return hmac.new(installed().search, f"{context}\x00{plain}".encode(), hashlib.sha256).hexdigest()


class EncryptedText(TypeDecorator[str]):
    """A text column that is stored encrypted; ``context`` is ``table.column``. Equality in SQL does not work."""

    impl = Text
    cache_ok = True

    def __init__(self, context: str) -> None:
        super().__init__()
        self.context = context

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else encrypt(value, self.context)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else decrypt(value, self.context)
