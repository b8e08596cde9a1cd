"""Facilities, the owners of every row; the people who work in them, their second factors and sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

LOCAL_FACILITY = "local"
"""Identifier of the facility that exists from the start; work without sign-in belongs to it."""

ACTIVE, DISABLED = "active", "disabled"


class Facility(Base):
    """A hospital or laboratory. Its rows are invisible to every other facility."""

    __tablename__ = "facilities"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    code: Mapped[str] = mapped_column(String(5), unique=True)
    """MA_CSKCB, 5 characters."""
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class Account(Base):
    """A person who signs in. Accounts are disabled, never removed: the audit log names them."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("external_issuer", "external_subject", name="uq_accounts_external"),
        Index("ix_accounts_facility_id_username", "facility_id", "username"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"))
    username: Mapped[str] = mapped_column(String(64), unique=True)
    """Lower case; unique over all facilities, so that nobody has to name a facility to sign in."""
    display_name: Mapped[str] = mapped_column(EncryptedText("accounts.display_name"))
    status: Mapped[str] = mapped_column(String(16), default=ACTIVE)
    disabled_reason: Mapped[str | None] = mapped_column(String(16))
    """``administrator``, ``idle`` or ``example``."""
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """Argon2id in PHC format; None: no password, the person signs in at the hospital's identity provider."""
    password_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """Of a one-time password; None: it does not expire."""
    must_change_password: Mapped[bool] = mapped_column(default=False)
    totp_secret: Mapped[str | None] = mapped_column(EncryptedText("accounts.totp_secret"))
    """Base32; None: no second factor."""
    totp_pending: Mapped[str | None] = mapped_column(EncryptedText("accounts.totp_pending"))
    """Base32 of an enrolment that was begun and not confirmed."""
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger())
    """Time step (30 s since 1970) of the newest code that was accepted; it and older ones are refused."""
    failed_attempts: Mapped[int] = mapped_column(Integer(), default=0)
    """Failures since the last success."""
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime())
    external_issuer: Mapped[str | None] = mapped_column(String(255))
    external_subject: Mapped[str | None] = mapped_column(String(255))
    """Who the person is at the hospital's identity provider (``iss`` and ``sub`` of OpenID Connect)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    enabled_at: Mapped[datetime] = mapped_column(UtcDateTime())
    """When the account was made or last enabled; idle days count from it or from the last activity."""
    last_active_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    example: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Of the example facility: does not count as an account, and ends with the first one that does."""

    role_rows: Mapped[list[AccountRole]] = relationship(lazy="selectin", cascade="all, delete-orphan")
    facility: Mapped[Facility] = relationship(lazy="joined", innerjoin=True, viewonly=True)


class AccountRole(Base):
    """One role of one account."""

    __tablename__ = "account_roles"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(32), primary_key=True)


class RecoveryCode(Base):
    """One code that replaces the second factor once; only its keyed hash is stored, and the row goes with its use."""

    __tablename__ = "recovery_codes"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)


class AccountSession(Base):
    """One signed-in browser. Only the SHA-256 of its cookie is stored."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    method: Mapped[str] = mapped_column(String(16))
    """``password`` or ``oidc``."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    """The absolute limit; the idle limit counts from ``last_seen_at``."""

    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)


class SignInSource(Base):
    """Failed sign-ins from one network address, known by its keyed hash only."""

    __tablename__ = "sign_in_sources"

    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer())
    last_failure_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(UtcDateTime())


class AccessReview(Base):
    """Someone has gone through a facility's accounts and clients."""

    __tablename__ = "access_reviews"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(ForeignKey("facilities.id"), index=True)
    done_at: Mapped[datetime] = mapped_column(UtcDateTime())
    done_by: Mapped[str] = mapped_column(String(200))
    """The actor, as in the audit log."""
