"""Reviews: marks on cells, coverage, first impressions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("slide_id", sa.String(36), nullable=False),
        sa.Column("analysis_id", sa.String(36), nullable=True),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("x_px", sa.Float(53), nullable=False),
        sa.Column("y_px", sa.Float(53), nullable=False),
        sa.Column("category", sa.String(32), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("batch", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("withdrawn_at", _MOMENT, nullable=True),
        sa.UniqueConstraint("id", name="uq_marks_id"),
        sa.UniqueConstraint("batch", "position", name="uq_marks_batch_position"),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_marks_facility_id_facilities"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_marks_case_id_number", "marks", ["case_id", "number"])
    op.create_index("ix_marks_slide_id", "marks", ["slide_id"])
    op.create_table(
        "coverages",
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("slide_id", sa.String(36), primary_key=True),
        sa.Column("reader", sa.String(64), primary_key=True),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("cell_um", sa.Float(53), nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.Column("looked", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "blind_reads",
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("reader", sa.String(64), primary_key=True),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
