"""Screenings (what was asked for and how far it is), analyses (what was found) and their findings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime

_KEY = BigInteger().with_variant(Integer(), "sqlite")

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "queued", "running", "completed", "failed", "cancelled"
FINAL_STATES = (COMPLETED, FAILED, CANCELLED)
FIELD, SLIDE = "field", "slide"
"""Kinds of analyses: one microscope field, or a whole slide that was screened tile by tile."""
PRIORITIES = {"stat": 1, "urgent": 2, "routine": 3}
"""Priorities of orders and their rank; the lower one is worked on first."""


class Screening(Base):
    """One request to screen an image: a job, or an image that was screened while the caller waited.

    ``id`` is also the identifier of the analysis that it leads to. A row leaves a final state only by a retry,
    which raises ``attempts``; whoever writes a result names the attempt that it belongs to.
    """

    __tablename__ = "screenings"
    __table_args__ = (
        Index("ix_screenings_facility_id_created_at_number", "facility_id", "created_at", "number"),
        Index("ix_screenings_facility_id_state_created_at_number", "facility_id", "state", "created_at", "number"),
        Index("ix_screenings_facility_id_triage_created_at_number", "facility_id", "triage", "created_at", "number"),
        Index(
            "ix_screenings_facility_id_priority_created_at_number", "facility_id", "priority", "created_at", "number"
        ),
        Index("ix_screenings_state_priority_number", "state", "priority", "number"),
        Index(
            "ix_screenings_facility_id_slide_id_created_at_number", "facility_id", "slide_id", "created_at", "number"
        ),
        Index(
            "ix_screenings_facility_id_order_id_created_at_number", "facility_id", "order_id", "created_at", "number"
        ),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of arrival; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"))
    slide_id: Mapped[str | None] = mapped_column(String(36))
    """None: the image came with the request and was not kept."""
    order_id: Mapped[str | None] = mapped_column(String(36))
    mpp: Mapped[float] = mapped_column(Float(53))
    """Micrometres per pixel, as stated with the image."""
    priority: Mapped[int] = mapped_column(Integer)
    """Rank, see :data:`PRIORITIES`."""
    state: Mapped[str] = mapped_column(String(16))
    step: Mapped[str | None] = mapped_column(String(16))
    """What is being done while it runs: fetch, decode, analyse, store."""
    done: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(Integer)
    """Tiles analysed, of how many; 0 of 0 before they are counted."""
    done_before: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    """Tiles that were analysed already when the worker that has it began: the time left is estimated without them."""
    triage: Mapped[str | None] = mapped_column(String(16))
    problem_slug: Mapped[str | None] = mapped_column(String(64))
    problem_title: Mapped[str | None] = mapped_column(String(200))
    problem_detail: Mapped[str | None] = mapped_column(String(1000))
    attempts: Mapped[int] = mapped_column(Integer)
    """1, and one more for every retry that a person asked for."""
    crashes: Mapped[int] = mapped_column(Integer)
    """How often this attempt was begun and not finished, because its process died."""
    cancel_requested: Mapped[bool] = mapped_column(Boolean)
    requested_by: Mapped[str] = mapped_column(String(200))
    """The actor, as the audit log names it."""
    executor: Mapped[str | None] = mapped_column(String(100))
    """The worker that has it, or had it last."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    version: Mapped[int] = mapped_column(Integer)
    """Counts changes; identifies an event of the stream."""


class Analysis(Base):
    """One image, analysed once by one model. The image itself is not kept, only its digest."""

    __tablename__ = "analyses"
    __table_args__ = (
        Index("ix_analyses_facility_id_number", "facility_id", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of arrival; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    """UUID, what the outside world calls it."""
    facility_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    image_sha256: Mapped[str] = mapped_column(String(64), index=True)
    image_bytes: Mapped[int] = mapped_column(BigInteger())
    width_px: Mapped[int] = mapped_column(Integer)
    height_px: Mapped[int] = mapped_column(Integer)
    mpp: Mapped[float] = mapped_column(Float(53))
    """Micrometres per pixel, as stated with the image."""
    model_name: Mapped[str] = mapped_column(String(100))
    model_version: Mapped[str] = mapped_column(String(100))
    model_digest: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(64))
    """ONNX Runtime execution provider that computed it."""
    usable: Mapped[bool] = mapped_column(Boolean)
    reasons: Mapped[list[str]] = mapped_column(JSON)
    category: Mapped[str] = mapped_column(String(32))
    abnormal_probability: Mapped[float] = mapped_column(Float(53))
    triage: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[str]] = mapped_column(JSON)
    """Categories in the order of ``Finding.probabilities``."""
    cells: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float(53))
    kind: Mapped[str] = mapped_column(String(16), server_default=FIELD, default=FIELD)
    """:data:`FIELD` or :data:`SLIDE`."""
    slide_facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Of a slide only: the members of :class:`~tamsoat.inference_service.screening.schemas.SlideFacts`."""


class Finding(Base):
    """One nucleus; ``rank`` 0 is the most suspicious of its analysis."""

    __tablename__ = "findings"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    analysis_number: Mapped[int] = mapped_column(_KEY, ForeignKey("analyses.number"), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    x_px: Mapped[float] = mapped_column(Float(53))
    y_px: Mapped[float] = mapped_column(Float(53))
    category: Mapped[str] = mapped_column(String(32))
    score: Mapped[float] = mapped_column(Float(53))
    probabilities: Mapped[list[float]] = mapped_column(JSON)


class AnalysisMap(Base):
    """The tiles of an analysed slide: how good each is, and its highest suspicion. Derived; for the eye."""

    __tablename__ = "analysis_maps"

    analysis_number: Mapped[int] = mapped_column(_KEY, ForeignKey("analyses.number"), primary_key=True)
    columns: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    tile_um: Mapped[float] = mapped_column(Float(53))
    """Distance of neighbouring tiles in micrometres; the grid spans the slide."""
    quality: Mapped[bytes] = mapped_column(LargeBinary)
    """uint8 per tile, row by row: :class:`~tamsoat.inference_service.slides.tile_quality.TileQuality`."""
    suspicion: Mapped[bytes] = mapped_column(LargeBinary)
    """Little-endian float32 per tile: highest score times 1 - P(NILM) of its nuclei."""
    plane: Mapped[bytes] = mapped_column(LargeBinary)
    """uint8 per tile: the focal plane that was screened."""


class ScreeningPart(Base):
    """Some tiles of a slide that is being screened: what was found in them, so that a stop costs no more than the
    tiles since the last part. Part 0 holds the plan and no tiles. Deleted when the analysis is stored."""

    __tablename__ = "screening_parts"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    analysis_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    part: Mapped[int] = mapped_column(Integer, primary_key=True)
    """0, 1, 2, … without gaps."""
    first_tile: Mapped[int] = mapped_column(Integer)
    """Position in the order of work, not in the grid."""
    tiles: Mapped[int] = mapped_column(Integer)
    findings: Mapped[bytes] = mapped_column(LargeBinary)
    """Columns, see ``screening/parts.py``."""
    quality: Mapped[bytes] = mapped_column(LargeBinary)
    """Per tile, see ``screening/parts.py``; of part 0 the tiles to be analysed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
