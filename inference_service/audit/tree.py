"""The Merkle tree over the stored entries, read from the database piece by piece."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import merkle, repository
from tamsoat.inference_service.errors import TamsoatError

STORED_LEVELS = (8, 16, 24)
"""Levels whose complete subtrees are stored: a proof reads at most 256 hashes at each."""


class TreeIncompleteError(TamsoatError):
    """Entries or hashes of the tree are missing in the database: it was tampered with."""

    status = 500
    title = "Audit log broken"
    slug = "audit-broken"
    exit_code = 1


def subtrees(session: Session) -> merkle.Subtree:
    """Hashes of complete subtrees of what the newest checkpoint covers.

    Raises (when called):
        TreeIncompleteError: a row is missing or does not hold a hash.
    """

    @lru_cache(maxsize=1024)
    def subtree(level: int, position: int) -> bytes:
        below = max((stored for stored in STORED_LEVELS if stored <= level), default=0)
        count = 1 << (level - below)
        first = position << (level - below)
        hashes = (
            repository.subtree_hashes(session, below, first, count)
            if below
            else repository.leaf_hashes(session, first, count)
        )
        if len(hashes) != count:
            raise TreeIncompleteError("rows of the audit log are missing; run `tamsoat audit verify`")
        growing = merkle.Growing()
        for digest in hashes:
            growing.append(as_hash(digest))
        return growing.root()

    return subtree


def as_hash(text: str) -> bytes:
    """The bytes of a stored hash.

    Raises:
        TreeIncompleteError: the text is not 64 lower-case hex digits.
    """
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        raw = b""
    if raw.hex() != text or len(raw) != merkle.HASH_BYTES:
        raise TreeIncompleteError("a row of the audit log does not hold a hash; run `tamsoat audit verify`")
    return raw
