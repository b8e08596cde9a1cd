"""The file of the keys under a passphrase: scrypt (RFC 7914) and AES-256-GCM."""

from __future__ import annotations

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
"""OWASP password storage cheat sheet, first choice for scrypt; takes 128 MiB."""
MIN_CHARACTERS = 14
MOST_N = 2**20
"""A sealed file may ask for this much work; more is not believed."""
_PURPOSE = b"tamsoat keys 1"


class PassphraseError(TamsoatError):
    """The passphrase is missing, too short or wrong."""

    title = "Passphrase cannot be used"
    slug = "backup-passphrase"
    exit_code = EXIT_USAGE


def seal(content: bytes, passphrase: str) -> bytes:
    """Encrypt ``content``.

    Raises:
        PassphraseError: it has fewer than 14 characters.
    """
    if len(passphrase) < MIN_CHARACTERS:
        raise PassphraseError(f"the passphrase needs {MIN_CHARACTERS} characters or more; a sentence is easiest")
    salt, nonce = os.urandom(16), os.urandom(12)
    cipher = AESGCM(_derive(passphrase, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P))
    sealed = {
        "format": 1,
        "kdf": {"name": "scrypt", "n": SCRYPT_N, "r": SCRYPT_R, "p": SCRYPT_P, "salt": _text(salt)},
        "cipher": {"name": "AES-256-GCM", "nonce": _text(nonce)},
        "content": _text(cipher.encrypt(nonce, content, _PURPOSE)),
    }
    return json.dumps(sealed, indent=1).encode() + b"\n"


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """What :func:`seal` was given.

    Raises:
        PassphraseError: the passphrase is wrong, or the file is damaged.
    """
    try:
        content = json.loads(sealed)
        kdf, nonce = content["kdf"], base64.b64decode(content["cipher"]["nonce"])
        n, r, p = int(kdf["n"]), int(kdf["r"]), int(kdf["p"])
        if content["format"] != 1 or n > MOST_N or r > SCRYPT_R or p > SCRYPT_P:
            raise ValueError("unknown parameters")
        key = _derive(passphrase, base64.b64decode(kdf["salt"]), n, r, p)
        return AESGCM(key).decrypt(nonce, base64.b64decode(content["content"]), _PURPOSE)
    except InvalidTag as error:
        raise PassphraseError("the passphrase does not open the keys of this backup") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PassphraseError("the sealed keys of this backup are damaged") from error


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
