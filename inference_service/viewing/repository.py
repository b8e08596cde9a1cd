"""SQL of viewing."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.uploads.tables import Slide


def slide_of_any_facility(session: Session, slide_id: str) -> Slide | None:
    """The slide, unless it was deleted: the caller has to check who may look at it."""
    return session.scalar(select(Slide).where(Slide.id == slide_id, Slide.deleted_at.is_(None)))
