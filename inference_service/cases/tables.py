"""Cases, and how a facility wants its cases read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

_KEY = BigInteger().with_variant(Integer(), "sqlite")

ANALYSING, READY, IN_REVIEW = "analysing", "ready", "in-review"
SECOND_REVIEW, DISCUSSION, SIGNED, CANCELLED = "second-review", "discussion", "signed", "cancelled"
STATES = (ANALYSING, READY, IN_REVIEW, SECOND_REVIEW, DISCUSSION, SIGNED, CANCELLED)
"""What each means and what may follow it: :data:`tamsoat.inference_service.cases.service.NEXT`."""
CLOSED = (SIGNED, CANCELLED)


class Case(Base):
    """What one reader reads at a time: every slide of one order, or one slide without an order.

    Only :mod:`tamsoat.inference_service.cases.service` changes these rows. The slides name their case
    (``slides.case_id``).
    """

    __tablename__ = "cases"
    __table_args__ = (
        Index("uq_cases_facility_id_label", "facility_id", "label", unique=True),
        Index("ix_cases_order_id", "order_id"),
        Index("ix_cases_facility_id_open_urgency_number", "facility_id", "open", "urgency", "number"),
        Index("ix_cases_facility_id_state_urgency_number", "facility_id", "state", "urgency", "number"),
        Index("ix_cases_facility_id_state_signed_at_number", "facility_id", "state", "signed_at", "number"),
        Index("ix_cases_assigned_to_open_urgency_number", "assigned_to", "open", "urgency", "number"),
        Index("ix_cases_second_reader_open_urgency_number", "second_reader", "open", "urgency", "number"),
        Index("ix_cases_facility_id_updated_at", "facility_id", "updated_at"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of arrival over all facilities; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    label: Mapped[str] = mapped_column(String(64))
    """The specimen's accession, else one that the service gives (``26-000123``); unique in its facility."""
    order_id: Mapped[str | None] = mapped_column(String(36))
    priority: Mapped[int] = mapped_column(Integer)
    """Rank: 1 stat, 2 urgent, 3 routine."""
    urgency: Mapped[int] = mapped_column(Integer)
    """Rank in the worklist, the lower the sooner: see :func:`tamsoat.inference_service.cases.service.urgency_of`."""
    state: Mapped[str] = mapped_column(String(16))
    open: Mapped[bool] = mapped_column(Boolean)
    """Whether somebody still has to do something: neither signed nor cancelled."""
    triage: Mapped[str | None] = mapped_column(String(16))
    """Of the model, the most urgent one of the slides; None: no result yet."""
    ai_category: Mapped[str | None] = mapped_column(String(32))
    """Of the model, the gravest one of the slides."""
    suspicion: Mapped[float | None] = mapped_column(Float(53))
    """Of the model, the highest probability of an abnormality among the slides, 0..1."""
    usable: Mapped[bool | None] = mapped_column(Boolean)
    """Whether the quality check found every slide fit to be read; None: no result yet."""
    assigned_to: Mapped[str | None] = mapped_column(String(36))
    """Account of the primary reader, or ``local``."""
    assigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    second_reader: Mapped[str | None] = mapped_column(String(36))
    """Account of the second reader, once somebody took the second reading."""
    second_reason: Mapped[str | None] = mapped_column(String(32))
    """Code of the rule that asks for a second reading."""
    signed_category: Mapped[str | None] = mapped_column(String(32))
    """General result of the reading that stands."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    signed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When the result became final; an amendment does not change it."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    version: Mapped[int] = mapped_column(Integer)
    """Grows by one with every change; the ETag."""
    example: Mapped[bool] = mapped_column(Boolean)
    """Whether it belongs to the example facility."""


class FacilityReviewSettings(Base):
    """How a facility reads its cases and heads its reports; a facility without a row has the defaults."""

    __tablename__ = "facility_review_settings"

    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"), primary_key=True)
    blind_first: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether a reader states an impression before what the model found is shown."""
    negative_share: Mapped[float] = mapped_column(Float(53), default=0.1)
    """Share of the negative cases that go to a second reader, 0..1; which ones is drawn by chance."""
    disagreement_steps: Mapped[int] = mapped_column(Integer, default=2)
    """A reader and the model so many categories apart: a second reader decides."""
    report_name: Mapped[str | None] = mapped_column(EncryptedText("facility_review_settings.report_name"))
    """Head of the report; None: the name of the facility."""
    report_department: Mapped[str | None] = mapped_column(EncryptedText("facility_review_settings.report_department"))
    report_address: Mapped[str | None] = mapped_column(EncryptedText("facility_review_settings.report_address"))
    report_phone: Mapped[str | None] = mapped_column(EncryptedText("facility_review_settings.report_phone"))
    version: Mapped[int] = mapped_column(Integer, default=1)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
