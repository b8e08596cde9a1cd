"""SQL of operations: what a backup holds, when the last one was made."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import merkle
from tamsoat.inference_service.audit import repository as audit
from tamsoat.inference_service.audit.tables import GENESIS_HASH, AuditEntry
from tamsoat.inference_service.operations.backup.manifest import AuditState, StoredFile
from tamsoat.inference_service.operations.tables import BackupRecord
from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.uploads.tables import Slide

READ_ROWS = 5_000


def audit_state(session: Session, size: int | None = None) -> AuditState:
    """End and Merkle root of the log as this transaction sees it, or of its first ``size`` entries."""
    query = select(AuditEntry.entry_hash).order_by(AuditEntry.sequence).execution_options(yield_per=READ_ROWS)
    if size is not None:
        query = query.where(AuditEntry.sequence <= size)
    tree, last = merkle.Growing(), GENESIS_HASH
    for last in session.scalars(query):
        tree.append(bytes.fromhex(last))
    if size is None:
        head = audit.read_head(session)
        last = head.entry_hash if head is not None else ""
    return AuditState(size=tree.size, entry_hash=last, root=tree.root().hex())


def stored_files(session: Session) -> list[StoredFile]:
    """Every file that rows of slides and reports name and that was not given up, once each, by digest."""
    files = select(Slide.sha256, Slide.bytes).where(Slide.purged_at.is_(None))
    pyramids = select(Slide.pyramid_sha256, Slide.pyramid_bytes).where(
        Slide.purged_at.is_(None), Slide.pyramid_sha256.is_not(None)
    )
    reports = [
        select(stored, size).where(stored.is_not(None))
        for stored, size in (
            (Report.pdf_vi_stored, Report.pdf_vi_bytes),
            (Report.pdf_en_stored, Report.pdf_en_bytes),
        )
    ]
    found: set[tuple[str, int]] = set()
    for query in (files, pyramids, *reports):
        found.update((str(row[0]), int(row[1] or 0)) for row in session.execute(query))
    return [StoredFile(sha256=sha256, bytes=size) for sha256, size in sorted(found)]


def is_named(session: Session, sha256: str) -> bool:
    """Whether a slide or a report still needs the file."""
    named = or_(Slide.sha256 == sha256, Slide.pyramid_sha256 == sha256)
    slides = select(Slide.id).where(named, Slide.purged_at.is_(None)).limit(1)
    reports = select(Report.id).where(or_(Report.pdf_vi_stored == sha256, Report.pdf_en_stored == sha256)).limit(1)
    return any(session.scalar(query) is not None for query in (slides, reports))


def add_backup(session: Session, record: BackupRecord) -> None:
    """Remember a finished backup."""
    session.add(record)


def newest_backup(session: Session) -> tuple[str, datetime] | None:
    """Name and moment of the newest backup; None where there is none."""
    query = select(BackupRecord.name, BackupRecord.moment).order_by(BackupRecord.moment.desc()).limit(1)
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1])
