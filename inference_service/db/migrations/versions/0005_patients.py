"""Patients, identifiers, orders and specimens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_MOMENT = sa.DateTime(timezone=True)
_ID = sa.String(36)


def _key(column: str, table: str, referred: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=f"fk_{table}_{column}_{referred}")


def upgrade() -> None:
    _create_patients()
    _create_identifiers()
    _create_merges()
    _create_orders()
    _create_specimens()


def _create_patients() -> None:
    op.create_table(
        "patients",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("birth_date", sa.Text()),
        sa.Column("sex", sa.String(8), nullable=False),
        sa.Column("phone", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("merged_into", _ID),
        sa.Column("legal_hold", sa.String(64)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("erased_at", _MOMENT),
        sa.Column("erased_reason", sa.String(64)),
        _key("facility_id", "patients", "facilities"),
        _key("merged_into", "patients", "patients"),
    )
    op.create_index("ix_patients_facility_id_created_at_id", "patients", ["facility_id", "created_at", "id"])
    op.create_index("ix_patients_merged_into", "patients", ["merged_into"])
    op.create_table(
        "patient_tokens",
        sa.Column("patient_id", _ID, primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        _key("patient_id", "patient_tokens", "patients"),
    )
    op.create_index("ix_patient_tokens_token_patient_id", "patient_tokens", ["token", "patient_id"])


def _create_identifiers() -> None:
    op.create_table(
        "patient_identifiers",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("patient_id", _ID, nullable=False),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("system", sa.String(32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.String(64), nullable=False),
        sa.Column("valid_from", sa.Date()),
        sa.Column("valid_to", sa.Date()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("confirmed", sa.JSON(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        _key("patient_id", "patient_identifiers", "patients"),
        _key("facility_id", "patient_identifiers", "facilities"),
    )
    op.create_index("ix_patient_identifiers_patient_id", "patient_identifiers", ["patient_id"])
    op.create_index(
        "uq_patient_identifiers_active",
        "patient_identifiers",
        ["facility_id", "system", "value_hash"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )


def _create_merges() -> None:
    op.create_table(
        "patient_merges",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("source_id", _ID, nullable=False),
        sa.Column("target_id", _ID, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("merged_at", _MOMENT, nullable=False),
        sa.Column("undone_at", _MOMENT),
        sa.Column("identifiers", sa.JSON(), nullable=False),
        sa.Column("orders", sa.JSON(), nullable=False),
        _key("facility_id", "patient_merges", "facilities"),
        _key("source_id", "patient_merges", "patients"),
        _key("target_id", "patient_merges", "patients"),
    )
    op.create_index("ix_patient_merges_source_id", "patient_merges", ["source_id"])
    op.create_index("ix_patient_merges_target_id", "patient_merges", ["target_id"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("patient_id", _ID, nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("requested_test", sa.String(32), nullable=False),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("requester", sa.Text()),
        sa.Column("age_years", sa.Integer()),
        sa.Column("last_period", sa.Text()),
        sa.Column("hpv_result", sa.String(32)),
        sa.Column("hpv_date", sa.Text()),
        sa.Column("hpv_vaccination", sa.String(16)),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("history_text", sa.Text()),
        sa.Column("pregnant", sa.Boolean()),
        sa.Column("postmenopausal", sa.Boolean()),
        sa.Column("intrauterine_device", sa.Boolean()),
        sa.Column("hormones", sa.Boolean()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("resulted_at", _MOMENT),
        sa.Column("cancel_reason", sa.String(64)),
        _key("facility_id", "orders", "facilities"),
        _key("patient_id", "orders", "patients"),
    )
    op.create_index("uq_orders_facility_id_number", "orders", ["facility_id", "number"], unique=True)
    op.create_index("ix_orders_facility_id_created_at_id", "orders", ["facility_id", "created_at", "id"])
    op.create_index("ix_orders_facility_id_status_created_at", "orders", ["facility_id", "status", "created_at"])
    op.create_index("ix_orders_patient_id", "orders", ["patient_id"])


def _create_specimens() -> None:
    op.create_table(
        "specimens",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("facility_id", _ID, nullable=False),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("accession", sa.String(64), nullable=False),
        sa.Column("collected_on", sa.Date()),
        sa.Column("source_site", sa.String(32), nullable=False),
        sa.Column("preparation", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rejected_reason", sa.String(64)),
        sa.Column("created_at", _MOMENT, nullable=False),
        _key("facility_id", "specimens", "facilities"),
        _key("order_id", "specimens", "orders"),
    )
    op.create_index("uq_specimens_facility_id_accession", "specimens", ["facility_id", "accession"], unique=True)
    op.create_index("ix_specimens_order_id", "specimens", ["order_id"])
