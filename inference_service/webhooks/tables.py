"""Webhooks of a facility, the events that happened, and how each delivery went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

_KEY = BigInteger().with_variant(Integer(), "sqlite")


class Webhook(Base):
    """An address of a facility's own system that wants to hear of events."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_facility_id_created_at", "facility_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"))
    url: Mapped[str] = mapped_column(String(2000))
    event_types: Mapped[list[str]] = mapped_column(JSON)
    secret: Mapped[str] = mapped_column(EncryptedText("webhooks.secret"))
    """``whsec_`` and base64, as Standard Webhooks writes it."""
    previous_secret: Mapped[str | None] = mapped_column(EncryptedText("webhooks.previous_secret"))
    previous_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Until then every message is signed with both secrets."""
    enabled: Mapped[bool] = mapped_column(Boolean)
    paused_reason: Mapped[str | None] = mapped_column(String(16))
    """``gone`` (the receiver answered 410) or ``switched-off``; None while enabled."""
    version: Mapped[int] = mapped_column(Integer)
    """Counts changes; the entity tag."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class WebhookEvent(Base):
    """Something that happened. ``data`` holds identifiers and codes, never personal data."""

    __tablename__ = "webhook_events"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """``msg_…``: the same in every attempt, so that a receiver can tell a repetition."""
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"))
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, str | int | bool | None]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class WebhookDelivery(Base):
    """One event on its way to one webhook."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id_number", "webhook_id", "number"),
        Index("ix_webhook_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of creation; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"))
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id"))
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id"))
    state: Mapped[str] = mapped_column(String(16))
    """pending | retrying | delivered | failed | paused"""
    attempts: Mapped[int] = mapped_column(Integer)
    """Attempts made since the delivery began, resends included."""
    wake: Mapped[int] = mapped_column(Integer)
    """Which attempt is due: part of the workflow's identifier, so that an outdated wake-up does nothing."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """None once delivered, failed or paused."""
    began_at: Mapped[datetime] = mapped_column(UtcDateTime())
    """Creation, or the last resend: tries end ``webhook_retry_days`` later."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class WebhookAttempt(Base):
    """One try to deliver, and what came of it."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "wake"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_deliveries.id"))
    wake: Mapped[int] = mapped_column(Integer)
    """Which attempt of the delivery: recorded once, however often its step is repeated."""
    attempted_at: Mapped[datetime] = mapped_column(UtcDateTime())
    duration_s: Mapped[float] = mapped_column(Float(53))
    status: Mapped[int | None] = mapped_column(Integer)
    """HTTP status of the receiver; None where there was no answer."""
    error: Mapped[str | None] = mapped_column(String(32))
    """Code of what went wrong; None for a delivery that was taken."""
    excerpt: Mapped[str | None] = mapped_column(EncryptedText("webhook_attempts.excerpt"))
    """First 500 bytes of the answer; encrypted, because nobody knows what a receiver writes."""
