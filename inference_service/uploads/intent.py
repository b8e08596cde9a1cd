"""What a sender says about a slide, checked before a byte of it is stored."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening.scale import MissingScaleError, resolve_scale

KNOWN = ("objective", "mpp", "scale", "order_id", "priority", "sha256", "again")
"""What is read; everything else that a client sends along (file names above all) is dropped unread."""

PRIORITIES = ("routine", "urgent", "stat")
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST_FIELD = re.compile(r"\s*sha-256\s*=\s*:([A-Za-z0-9+/=]{44}):\s*")


_IDENTIFIER = re.compile(r"[A-Za-z0-9-]{1,36}")


def is_identifier(text: str) -> bool:
    """Whether ``text`` can name a row at all; anything else never reaches the database."""
    return _IDENTIFIER.fullmatch(text) is not None


class IntentError(TamsoatError):
    """A statement about a slide is not one that is understood."""

    status = 422
    title = "Statement about the slide is not valid"
    slug = "slide-statement-invalid"


@dataclass(frozen=True)
class Intent:
    """``mpp`` in micrometres per pixel, None: it is to be in the file (``scale=file``); ``sha256`` lower-case hex of
    the whole file, where the sender knows it; ``again``: make a new slide even of bytes that the facility has already.
    """

    mpp: float | None
    order_id: str | None
    priority: str
    sha256: str | None
    again: bool


def read_intent(fields: Mapping[str, str], *, header_sha256: str | None = None) -> Intent:
    """Check the statements of a form or of tus metadata.

    Args:
        header_sha256: from ``Repr-Digest``; must agree with the field where both are there.

    Raises:
        MissingScaleError, AbsurdScaleError: of ``objective``, ``mpp`` and ``scale``.
        IntentError: any other.
    """
    sha256 = fields.get("sha256", "").strip().lower() or None
    if sha256 is not None and not _DIGEST.fullmatch(sha256):
        raise IntentError("sha256 must be 64 hexadecimal digits")
    if sha256 and header_sha256 and sha256 != header_sha256:
        raise IntentError("sha256 and the digest header disagree")
    priority = fields.get("priority", "").strip() or "routine"
    if priority not in PRIORITIES:
        raise IntentError(f"priority must be one of {', '.join(PRIORITIES)}")
    order_id = fields.get("order_id", "").strip() or None
    if order_id is not None and not is_identifier(order_id):
        raise IntentError("order_id is not an identifier of an order")
    again = fields.get("again", "").strip().lower()
    if again not in _YES + _NO:
        raise IntentError("again must be true or false")
    mpp = _scale(fields)
    return Intent(mpp, order_id, priority, sha256 or header_sha256, again in _YES)


def read_digest_header(value: str | None) -> str | None:
    """The SHA-256 (hex) in a ``Repr-Digest`` or ``Content-Digest`` field (RFC 9530); None where it names none."""
    for item in (value or "").split(","):
        match = _DIGEST_FIELD.fullmatch(item)
        if match:
            return base64.b64decode(match[1]).hex()
    return None


def read_metadata(header: str) -> dict[str, str]:
    """The known keys of tus ``Upload-Metadata``: ``key base64,key base64``.

    Raises:
        IntentError: it is malformed.
    """
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        if key not in KNOWN:
            continue
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise IntentError(f"Upload-Metadata: the value of {key} is not base64 of UTF-8 text") from error
    return found


def _scale(fields: Mapping[str, str]) -> float | None:
    objective, mpp = _number(fields, "objective"), _number(fields, "mpp")
    where = fields.get("scale", "").strip()
    if where not in ("", "file"):
        raise IntentError("scale must be `file`, or left out")
    if not where:
        return resolve_scale(objective, mpp)
    if objective is not None or mpp is not None:
        raise MissingScaleError("scale=file says that the scale is in the file: state no objective or mpp beside it")
    return None


def _number(fields: Mapping[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise IntentError(f"{name} is not a number") from error
