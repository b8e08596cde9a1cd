"""What is stored beside the entries (checkpoints, hashes of the tree), compared while the tree grows again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import merkle, notes, repository
from tamsoat.inference_service.audit.notes import Checkpoint, NoteError
from tamsoat.inference_service.audit.repository import StoredCheckpoint
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.audit.tree import STORED_LEVELS

Fault = tuple[int, str]
"""Sequence number of the first bad entry, and the reason."""


@dataclass(frozen=True)
class Stored:
    """Everything but the entries. ``unusable``: size → why a checkpoint is none."""

    checkpoints: dict[int, StoredCheckpoint] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)
    subtrees: dict[tuple[int, int], str] = field(default_factory=dict)
    kept: Checkpoint | None = None

    @classmethod
    def read(cls, session: Session, key: Ed25519PublicKey | None, kept: Checkpoint | None) -> Stored:
        """Read it all and check every checkpoint by itself; with ``key`` its signature too."""
        stored = cls(kept=kept, subtrees=repository.all_subtrees(session))
        for row in repository.checkpoints(session, after=-1):
            stored.checkpoints[row.size] = row
            try:
                _check(row, key)
            except NoteError as error:
                stored.unusable[row.size] = error.detail
        return stored


def _check(row: StoredCheckpoint, key: Ed25519PublicKey | None) -> None:
    signed = notes.read(row.note) if key is None else notes.verify(row.note, key)
    if (signed.size, signed.root.hex(), signed.created_at) != (row.size, row.root, row.created_at):
        raise NoteError("its columns are not those of its signed text")


class StoredTree:
    """The tree over the entries that were found whole, compared at every point where something is stored."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._growing = merkle.Growing(levels=frozenset(STORED_LEVELS), completed=self._completed)
        self._missing: list[tuple[int, int]] = []
        self._differing: list[tuple[int, int]] = []
        self._announced: set[int] = set()
        self._proven = 0
        self._left = dict(stored.subtrees)
        self._sizes = set(stored.checkpoints) | ({stored.kept.size} if stored.kept else set())

    @property
    def checkpoints(self) -> int:
        """How many stored checkpoints there are."""
        return len(self._stored.checkpoints)

    def grow(self, row: Row, next_hash: str) -> Fault | None:
        """Add a whole entry; say what is wrong with what is stored, if that shows here.

        ``next_hash``: the hash of this entry as the next entry, or the head, remembers it.
        """
        self._growing.append(bytes.fromhex(row.entry_hash))
        if row.action == Action.AUDIT_CHECKPOINT:
            fault = self._announce(row)
            if fault is not None:
                return fault
        if row.sequence not in self._sizes:
            return None
        return self._compare(row.sequence, row.entry_hash == next_hash)

    def end(self, count: int) -> Fault | None:
        """What is stored for entries that are not there, or that no entry announced."""
        beyond = sorted(size for size in self._sizes if size > count or size < 1)
        if beyond:
            return max(1, min(count + 1, beyond[0])), f"a checkpoint covers {beyond[0]} entries, the log has {count}"
        unannounced = sorted(set(self._stored.checkpoints) - self._announced)
        if unannounced:
            return unannounced[0], f"no entry records the making of the checkpoint of size {unannounced[0]}"
        if self._differing:
            return self._subtree_fault(self._differing[0])
        covered = [at for at in self._missing if (at[1] + 1) << at[0] <= self._proven]
        stray = [*covered, *self._left]
        if stray:
            level, position = min(stray, key=lambda at: at[1] << at[0])
            what = "is missing" if covered else "belongs to no entries"
            return max(1, min((position << level) + 1, count)), f"a stored hash of the tree {what}"
        return None

    def _compare(self, size: int, continued: bool) -> Fault | None:
        if size in self._stored.unusable:
            return size, f"the checkpoint of size {size} cannot be trusted: {self._stored.unusable[size]}"
        root = self._growing.root()
        row, kept = self._stored.checkpoints.get(size), self._stored.kept
        wanted = {row.root} if row is not None else set()
        if kept is not None and kept.size == size:
            wanted.add(kept.root.hex())
        if wanted != {root.hex()}:
            begin, end = self._proven + 1 if continued else size, size
            if self._differing and continued:
                level, position = self._differing[0]
                begin, end = (position << level) + 1, (position + 1) << level
            named = f"entry {begin} was" if begin == end else f"one of the entries {begin} to {end} was"
            return begin, f"{named} rewritten after the checkpoint of size {size} was signed"
        self._proven = size
        return self._subtree_fault(self._differing[0]) if self._differing else None

    def _announce(self, row: Row) -> Fault | None:
        size = int(json.loads(row.details or "{}").get("size", 0))
        self._announced.add(size)
        stored = self._stored.checkpoints.get(size)
        if stored is None:
            return max(size, 1), f"the checkpoint of size {size} that entry {row.sequence} records is missing"
        if json.loads(row.digests).get("root") != stored.root:
            return size, f"the checkpoint of size {size} is not the one that entry {row.sequence} records"
        return None

    def _completed(self, level: int, position: int, digest: bytes) -> None:
        stored = self._left.pop((level, position), None)
        if stored is None:
            self._missing.append((level, position))
        elif stored != digest.hex():
            self._differing.append((level, position))

    def _subtree_fault(self, at: tuple[int, int]) -> Fault:
        begin, end = (at[1] << at[0]) + 1, (at[1] + 1) << at[0]
        return begin, f"the stored hash of the tree over the entries {begin} to {end} was changed"
