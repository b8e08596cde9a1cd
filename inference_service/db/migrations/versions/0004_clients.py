"""Machine clients and idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("facility_id", sa.String(36), sa.ForeignKey("facilities.id"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("jwks_url", sa.String(500), nullable=True),
        sa.Column("jwks", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
    )
    op.create_index("ix_clients_facility_id", "clients", ["facility_id"])
    op.create_table(
        "used_assertions",
        sa.Column("client_id", sa.String(36), primary_key=True),
        sa.Column("jti_sha256", sa.String(64), primary_key=True),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index("ix_used_assertions_expires_at", "used_assertions", ["expires_at"])
    op.create_table(
        "idempotent_requests",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("payload", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(36), nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index("ix_idempotent_requests_expires_at", "idempotent_requests", ["expires_at"])
