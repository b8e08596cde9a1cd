"""Consultations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "consultations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("case_id", sa.String(36), nullable=False),
        sa.Column("asked_by", sa.String(36), nullable=False),
        sa.Column("consultant", sa.String(36), nullable=False),
        sa.Column("consultant_facility_id", sa.String(36), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("opinion", sa.Text(), nullable=True),
        sa.Column("category", sa.String(32), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_consultations_facility_id_facilities"),
        sa.ForeignKeyConstraint(["consultant"], ["accounts.id"], name="fk_consultations_consultant_accounts"),
        sa.ForeignKeyConstraint(
            ["consultant_facility_id"], ["facilities.id"], name="fk_consultations_consultant_facility_id_facilities"
        ),
    )
    for columns in (
        ("case_id", "created_at"),
        ("consultant", "state", "expires_at"),
        ("facility_id", "created_at"),
    ):
        op.create_index("ix_consultations_" + "_".join(columns), "consultations", list(columns))
