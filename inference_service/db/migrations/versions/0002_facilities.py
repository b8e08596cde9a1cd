"""Facilities own every row; audit entries name the facility and explain themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "facilities",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("code", sa.String(5), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("code", name="uq_facilities_code"),
    )
    op.execute(
        "INSERT INTO facilities (id, code, name, created_at) VALUES ('local', '00000', 'Local', CURRENT_TIMESTAMP)"
    )
    op.add_column("audit_entries", sa.Column("facility", sa.String(36), nullable=True))
    op.add_column("audit_entries", sa.Column("details", sa.Text(), nullable=True))
    # No foreign key: SQLite cannot add one to a table that findings refer to, and facilities are never removed.
    op.add_column("analyses", sa.Column("facility_id", sa.String(36), nullable=False, server_default="local"))
    op.create_index("ix_analyses_facility_id_number", "analyses", ["facility_id", "number"])
