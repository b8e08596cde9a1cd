"""Prove that an entry is in the log, for someone who has only a public key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import merkle, notes, repository
from tamsoat.inference_service.audit.answers import ConsistencyProof, EntryAnswer, Proof
from tamsoat.inference_service.audit.notes import Checkpoint
from tamsoat.inference_service.audit.rows import is_whole
from tamsoat.inference_service.audit.tree import TreeIncompleteError, as_hash, subtrees
from tamsoat.inference_service.errors import TamsoatError


class EntryNotFoundError(TamsoatError):
    """The log has no entry of this number that the caller may see."""

    status = 404
    title = "Audit entry not found"
    slug = "audit-entry-not-found"


class NotCoveredError(TamsoatError):
    """No checkpoint covers the entry yet."""

    status = 409
    title = "No checkpoint covers the entry yet"
    slug = "audit-not-covered"


class ProofRefusedError(TamsoatError):
    """A file is not a proof, or what it shows is not so."""

    status = 500
    title = "Proof is wrong"
    slug = "audit-proof-wrong"
    exit_code = 1


def prove(session: Session, sequence: int, facility: str | None = None, since: str | None = None) -> Proof:
    """The proof that an entry is in the log, from its newest checkpoint; reads about log(size) rows of the tree.

    Args:
        facility: only where the entry is this facility's or the installation's; None: any.
        since: note of an older checkpoint (its signature checked), to be shown to belong to the same log.

    Raises:
        EntryNotFoundError: there is no such entry.
        NotCoveredError: no checkpoint covers it yet.
        TreeIncompleteError: the stored tree does not prove it; the log was tampered with.
    """
    repository.begin_snapshot(session)
    row = repository.find(session, sequence)
    if row is None or (facility is not None and row.facility not in (facility, None)):
        raise EntryNotFoundError(f"the audit log has no entry {sequence} that you may see")
    stored = repository.newest_checkpoint(session)
    if stored is None or stored.size < sequence:
        covered = 0 if stored is None else stored.size
        raise NotCoveredError(f"the newest checkpoint covers {covered} entries; try again after the next one")
    subtree = subtrees(session)
    path = merkle.inclusion_proof(sequence - 1, stored.size, subtree)
    consistency = None if since is None else _consistency(since, stored, subtree)
    try:
        merkle.verify_inclusion(as_hash(row.entry_hash), sequence - 1, stored.size, path, as_hash(stored.root))
    except merkle.ProofError as error:
        raise TreeIncompleteError("the stored tree does not fit its checkpoint; run `tamsoat audit verify`") from error
    return Proof(
        entry=EntryAnswer.of(row),
        path=[step.hex() for step in path],
        checkpoint=stored.note,
        consistency=consistency,
    )


def check(text: str, key: Ed25519PublicKey) -> tuple[Proof, Checkpoint]:
    """The proof in ``text`` and the checkpoint that it leads to, everything checked; needs no database.

    Raises:
        ProofRefusedError: it is not a proof, or does not prove what it says.
        NoteError: a checkpoint in it is not signed with ``key``.
    """
    try:
        proof = Proof.model_validate_json(text)
        row = proof.entry.row()
    except (ValidationError, ValueError) as error:
        raise ProofRefusedError("this file is not a proof of an audit entry") from error
    checkpoint = notes.verify(proof.checkpoint, key)
    if not is_whole(row):
        raise ProofRefusedError(f"entry {row.sequence} was changed: its hash does not match its content")
    try:
        path = [as_hash(step) for step in proof.path]
        merkle.verify_inclusion(as_hash(row.entry_hash), row.sequence - 1, checkpoint.size, path, checkpoint.root)
        if proof.consistency is not None:
            older = notes.verify(proof.consistency.checkpoint, key)
            path = [as_hash(step) for step in proof.consistency.path]
            merkle.verify_consistency(older.size, older.root, checkpoint.size, checkpoint.root, path)
    except (merkle.ProofError, TreeIncompleteError) as error:
        raise ProofRefusedError(f"the proof of entry {row.sequence} is wrong: {error}") from error
    return proof, checkpoint


def _consistency(note: str, stored: repository.StoredCheckpoint, subtree: merkle.Subtree) -> ConsistencyProof:
    older = notes.read(note)
    if older.size > stored.size:
        raise NotCoveredError(f"the newest checkpoint covers {stored.size} entries, the older one {older.size}")
    path = merkle.consistency_proof(older.size, stored.size, subtree)
    try:
        merkle.verify_consistency(older.size, older.root, stored.size, as_hash(stored.root), path)
    except merkle.ProofError as error:
        raise TreeIncompleteError("the older checkpoint does not belong to this log: one was rewritten") from error
    return ConsistencyProof(checkpoint=note, path=[step.hex() for step in path])
