"""Sign the state of the log, and keep every signed checkpoint elsewhere too."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import merkle, notes, repository, service
from tamsoat.inference_service.audit.repository import StoredCheckpoint, StoredSubtree
from tamsoat.inference_service.audit.rows import is_whole
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.audit.service import AuditBrokenError
from tamsoat.inference_service.audit.tables import GENESIS_HASH
from tamsoat.inference_service.audit.tree import STORED_LEVELS, as_hash, subtrees
from tamsoat.inference_service.db.keyring import Keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import EXIT_OUTPUT, TamsoatError
from tamsoat.inference_service.settings import Settings

SYSTEM = "system"
_FILE = re.compile(r"checkpoint-(\d{12,19})\.txt")


class CheckpointKeepingError(TamsoatError):
    """A checkpoint was signed and stored, but could not be written to the folder that keeps copies."""

    status = 507
    title = "Checkpoint not kept elsewhere"
    slug = "audit-checkpoint-not-kept"
    exit_code = EXIT_OUTPUT


@dataclass(frozen=True)
class _Grown:
    """The tree at the end of the log: not signed yet."""

    size: int
    root: bytes
    subtrees: list[StoredSubtree]


def origin(settings: Settings) -> str:
    """What this installation's log is called."""
    host = urlsplit(settings.public_url).hostname
    return settings.audit_origin or (f"{host}/tamsoat" if host else "tamsoat.local")


def make(database: Database, keyring: Keyring, settings: Settings) -> StoredCheckpoint | None:
    """Sign the log as it is now and return the checkpoint; the newest one where nothing was added since.

    Costs as much as there are new entries. They are checked before they are signed. None for an empty log.

    Raises:
        AuditBrokenError: new entries are not whole, or the tree does not continue the newest checkpoint.
        DatabaseUnavailableError, StorageFullError: nothing was stored.
    """
    with database.read() as session:
        repository.begin_snapshot(session)
        before = repository.newest_checkpoint(session)
        if not _added(session, before):
            return before
        grown = _grow(session, before)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    checkpoint = notes.Checkpoint(origin(settings), grown.size, grown.root, moment)
    note = notes.sign(checkpoint, keyring.signing)
    stored = StoredCheckpoint(grown.size, grown.root.hex(), moment, note)
    with database.write() as session:
        repository.lock_head(session)
        newest = repository.newest_checkpoint(session)
        if newest is not None and newest != before:
            return newest  # another process was faster; what it signed is as good
        repository.add_checkpoint(session, stored, grown.subtrees)
        details = {"size": grown.size}
        event = Event(SYSTEM, Action.AUDIT_CHECKPOINT, f"checkpoint:{grown.size}", {"root": stored.root}, None, details)
        service.append(session, event)
    return stored


def is_due(database: Database, settings: Settings) -> bool:
    """Whether enough entries, or enough time with any entry at all, passed since the newest checkpoint."""
    with database.read() as session:
        newest = repository.newest_checkpoint(session)
        added = _added(session, newest)
    if newest is None or added >= settings.audit_checkpoint_entries:
        return added > 0
    age = datetime.now(UTC) - datetime.strptime(newest.created_at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return added > 0 and age.total_seconds() >= 60 * settings.audit_checkpoint_minutes


def keep_elsewhere(database: Database, folder: Path) -> int:
    """Write the checkpoints that ``folder`` lacks, one file each, and return how many. Files are never changed.

    Raises:
        CheckpointKeepingError: the folder cannot be written.
    """
    try:
        names = (_FILE.fullmatch(path.name) for path in folder.iterdir())
        with database.read() as session:
            lacking = repository.checkpoints(session, max((int(name[1]) for name in names if name), default=0))
        for checkpoint in lacking:
            path = folder / f"checkpoint-{checkpoint.size:012}.txt"
            with open(path, "x", encoding="utf-8", newline="\n") as stream:
                stream.write(checkpoint.note)
                stream.flush()
                os.fsync(stream.fileno())
    except FileExistsError:
        return 0  # another process is writing the same checkpoints
    except OSError as error:
        raise CheckpointKeepingError(f"{folder}: checkpoints cannot be written there: {error.strerror}") from error
    return len(lacking)


def _added(session: Session, newest: StoredCheckpoint | None) -> int:
    """Entries that no checkpoint covers, without the one that records the newest checkpoint."""
    head = repository.read_head(session)
    if head is None:
        raise AuditBrokenError("the head of the audit log is missing; run `tamsoat audit verify` and call IT")
    return head.sequence if newest is None else head.sequence - newest.size - 1


def _grow(session: Session, before: StoredCheckpoint | None) -> _Grown:
    size, last_hash, edge = 0, GENESIS_HASH, list[bytes]()
    completed: list[StoredSubtree] = []
    if before is not None:
        subtree, size = subtrees(session), before.size
        edge = [subtree(level, position) for level, position in merkle.edge_of(size)]
        last = repository.find(session, size)
        last_hash = last.entry_hash if last is not None else ""
    growing = merkle.Growing(
        size,
        edge,
        levels=frozenset(STORED_LEVELS),
        completed=lambda level, position, digest: completed.append(StoredSubtree(level, position, digest.hex())),
    )
    if before is not None and growing.root().hex() != before.root:
        raise AuditBrokenError("the audit log does not continue its newest checkpoint; run `tamsoat audit verify`")
    for row in repository.stream(session, after=size):
        if row.sequence != growing.size + 1 or row.previous_hash != last_hash or not is_whole(row):
            raise AuditBrokenError(
                f"entry {growing.size + 1} of the audit log is not whole; run `tamsoat audit verify`"
            )
        growing.append(as_hash(row.entry_hash))
        last_hash = row.entry_hash
    return _Grown(growing.size, growing.root(), completed)
