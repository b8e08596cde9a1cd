"""Reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("reading_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(26), nullable=False),
        sa.Column("code_sha256", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("model_name", sa.String(100), nullable=True),
        sa.Column("model_version", sa.String(100), nullable=True),
        sa.Column("model_digest", sa.String(64), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("superseded_by", sa.String(36), nullable=True),
        sa.Column("file_key", sa.Text(), nullable=True),
        sa.Column("pdf_vi_sha256", sa.String(64), nullable=True),
        sa.Column("pdf_en_sha256", sa.String(64), nullable=True),
        sa.Column("pdf_vi_stored", sa.String(64), nullable=True),
        sa.Column("pdf_en_stored", sa.String(64), nullable=True),
        sa.Column("pdf_vi_bytes", sa.Integer(), nullable=True),
        sa.Column("pdf_en_bytes", sa.Integer(), nullable=True),
        sa.Column("render_at", _MOMENT, nullable=True),
        sa.Column("render_attempts", sa.Integer(), nullable=False),
        sa.Column("verified_on", sa.Date(), nullable=True),
        sa.UniqueConstraint("code_sha256", name="uq_reports_code_sha256"),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_reports_facility_id_facilities"),
    )
    op.create_index("uq_reports_case_id_number", "reports", ["case_id", "number"], unique=True)
    op.create_index("ix_reports_render_at", "reports", ["render_at"])
    op.create_index("ix_reports_facility_id_created_at", "reports", ["facility_id", "created_at"])
