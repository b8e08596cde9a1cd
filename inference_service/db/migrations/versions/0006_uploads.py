"""Uploads and slides."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "slides",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "facility_id",
            sa.String(36),
            sa.ForeignKey("facilities.id", name="fk_slides_facility_id_facilities"),
            nullable=False,
        ),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("mpp", sa.Float(53), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=True),
        sa.Column("analysis_id", sa.String(36), nullable=True),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_slides_facility_id_created_at", "slides", ["facility_id", "created_at", "id"])
    op.create_index("ix_slides_sha256", "slides", ["sha256"])
    op.create_index("ix_slides_order_id", "slides", ["order_id"])
    op.create_index("ix_slides_deleted_at", "slides", ["deleted_at"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "facility_id",
            sa.String(36),
            sa.ForeignKey("facilities.id", name="fk_uploads_facility_id_facilities"),
            nullable=False,
        ),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("expected_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mpp", sa.Float(53), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=True),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("slide_id", sa.String(36), nullable=True),
        sa.Column("analysis_id", sa.String(36), nullable=True),
        sa.Column("duplicate", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.String(64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_uploads_state_expires_at", "uploads", ["state", "expires_at"])
