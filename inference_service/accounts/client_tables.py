"""Machine clients and the assertions that they have used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime


class Client(Base):
    """A hospital system that calls the API for one facility. It proves who it is with a private key of its own."""

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """UUID; the ``client_id`` of OAuth."""
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    """The most that its tokens may hold, SMART v2 syntax."""
    jwks_url: Mapped[str | None] = mapped_column(String(500))
    """Where its public keys are fetched; exactly one of this and ``jwks`` is set."""
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Its public keys (RFC 7517)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class UsedAssertion(Base):
    """An assertion that got a token. It is refused when it comes again, until it has expired by itself."""

    __tablename__ = "used_assertions"

    client_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    jti_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
