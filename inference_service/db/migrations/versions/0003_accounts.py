"""Accounts, their roles, second factors and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.String(36)
_HASH = sa.String(64)
_MOMENT = sa.DateTime(timezone=True)


def _key(column: str, table: str, referred: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=f"fk_{table}_{column}_{referred}")


def upgrade() -> None:
    _create_accounts()
    _create_credentials()
    _create_sessions()
    _create_reviews()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("disabled_reason", sa.String(16)),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("password_expires_at", _MOMENT),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("totp_secret", sa.Text()),
        sa.Column("totp_pending", sa.Text()),
        sa.Column("totp_last_step", sa.BigInteger()),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", _MOMENT),
        sa.Column("external_issuer", sa.String(255)),
        sa.Column("external_subject", sa.String(255)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("enabled_at", _MOMENT, nullable=False),
        sa.Column("last_active_at", _MOMENT),
        sa.UniqueConstraint("username", name="uq_accounts_username"),
        sa.UniqueConstraint("external_issuer", "external_subject", name="uq_accounts_external"),
        _key("facility_id", "accounts", "facilities"),
    )
    op.create_index("ix_accounts_facility_id_username", "accounts", ["facility_id", "username"])


def _create_credentials() -> None:
    op.create_table(
        "account_roles",
        sa.Column("account_id", _ID, primary_key=True),
        sa.Column("role", sa.String(32), primary_key=True),
        _key("account_id", "account_roles", "accounts"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("account_id", _ID, primary_key=True),
        sa.Column("code_hash", _HASH, primary_key=True),
        _key("account_id", "recovery_codes", "accounts"),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("token_sha256", _HASH, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_seen_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("token_sha256", name="uq_sessions_token_sha256"),
        _key("account_id", "sessions", "accounts"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "sign_in_sources",
        sa.Column("address_hash", _HASH, primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", _MOMENT, nullable=False),
        sa.Column("blocked_until", _MOMENT),
    )
    op.create_index("ix_sign_in_sources_last_failure_at", "sign_in_sources", ["last_failure_at"])


def _create_reviews() -> None:
    op.create_table(
        "access_reviews",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("done_at", _MOMENT, nullable=False),
        sa.Column("done_by", sa.String(200), nullable=False),
        _key("facility_id", "access_reviews", "facilities"),
    )
    op.create_index("ix_access_reviews_facility_id", "access_reviews", ["facility_id"])
