"""Prove that the log is whole: every entry, its place, and every checkpoint; name the first one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository
from tamsoat.inference_service.audit.notes import Checkpoint
from tamsoat.inference_service.audit.repository import Head
from tamsoat.inference_service.audit.rows import Row, is_whole
from tamsoat.inference_service.audit.schemas import Verification
from tamsoat.inference_service.audit.stored import Stored, StoredTree
from tamsoat.inference_service.audit.tables import GENESIS_HASH

PROGRESS_ENTRIES = 4_096


@dataclass(frozen=True)
class Options:
    """``key``: the signatures of checkpoints are checked with it; None: they are not. ``kept``: a checkpoint that was
    kept elsewhere, its signature already checked. ``progress``: told now and then how many entries are done."""

    key: Ed25519PublicKey | None = None
    kept: Checkpoint | None = None
    progress: Callable[[int], None] | None = None


def verify(session: Session, options: Options = Options()) -> Verification:
    """Read the log and everything that was derived from it.

    An entry is whole when its number follows the one before, its hash is the hash of its content, and it names the
    hash of the entry before. The head row guards the end of the log; checkpoints guard it against being rewritten as
    a whole. To be called first in a new session.
    """
    repository.begin_snapshot(session)
    head = repository.read_head(session)
    stored = Stored.read(session, options.key, options.kept)
    return verify_rows(repository.stream(session), head, stored=stored, progress=options.progress)


def verify_rows(
    rows: Iterable[Row],
    head: Head | None,
    *,
    stored: Stored | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check ``rows`` (by rising sequence) against each other, against ``head`` and against what is ``stored``."""
    tree = StoredTree(stored or Stored())
    count = 0
    before_last_hash, last_hash = "", GENESIS_HASH
    for row, following in _with_next(rows):
        expected = count + 1
        if row.sequence != expected:
            bad = min(row.sequence, expected) if isinstance(row.sequence, int) else expected
            return Verification(count, bad, f"entry {expected} is missing or out of order")
        whole = is_whole(row)
        next_hash = following.previous_hash if following else (head.entry_hash if head else "")
        if not whole or row.previous_hash != last_hash:
            return _blame(row, whole, next_hash, before_last_hash, count)
        before_last_hash, last_hash = last_hash, row.entry_hash
        count += 1
        fault = tree.grow(row, next_hash)
        if fault is not None:
            return Verification(count - 1, *fault)
        if progress is not None and count % PROGRESS_ENTRIES == 0:
            progress(count)
    ended = _check_end(count, last_hash, head)
    if not ended.whole:
        return ended
    fault = tree.end(count)
    return Verification(count, checkpoints=tree.checkpoints) if fault is None else Verification(count, *fault)


def _blame(row: Row, whole: bool, next_hash: str, before_last_hash: str, count: int) -> Verification:
    """Say which of two neighbours is wrong where the link between them is broken."""
    sequence = row.sequence
    # The row is vouched for by the next one, or it is whole under the number before its own and still names
    # the entry before the last: then the entry in between was rewritten, or inserted, with its hash.
    vouched = whole and row.entry_hash == next_hash
    pushed = row.previous_hash == before_last_hash and is_whole(row._replace(sequence=sequence - 1))
    if sequence > 1 and (vouched or pushed):
        return Verification(count - 1, sequence - 1, f"entry {sequence - 1} was replaced or inserted")
    if not whole:
        return Verification(count, sequence, f"entry {sequence} was changed: its hash does not match its content")
    return Verification(count, sequence, f"entry {sequence} does not continue the entry before it")


def _check_end(count: int, last_hash: str, head: Head | None) -> Verification:
    if head is None:
        return Verification(count, count + 1, "the head of the log is missing")
    if head.sequence > count:
        return Verification(count, count + 1, f"entries {count + 1} to {head.sequence} are missing at the end")
    if head.sequence < count:
        return Verification(count, head.sequence + 1, f"entry {head.sequence + 1} was added after the head of the log")
    if head.entry_hash != last_hash:
        return Verification(count, max(count, 1), f"entry {count} is not the one that the head of the log names")
    return Verification(count)


def _with_next(rows: Iterable[Row]) -> Iterator[tuple[Row, Row | None]]:
    iterator = iter(rows)
    current = next(iterator, None)
    while current is not None:
        following = next(iterator, None)
        yield current, following
        current = following
