"""Seals the files of a report with its own key, so that the content store holds no name that anyone can read."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tamsoat.inference_service.errors import TamsoatError

NONCE_BYTES = 12


class ReportFileAlteredError(TamsoatError):
    """The stored file of a report does not open with its key: it was altered."""

    status = 500
    title = "Report file was altered"
    slug = "report-file-altered"


def seal(data: bytes, key: str, context: str) -> bytes:
    """Encrypt ``data`` with AES-256-GCM: nonce, ciphertext and tag.

    The nonce is a keyed hash of context and data: the same file is sealed to the same bytes, so that a repeated attempt
    stores nothing twice, and different files never share a nonce.

    Args:
        key: 32 bytes, base64.
        context: what the file is (``<report>:<language>``); must be the same to open it.
    """
    raw = base64.b64decode(key)
    nonce = hmac.new(raw, context.encode() + b"\x00" + data, hashlib.sha256).digest()[:NONCE_BYTES]
    return nonce + AESGCM(raw).encrypt(nonce, data, context.encode())


def unseal(sealed: bytes, key: str, context: str) -> bytes:
    """The file behind ``sealed``.

    Raises:
        ReportFileAlteredError: it was altered, or belongs to another report or language.
    """
    try:
        cipher = AESGCM(base64.b64decode(key))
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise ReportFileAlteredError("the stored file of this report was altered: restore it from a backup") from error
