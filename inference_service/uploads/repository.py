"""SQL of slides and uploads."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.tables import QUEUED, RUNNING, Screening
from tamsoat.inference_service.uploads.tables import BUILDING, Slide, Upload


def lock(session: Session, name: str) -> None:
    """Let one transaction at a time go on from here for each ``name``, until it ends.

    SQLite has one writing transaction at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def get_slide(session: Session, facility_id: str, slide_id: str) -> Slide | None:
    """The facility's slide, unless it was deleted; None where there is none."""
    query = select(Slide).where(Slide.id == slide_id, Slide.facility_id == facility_id, Slide.deleted_at.is_(None))
    return session.scalar(query)


def find_slide(session: Session, facility_id: str, sha256: str) -> Slide | None:
    """The facility's first slide with these bytes that was not deleted."""
    query = (
        select(Slide)
        .where(Slide.sha256 == sha256, Slide.facility_id == facility_id, Slide.deleted_at.is_(None))
        .order_by(Slide.created_at, Slide.id)
        .limit(1)
    )
    return session.scalar(query)


def list_slides(
    session: Session, facility_id: str, limit: int, before: Slide | None, order_id: str | None
) -> list[Slide]:
    """At most ``limit`` slides of the facility, newest first, those after ``before`` in that order."""
    query = select(Slide).where(Slide.facility_id == facility_id, Slide.deleted_at.is_(None))
    if order_id is not None:
        query = query.where(Slide.order_id == order_id)
    if before is not None:
        older = (Slide.created_at < before.created_at) | (
            (Slide.created_at == before.created_at) & (Slide.id < before.id)
        )
        query = query.where(older)
    return list(session.scalars(query.order_by(Slide.created_at.desc(), Slide.id.desc()).limit(limit)))


def uses_of(session: Session, sha256: str) -> int:
    """How many slides of any facility, not deleted, have these bytes, as their file or as their pyramid."""
    named = or_(Slide.sha256 == sha256, Slide.pyramid_sha256 == sha256)
    query = select(func.count()).select_from(Slide).where(named, Slide.deleted_at.is_(None))
    return session.scalar(query) or 0


def unpurged(session: Session, limit: int) -> list[str]:
    """Deleted slides whose bytes were not given up yet."""
    query = select(Slide.id).where(Slide.deleted_at.is_not(None), Slide.purged_at.is_(None)).limit(limit)
    return list(session.scalars(query))


def lock_slide(session: Session, slide_id: str) -> Slide | None:
    """The slide, deleted or not, its row locked until the transaction ends."""
    return session.scalar(select(Slide).where(Slide.id == slide_id).with_for_update())


def to_be_built(session: Session, limit: int) -> list[tuple[str, str]]:
    """Slides whose pyramid is missing, oldest first: (id, priority)."""
    query = (
        select(Slide.id, Slide.screening_priority)
        .where(Slide.condition == BUILDING, Slide.deleted_at.is_(None))
        .order_by(Slide.created_at, Slide.id)
        .limit(limit)
    )
    return [(row.id, row.screening_priority) for row in session.execute(query)]


def set_pyramid_percent(session: Session, slide_id: str, percent: int) -> None:
    """Note how far the pyramid is."""
    session.execute(update(Slide).where(Slide.id == slide_id).values(pyramid_percent=percent))


def mark_purged(session: Session, slide_id: str, when: datetime) -> None:
    """Record that the bytes of a deleted slide were given up."""
    session.execute(update(Slide).where(Slide.id == slide_id).values(purged_at=when))


def used_bytes(session: Session, facility_id: str) -> int:
    """Bytes of the facility's slides with their pyramids, and those that its unfinished uploads were promised."""
    slides = select(func.coalesce(func.sum(Slide.bytes + func.coalesce(Slide.pyramid_bytes, 0)), 0)).where(
        Slide.facility_id == facility_id, Slide.deleted_at.is_(None)
    )
    uploads = select(func.coalesce(func.sum(Upload.expected_bytes), 0)).where(
        Upload.facility_id == facility_id, Upload.state == "receiving"
    )
    return int(session.scalar(slides) or 0) + int(session.scalar(uploads) or 0)


def get_upload(session: Session, upload_id: str, facility_id: str, actor: str) -> Upload | None:
    """The upload, where it belongs to this facility and this owner."""
    query = select(Upload).where(Upload.id == upload_id, Upload.facility_id == facility_id, Upload.actor == actor)
    return session.scalar(query)


def lock_upload(session: Session, upload_id: str) -> Upload | None:
    """The upload, its row locked until the transaction ends."""
    return session.scalar(select(Upload).where(Upload.id == upload_id).with_for_update())


def advance(session: Session, upload_id: str, received_bytes: int, expires_at: datetime) -> bool:
    """Record what has arrived; False where the upload is not receiving any more."""
    done = session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.state == "receiving")
        .values(received_bytes=received_bytes, expires_at=expires_at)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def expired_uploads(session: Session, now: datetime, limit: int) -> list[str]:
    """Uploads, in any state, that may be forgotten."""
    query = select(Upload.id).where(Upload.expires_at < now).order_by(Upload.expires_at).limit(limit)
    return list(session.scalars(query))


def whole_uploads(session: Session, limit: int) -> list[str]:
    """Uploads that arrived whole and were not made into a slide: their client or the server went away just then."""
    query = (
        select(Upload.id)
        .where(Upload.state == "receiving", Upload.received_bytes == Upload.expected_bytes)
        .order_by(Upload.created_at)
        .limit(limit)
    )
    return list(session.scalars(query))


def is_being_screened(session: Session, slide_id: str) -> bool:
    """Whether a screening of the slide waits or runs."""
    query = select(Screening.id).where(Screening.slide_id == slide_id, Screening.state.in_((QUEUED, RUNNING))).limit(1)
    return session.scalar(query) is not None
