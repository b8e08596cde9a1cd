"""Accounts of the example facility; slides of before cases were kept get theirs."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

SLIDES = """
    SELECT slides.id, slides.facility_id, slides.order_id, slides.created_at, screenings.state, screenings.priority,
        screenings.finished_at, analyses.usable, analyses.category, analyses.abnormal_probability, analyses.triage
    FROM slides
    LEFT JOIN screenings ON screenings.id = slides.analysis_id
    LEFT JOIN analyses ON analyses.id = screenings.id
    WHERE slides.deleted_at IS NULL AND slides.case_id IS NULL
    ORDER BY slides.created_at, slides.id
"""
ORDERS = "SELECT id, status, priority FROM orders"
ACCESSIONS = "SELECT order_id, accession FROM specimens WHERE state <> 'rejected' ORDER BY created_at, id"
RANKS = {"stat": 1, "urgent": 2, "routine": 3}
TRIAGE_RANK = {"urgent": 1, "review": 2, None: 3, "routine": 4}
CATEGORIES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
_MOMENT = sa.DateTime(timezone=True)
CASES = sa.table(
    "cases",
    *(sa.column(name) for name in ("id", "facility_id", "label", "order_id", "priority", "urgency", "state", "open",
                                   "triage", "ai_category", "suspicion", "usable", "version", "example")),
    *(sa.column(name, _MOMENT) for name in ("created_at", "ready_at", "updated_at")),
)  # fmt: skip


def upgrade() -> None:
    op.add_column("accounts", sa.Column("example", sa.Boolean(), nullable=False, server_default=sa.false()))
    connection = op.get_bind()
    slides = connection.execute(sa.text(SLIDES).columns(created_at=_MOMENT, finished_at=_MOMENT)).mappings().all()
    orders = {row["id"]: row for row in connection.execute(sa.text(ORDERS)).mappings()} if slides else {}
    accessions: dict[str, str] = {}
    for row in connection.execute(sa.text(ACCESSIONS)).mappings() if slides else ():
        accessions.setdefault(row["order_id"], row["accession"])
    groups: dict[str, list[Any]] = {}
    for row in slides:
        groups.setdefault(row["order_id"] or row["id"], []).append(row)
    for number, group in enumerate(groups.values(), start=1):
        first = group[0]
        case = _case(group, orders.get(first["order_id"]), accessions.get(first["order_id"]), number)
        connection.execute(CASES.insert().values(**case))
        for row in group:
            connection.execute(
                sa.text("UPDATE slides SET case_id = :case WHERE id = :id"), {"case": case["id"], "id": row["id"]}
            )


def _case(group: list[Any], order: Any, accession: str | None, number: int) -> dict[str, Any]:
    created_at: datetime = group[0]["created_at"]
    done = [row for row in group if row["category"] is not None]
    triage = min((row["triage"] for row in done), key=lambda name: TRIAGE_RANK.get(name, 3)) if done else None
    priority = min(RANKS[order["priority"]] if order else 3, *(row["priority"] or 3 for row in group), 3)
    ended = all(row["state"] in ("completed", "failed", "cancelled") for row in group)
    cancelled = order is not None and order["status"] == "cancelled"
    state = "cancelled" if cancelled else "ready" if ended else "analysing"
    return {
        "id": str(uuid.uuid4()),
        "facility_id": group[0]["facility_id"],
        "label": accession or f"{created_at:%y}-{number:06d}",
        "order_id": group[0]["order_id"],
        "priority": priority,
        "urgency": priority * 10 + TRIAGE_RANK.get(triage, 3),
        "state": state,
        "open": state != "cancelled",
        "triage": triage,
        "ai_category": max((row["category"] for row in done), key=_gravity) if done else None,
        "suspicion": max(row["abnormal_probability"] for row in done) if done else None,
        "usable": all(bool(row["usable"]) for row in done) if done else None,
        "created_at": created_at,
        "ready_at": max((row["finished_at"] for row in group if row["finished_at"]), default=None) if ended else None,
        "updated_at": created_at,
        "version": 1,
        "example": False,
    }


def _gravity(category: str) -> int:
    return CATEGORIES.index(category) if category in CATEGORIES else -1
