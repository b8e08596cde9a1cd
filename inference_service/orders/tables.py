"""Orders, and the specimens that come with them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import JSON, Boolean, Date, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText


class Order(Base):
    """A request for a cervical cytology, with its clinical context."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("uq_orders_facility_id_number", "facility_id", "number", unique=True),
        Index("ix_orders_facility_id_created_at_id", "facility_id", "created_at", "id"),
        Index("ix_orders_facility_id_status_created_at", "facility_id", "status", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    patient_id: Mapped[str] = mapped_column(String(36), ForeignKey("patients.id"), index=True)
    number: Mapped[str] = mapped_column(String(64))
    """Placer number: what the ordering system calls it; unique in its facility."""
    requested_test: Mapped[str] = mapped_column(String(32))
    priority: Mapped[str] = mapped_column(String(16))
    """routine, urgent, stat."""
    status: Mapped[str] = mapped_column(String(16))
    """requested, accepted, in-progress, resulted, cancelled."""
    requester: Mapped[str | None] = mapped_column(EncryptedText("orders.requester"))
    """Who asked for it, as the ordering system names that person or department."""
    age_years: Mapped[int | None] = mapped_column(Integer)
    """At collection; None where the birth date is unknown."""
    last_period: Mapped[str | None] = mapped_column(EncryptedText("orders.last_period"))
    """First day of the last menstrual period, ISO date."""
    hpv_result: Mapped[str | None] = mapped_column(String(32))
    hpv_date: Mapped[str | None] = mapped_column(EncryptedText("orders.hpv_date"))
    """ISO date of the HPV test."""
    hpv_vaccination: Mapped[str | None] = mapped_column(String(16))
    history: Mapped[list[str]] = mapped_column(JSON)
    """Codes."""
    history_text: Mapped[str | None] = mapped_column(EncryptedText("orders.history_text"))
    pregnant: Mapped[bool | None] = mapped_column(Boolean)
    postmenopausal: Mapped[bool | None] = mapped_column(Boolean)
    intrauterine_device: Mapped[bool | None] = mapped_column(Boolean)
    hormones: Mapped[bool | None] = mapped_column(Boolean)
    version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    resulted_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    cancel_reason: Mapped[str | None] = mapped_column(String(64))


class Specimen(Base):
    """What was taken from the patient, and how it was prepared."""

    __tablename__ = "specimens"
    __table_args__ = (Index("uq_specimens_facility_id_accession", "facility_id", "accession", unique=True),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    order_id: Mapped[str] = mapped_column(String(36), ForeignKey("orders.id"), index=True)
    accession: Mapped[str] = mapped_column(String(64))
    """The laboratory's number; unique in its facility."""
    collected_on: Mapped[date | None] = mapped_column(Date)
    source_site: Mapped[str] = mapped_column(String(32))
    preparation: Mapped[str] = mapped_column(String(16))
    """conventional or liquid-based: decides the LOINC code of the report."""
    state: Mapped[str] = mapped_column(String(16))
    """expected, received, rejected."""
    rejected_reason: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
