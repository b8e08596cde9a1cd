"""What an audit entry says, and the bytes that its hash is taken over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LEAF_PREFIX = b"\x00"
"""RFC 6962, section 2.1: the prefix of a leaf; the hash of an entry is a leaf of the Merkle tree as it is."""


class Action(StrEnum):
    """Everything that is recorded; nothing else can be."""

    ACCESS_DENY = "access:deny"
    ACCESS_REVIEW = "access:review"
    ACCOUNT_CREATE = "account:create"
    ACCOUNT_DISABLE = "account:disable"
    ACCOUNT_ENABLE = "account:enable"
    ACCOUNT_LOCK = "account:lock"
    ACCOUNT_PASSWORD = "account:password"  # noqa: S105 - the name of an event
    ACCOUNT_SECOND_FACTOR = "account:second-factor"
    ACCOUNT_SIGN_IN = "account:sign-in"
    ACCOUNT_SIGN_IN_FAIL = "account:sign-in-fail"
    ACCOUNT_SIGN_OUT = "account:sign-out"
    ACCOUNT_UPDATE = "account:update"
    ANALYSIS_CREATE = "analysis:create"
    ANALYSIS_READ = "analysis:read"
    AUDIT_CHECKPOINT = "audit:checkpoint"
    AUDIT_EXPORT = "audit:export"
    AUDIT_READ = "audit:read"
    BACKUP_CREATE = "backup:create"
    BACKUP_RESTORE = "backup:restore"
    CASE_ASSIGN = "case:assign"
    CASE_CREATE = "case:create"
    CASE_READ = "case:read"
    CLIENT_CREATE = "client:create"
    CLIENT_DISABLE = "client:disable"
    CLIENT_TOKEN = "client:token"  # noqa: S105 - the name of an event
    CLIENT_UPDATE = "client:update"
    CONSULTATION_ANSWER = "consultation:answer"
    CONSULTATION_CREATE = "consultation:create"
    CONSULTATION_END = "consultation:end"
    CONSULTATION_READ = "consultation:read"
    DISCUSSION_WRITE = "discussion:write"
    FACILITY_CREATE = "facility:create"
    FACILITY_UPDATE = "facility:update"
    KEYS_ROTATE = "keys:rotate"
    MARK_CREATE = "mark:create"
    MARK_WITHDRAW = "mark:withdraw"
    ORDER_CANCEL = "order:cancel"
    ORDER_CREATE = "order:create"
    ORDER_READ = "order:read"
    ORDER_UPDATE = "order:update"
    PATIENT_CREATE = "patient:create"
    PATIENT_ERASE = "patient:erase"
    PATIENT_EXPORT = "patient:export"
    PATIENT_MERGE = "patient:merge"
    PATIENT_READ = "patient:read"
    PATIENT_SEARCH = "patient:search"
    PATIENT_UPDATE = "patient:update"
    QUALITY_EXPORT = "quality:export"
    READING_AMEND = "reading:amend"
    READING_READ = "reading:read"
    READING_SIGN = "reading:sign"
    REPORT_CREATE = "report:create"
    REPORT_READ = "report:read"
    REPORT_VERIFY = "report:verify"
    RETENTION_DELETE = "retention:delete"
    REVIEW_SETTINGS = "review:settings"
    REVIEW_START = "review:start"
    SCREENING_CANCEL = "screening:cancel"
    SCREENING_FAIL = "screening:fail"
    SCREENING_REQUEST = "screening:request"
    SCREENING_RETRY = "screening:retry"
    SERVICE_START = "service:start"
    SLIDE_CREATE = "slide:create"
    SLIDE_DELETE = "slide:delete"
    SLIDE_READ = "slide:read"
    SLIDE_UPDATE = "slide:update"
    UPLOAD_DISCARD = "upload:discard"
    WEBHOOK_CREATE = "webhook:create"
    WEBHOOK_DELETE = "webhook:delete"
    WEBHOOK_DELIVER = "webhook:deliver"
    WEBHOOK_RESEND = "webhook:resend"
    WEBHOOK_UPDATE = "webhook:update"
    WORKER_TAKEOVER = "worker:takeover"


@dataclass(frozen=True)
class Event:
    """What happened, before it has a place in the log.

    ``actor``: who (``account:<id>``, ``client:<id>``, ``local`` without sign-in, ``system`` for the service itself).
    ``subject``: ``noun:identifier``; identifiers only, never a name or a file name.
    ``digests``: name → lower-case hex SHA-256 of what the event vouches for.
    ``facility``: identifier of the facility whose row it is about; None for the installation as a whole.
    ``details``: identifiers, codes and counts that explain the event; never a name, a number of a person or free text
    typed by a user.
    """

    actor: str
    action: Action
    subject: str
    digests: Mapping[str, str] = field(default_factory=dict)
    facility: str | None = None
    details: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """The outcome of reading the whole log: ``first_bad_sequence`` is None when every entry is whole.

    ``entries`` and ``checkpoints`` count what was found whole. A checkpoint that is wrong is named by its size, which
    is the number of the last entry that it vouches for.
    """

    entries: int
    first_bad_sequence: int | None = None
    reason: str = ""
    checkpoints: int = 0

    @property
    def whole(self) -> bool:
        return self.first_bad_sequence is None


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and unescaped Unicode: the same value always gives the same text.

    For the strings, integers and objects of an entry this is RFC 8785; floats are written by ``repr``.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_hex(text: str) -> str:
    """SHA-256 of the UTF-8 bytes of ``text``, lower-case hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def entry_hash(
    *,
    sequence: int,
    occurred_at: str,
    actor: str,
    action: str,
    subject: str,
    digests: object,
    previous_hash: str,
    facility: str | None = None,
    details: object = None,
) -> str:
    """SHA-256 over 0x00 and the canonical JSON of every field that is not None, lower-case hex.

    This is the definition; :func:`tamsoat.inference_service.audit.rows.content_hash` computes the same faster.
    """
    content = {
        "action": action,
        "actor": actor,
        "details": details,
        "digests": digests,
        "facility": facility,
        "occurred_at": occurred_at,
        "previous_hash": previous_hash,
        "sequence": sequence,
        "subject": subject,
    }
    leaf = canonical_json({name: value for name, value in content.items() if value is not None})
    return hashlib.sha256(LEAF_PREFIX + leaf.encode("utf-8", "surrogatepass")).hexdigest()
