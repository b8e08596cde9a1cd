"""A stored entry and the hash that its content asks for, computed fast enough to verify long logs."""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

from tamsoat.inference_service.audit.schemas import canonical_json, entry_hash

_QUOTE = json.JSONEncoder(ensure_ascii=False).encode
_TEXT = r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"'
_DIGEST = r'"[^"\\\x00-\x1f]*":"[0-9a-f]*"'
_DETAIL = rf"{_TEXT}:(?:{_TEXT}|-?[0-9]+|true|false)"
_DIGESTS = re.compile(rf"\{{(?:{_DIGEST}(?:,{_DIGEST})*)?\}}").fullmatch
_DETAILS = re.compile(rf"\{{{_DETAIL}(?:,{_DETAIL})*\}}").fullmatch


class Row(NamedTuple):
    """One stored entry, exactly as the database holds it."""

    sequence: int
    occurred_at: str
    actor: str
    action: str
    subject: str
    digests: str
    facility: str | None
    details: str | None
    previous_hash: str
    entry_hash: str


def leaf_bytes(row: Row) -> bytes | None:
    """The canonical JSON of the entry's content; None where the stored objects need a closer look.

    The stored text of ``digests`` and ``details`` is used as it is. That is safe where each is one flat object: the
    whole can then be taken apart in one way only, so that equal bytes mean equal fields.

    Raises:
        TypeError: a field does not hold text.
    """
    sequence, occurred_at, actor, action, subject, digests, facility, details, previous_hash, _ = row
    if _DIGESTS(digests) is None or (details is not None and _DETAILS(details) is None):
        return None
    explained = "" if details is None else f',"details":{details}'
    owned = "" if facility is None else f',"facility":{_QUOTE(facility)}'
    text = (
        f'{{"action":{_QUOTE(action)},"actor":{_QUOTE(actor)}{explained},"digests":{digests}{owned}'
        f',"occurred_at":{_QUOTE(occurred_at)},"previous_hash":{_QUOTE(previous_hash)}'
        f',"sequence":{sequence},"subject":{_QUOTE(subject)}}}'
    )
    return text.encode("utf-8", "surrogatepass")


def content_hash(row: Row) -> str:
    """The hash that the content of ``row`` asks for: that of :func:`schemas.entry_hash`.

    Raises:
        ValueError, TypeError: the content is not what the log writes (objects that are not canonical JSON).
    """
    leaf = leaf_bytes(row)
    return _closely(row) if leaf is None else hashlib.sha256(b"\x00" + leaf).hexdigest()


def is_whole(row: Row) -> bool:
    """Whether the entry's hash is that of its content."""
    try:
        return content_hash(row) == row.entry_hash
    except (TypeError, ValueError):
        return False


def _closely(row: Row) -> str:
    digests = json.loads(row.digests)
    details = None if row.details is None else json.loads(row.details)
    if canonical_json(digests) != row.digests or (details is not None and canonical_json(details) != row.details):
        raise ValueError("digests or details are not canonical JSON")
    return entry_hash(
        sequence=row.sequence,
        occurred_at=row.occurred_at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        digests=digests,
        previous_hash=row.previous_hash,
        facility=row.facility,
        details=details,
    )
