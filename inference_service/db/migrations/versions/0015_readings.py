"""Readings of cases, and what readers write to each other about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("reader", sa.String(36), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("category", sa.String(32), nullable=True),
        sa.Column("digest", sa.String(64), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("salt", sa.Text(), nullable=True),
        sa.Column("model_digest", sa.String(64), nullable=True),
        sa.Column("ai_category", sa.String(32), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("second_reason", sa.String(32), nullable=True),
        sa.Column("supersedes", sa.String(36), nullable=True),
        sa.Column("needs_confirmation", sa.Boolean(), nullable=False),
        sa.Column("confirmed_by", sa.String(36), nullable=True),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("signed_at", _MOMENT, nullable=True),
        sa.Column("final_at", _MOMENT, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_readings_facility_id_facilities"),
    )
    op.create_index("ix_readings_case_id_signed_at", "readings", ["case_id", "signed_at"])
    op.create_index("ix_readings_facility_id_signed_at", "readings", ["facility_id", "signed_at"])
    only_drafts = sa.text("state = 'draft'")
    op.create_index(
        "uq_readings_draft", "readings", ["case_id", "reader", "role"], unique=True,
        sqlite_where=only_drafts, postgresql_where=only_drafts,
    )  # fmt: skip
    op.create_table(
        "case_messages",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("author", sa.String(36), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_case_messages_facility_id_facilities"),
    )
    op.create_index("ix_case_messages_case_id_created_at", "case_messages", ["case_id", "created_at"])
