"""Screenings, of which jobs are made; the workers that work on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)

INDEXES = (
    ("facility_id", "created_at", "number"),
    ("facility_id", "state", "created_at", "number"),
    ("facility_id", "triage", "created_at", "number"),
    ("facility_id", "priority", "created_at", "number"),
    ("state", "priority", "number"),
    ("facility_id", "slide_id", "created_at", "number"),
    ("facility_id", "order_id", "created_at", "number"),
)

OF_ANALYSES_BEFORE = """
    INSERT INTO screenings (id, facility_id, mpp, priority, state, done, total, triage, attempts, crashes,
        cancel_requested, requested_by, created_at, started_at, finished_at, updated_at, version)
    SELECT id, facility_id, mpp, 3, 'completed', 0, 0, triage, 1, 0, FALSE, 'local',
        created_at, created_at, created_at, created_at, 1
    FROM analyses ORDER BY number
"""
"""Every analysis that was made before has its screening, so that one table holds the whole list."""


def upgrade() -> None:
    op.create_table(
        "screenings",
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("facility_id", sa.String(36), nullable=False),
        sa.Column("slide_id", sa.String(36), nullable=True),
        sa.Column("order_id", sa.String(36), nullable=True),
        sa.Column("mpp", sa.Float(53), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.String(16), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("triage", sa.String(16), nullable=True),
        sa.Column("problem_slug", sa.String(64), nullable=True),
        sa.Column("problem_title", sa.String(200), nullable=True),
        sa.Column("problem_detail", sa.String(1000), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(200), nullable=False),
        sa.Column("executor", sa.String(100), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("id", name="uq_screenings_id"),
        sa.ForeignKeyConstraint(["facility_id"], ["facilities.id"], name="fk_screenings_facility_id_facilities"),
        sqlite_autoincrement=True,
    )
    for columns in INDEXES:
        op.create_index("ix_screenings_" + "_".join(columns), "screenings", list(columns))
    op.execute(OF_ANALYSES_BEFORE)
    op.create_table(
        "workers",
        sa.Column("executor_id", sa.String(100), primary_key=True),
        sa.Column("incarnation", sa.String(36), nullable=False),
        sa.Column("folder", sa.String(36), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_workers_seen_at", "workers", ["seen_at"])
