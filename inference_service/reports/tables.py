"""Readings (what a person says about a case, draft or signed) and what readers write to each other about it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

SCREENING, PRIMARY, SECOND, CONSENSUS, AMENDMENT = "screening", "primary", "second", "consensus", "amendment"
"""Roles of a reading. ``screening``: the cytotechnologist's, which prepares the case and decides nothing."""
DRAFT, SIGNED = "draft", "signed"


class Reading(Base):
    """One person's reading of one case. A signed one never changes, but for being confirmed or becoming the result."""

    __tablename__ = "readings"
    __table_args__ = (
        Index("ix_readings_case_id_signed_at", "case_id", "signed_at"),
        Index("ix_readings_facility_id_signed_at", "facility_id", "signed_at"),
        Index(
            "uq_readings_draft", "case_id", "reader", "role", unique=True,
            sqlite_where=text("state = 'draft'"), postgresql_where=text("state = 'draft'"),
        ),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    case_id: Mapped[str] = mapped_column(String(36))
    reader: Mapped[str] = mapped_column(String(36))
    """Identifier of the account, or ``local`` (drafts only)."""
    role: Mapped[str] = mapped_column(String(16))
    """screening, primary, second, consensus, amendment."""
    state: Mapped[str] = mapped_column(String(16))
    """draft, signed."""
    form: Mapped[str] = mapped_column(EncryptedText("readings.form"))
    """JSON of :class:`tamsoat.inference_service.reports.form.Form`."""
    category: Mapped[str | None] = mapped_column(String(32))
    """The gravest category of the form; None while the form says none."""
    digest: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of ``sealed``, lower-case hex; None for a draft."""
    sealed: Mapped[str | None] = mapped_column(EncryptedText("readings.sealed"))
    """Canonical JSON of all that was signed; free text only as salted hashes, so that it can be erased lawfully."""
    salt: Mapped[str | None] = mapped_column(EncryptedText("readings.salt"))
    """Of the hashes in ``sealed``; goes with the free text."""
    model_digest: Mapped[str | None] = mapped_column(String(64))
    """Of the model whose findings the reader had before the eyes; None: there were none."""
    ai_category: Mapped[str | None] = mapped_column(String(32))
    blind: Mapped[bool] = mapped_column(Boolean)
    """The reader gave a first impression before anything of the AI was shown (blind-first mode)."""
    reason: Mapped[str | None] = mapped_column(EncryptedText("readings.reason"))
    """Of an amendment: why."""
    second_reason: Mapped[str | None] = mapped_column(String(32))
    """The rule by which somebody else had to read or confirm it; None: no rule asked for it."""
    supersedes: Mapped[str | None] = mapped_column(String(36))
    """Of an amendment: the reading that was the result until then."""
    needs_confirmation: Mapped[bool] = mapped_column(Boolean)
    confirmed_by: Mapped[str | None] = mapped_column(String(36))
    """Account of the other person who confirmed a consensus or an amendment."""
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    signed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    final_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When it became the result of the case; None: it never was. The newest one is the result that holds."""
    version: Mapped[int] = mapped_column(Integer)
    """Grows with every save of a draft; the ETag."""


class CaseMessage(Base):
    """What one reader wrote to the others about a case."""

    __tablename__ = "case_messages"
    __table_args__ = (Index("ix_case_messages_case_id_created_at", "case_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    case_id: Mapped[str] = mapped_column(String(36))
    author: Mapped[str] = mapped_column(String(36))
    """Identifier of the account, or ``local``."""
    text: Mapped[str | None] = mapped_column(EncryptedText("case_messages.text"))
    """None: erased."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
