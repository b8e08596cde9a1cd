"""Slide screening: parts of what is being screened, maps of what was, and how the two kinds of analyses differ."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("screenings", sa.Column("done_before", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("analyses", sa.Column("kind", sa.String(16), nullable=False, server_default="field"))
    op.add_column("analyses", sa.Column("slide_facts", sa.JSON(), nullable=True))
    op.create_table(
        "analysis_maps",
        sa.Column("analysis_number", key, sa.ForeignKey("analyses.number"), primary_key=True, autoincrement=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("tile_um", sa.Float(53), nullable=False),
        sa.Column("quality", sa.LargeBinary(), nullable=False),
        sa.Column("suspicion", sa.LargeBinary(), nullable=False),
        sa.Column("plane", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "screening_parts",
        sa.Column("analysis_id", sa.String(36), primary_key=True),
        sa.Column("attempt", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("first_tile", sa.Integer(), nullable=False),
        sa.Column("tiles", sa.Integer(), nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )
