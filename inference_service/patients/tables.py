"""Patients, their identifiers, the hashes that they are found by, and merges."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import JSON, Boolean, Date, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText


class Patient(Base):
    """A person as one facility knows her. Two facilities never share a row."""

    __tablename__ = "patients"
    __table_args__ = (Index("ix_patients_facility_id_created_at_id", "facility_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    name: Mapped[str | None] = mapped_column(EncryptedText("patients.name"))
    """None: unknown, or erased."""
    birth_date: Mapped[str | None] = mapped_column(EncryptedText("patients.birth_date"))
    """``YYYY-MM-DD``, ``YYYY-MM`` or ``YYYY``: what is known of it."""
    sex: Mapped[str] = mapped_column(String(8))
    """FHIR administrative gender: female, male, other, unknown."""
    phone: Mapped[str | None] = mapped_column(EncryptedText("patients.phone"))
    address: Mapped[str | None] = mapped_column(EncryptedText("patients.address"))
    version: Mapped[int] = mapped_column(Integer)
    """Grows by one with every change; the ETag."""
    active: Mapped[bool] = mapped_column(Boolean)
    """False: merged into another, or erased."""
    merged_into: Mapped[str | None] = mapped_column(String(36), ForeignKey("patients.id"), index=True)
    legal_hold: Mapped[str | None] = mapped_column(String(64))
    """Code of the reason why nothing of this patient may be erased; None: there is none."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    erased_reason: Mapped[str | None] = mapped_column(String(64))


class PatientIdentifier(Base):
    """One number that a patient is known by, with the time in which it was valid.

    Active rows answer searches and are unique in their facility; retired rows stay as history.
    """

    __tablename__ = "patient_identifiers"
    __table_args__ = (
        Index(
            "uq_patient_identifiers_active",
            "facility_id",
            "system",
            "value_hash",
            unique=True,
            sqlite_where=text("active"),
            postgresql_where=text("active"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    patient_id: Mapped[str] = mapped_column(String(36), ForeignKey("patients.id"), index=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    system: Mapped[str] = mapped_column(String(32))
    """Last part of the URI of :class:`tamsoat.inference_service.patients.identifiers.System`."""
    value: Mapped[str] = mapped_column(EncryptedText("patient_identifiers.value"))
    value_hash: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the key form: an insurance card is found by its 10 digits, in either form."""
    valid_from: Mapped[date | None] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    active: Mapped[bool] = mapped_column(Boolean)
    confirmed: Mapped[list[str]] = mapped_column(JSON)
    """Codes of the warnings that a person confirmed when it was entered."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class PatientToken(Base):
    """Keyed hash of one word of the name, or of the birth date, its month or its year."""

    __tablename__ = "patient_tokens"
    __table_args__ = (Index("ix_patient_tokens_token_patient_id", "token", "patient_id"),)

    patient_id: Mapped[str] = mapped_column(String(36), ForeignKey("patients.id"), primary_key=True)
    token: Mapped[str] = mapped_column(String(64), primary_key=True)


class PatientMerge(Base):
    """One merge of two rows of the same person, with all that is needed to undo it."""

    __tablename__ = "patient_merges"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    source_id: Mapped[str] = mapped_column(String(36), ForeignKey("patients.id"), index=True)
    target_id: Mapped[str] = mapped_column(String(36), ForeignKey("patients.id"), index=True)
    reason: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(200))
    merged_at: Mapped[datetime] = mapped_column(UtcDateTime())
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    identifiers: Mapped[dict[str, str | None]] = mapped_column(JSON)
    """Identifier row moved to the target → its end of validity before, as ISO date."""
    orders: Mapped[list[str]] = mapped_column(JSON)
    """Orders moved to the target."""
