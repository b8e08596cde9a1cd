"""Slides: what the file says of itself, whether it can be read, the pyramid built from it, its case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("slides") as batch:
        batch.alter_column("mpp", existing_type=sa.Float(53), nullable=True)
        batch.add_column(sa.Column("mpp_source", sa.String(16), nullable=False, server_default="stated"))
        batch.add_column(sa.Column("width_px", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("height_px", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("format", sa.String(64), nullable=True))
        batch.add_column(sa.Column("objective", sa.Float(53), nullable=True))
        batch.add_column(sa.Column("planes", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("condition", sa.String(16), nullable=False, server_default="ready"))
        batch.add_column(sa.Column("pyramid_sha256", sa.String(64), nullable=True))
        batch.add_column(sa.Column("pyramid_bytes", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("pyramid_percent", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("pyramid_tries", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("screening_priority", sa.String(16), nullable=False, server_default="routine"))
        batch.add_column(sa.Column("case_id", sa.String(36), nullable=True))
    with op.batch_alter_table("uploads") as batch:
        batch.alter_column("mpp", existing_type=sa.Float(53), nullable=True)
    op.create_index("ix_slides_pyramid_sha256", "slides", ["pyramid_sha256"])
    op.create_index("ix_slides_case_id", "slides", ["case_id"])
