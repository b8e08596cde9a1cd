"""Cases, and how a facility reads them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)

INDEXES = (
    ("order_id",),
    ("facility_id", "open", "urgency", "number"),
    ("facility_id", "state", "urgency", "number"),
    ("facility_id", "state", "signed_at", "number"),
    ("assigned_to", "open", "urgency", "number"),
    ("second_reader", "open", "urgency", "number"),
    ("facility_id", "updated_at"),
)


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("triage", sa.String(16), nullable=True),
        sa.Column("ai_category", sa.String(32), nullable=True),
        sa.Column("suspicion", sa.Float(53), nullable=True),
        sa.Column("usable", sa.Boolean(), nullable=True),
        sa.Column("assigned_to", sa.String(36), nullable=True),
        sa.Column("assigned_at", _MOMENT, nullable=True),
        sa.Column("second_reader", sa.String(36), nullable=True),
        sa.Column("second_reason", sa.String(32), nullable=True),
        sa.Column("signed_category", sa.String(32), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ready_at", _MOMENT, nullable=True),
        sa.Column("signed_at", _MOMENT, nullable=True),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("example", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("id", name="uq_cases_id"),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_cases_facility_id_facilities"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_cases_facility_id_label", "cases", ["facility_id", "label"], unique=True)
    for columns in INDEXES:
        op.create_index("ix_cases_" + "_".join(columns), "cases", list(columns))
    op.create_table(
        "facility_review_settings",
        sa.Column("facility_id", sa.String(36), primary_key=True),
        sa.Column("blind_first", sa.Boolean(), nullable=False),
        sa.Column("negative_share", sa.Float(53), nullable=False),
        sa.Column("disagreement_steps", sa.Integer(), nullable=False),
        sa.Column("report_name", sa.Text(), nullable=True),
        sa.Column("report_department", sa.Text(), nullable=True),
        sa.Column("report_address", sa.Text(), nullable=True),
        sa.Column("report_phone", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["facility_id"], ["facilities.id"], name="fk_facility_review_settings_facility_id_facilities"
        ),
    )
