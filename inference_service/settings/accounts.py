"""Settings: accounts and sign-in."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AccountSettings(BaseModel):
    """Accounts and sign-in."""

    session_idle_min: int = Field(30, ge=1, le=720, description="minutes without a request after which a session ends")
    session_max_h: int = Field(12, ge=1, le=72, description="hours after which a session ends even when it is in use")
    lockout_attempts: int = Field(
        5, ge=3, le=100, description="failed sign-ins in a row after which an account is locked, count"
    )
    lockout_s: int = Field(
        60,
        ge=1,
        le=3600,
        description="seconds of the first lock of an account or address; each further failure doubles it, up to 1 h",
    )
    lockout_source_attempts: int = Field(
        30,
        ge=3,
        le=10_000,
        description="failed sign-ins from one network address (IPv6: one /64) after which the address has to wait, "
        "count; a hospital behind one address shares it",
    )
    idle_days: int = Field(45, ge=1, le=365, description="days without activity after which an account is disabled")
    one_time_password_h: int = Field(
        72, ge=1, le=720, description="hours for which a one-time password of an administrator can be used"
    )
    password_memory_mib: int = Field(
        64, ge=8, le=1024, description="memory of one Argon2id password hash, MiB; existing hashes follow at sign-in"
    )
    password_passes: int = Field(3, ge=1, le=20, description="passes of Argon2id over its memory, count")
    password_checks: int = Field(
        4, ge=1, le=64, description="passwords checked at once, count; bounds memory and processor time"
    )
    access_review_days: int = Field(
        182, ge=1, le=730, description="days after which the administrator is reminded to review the accounts"
    )
