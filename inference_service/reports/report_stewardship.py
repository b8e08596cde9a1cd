"""Reports when a patient asks for her data, or is erased."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reports import report_repository
from tamsoat.inference_service.reports.report_tables import Report


def collect(session: Session, order_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What the reports of the orders' cases say, oldest first; of one that was erased the digest alone."""
    return [
        {"report_id": row.id, "digest": row.digest, "content": json.loads(row.content) if row.content else None}
        for row in _reports(session, order_ids)
    ]


def subjects(collected: Sequence[dict[str, Any]]) -> list[str]:
    """How the audit log names what :func:`collect` returned."""
    return [f"report:{row['report_id']}" for row in collected]


def erase(session: Session, order_ids: Sequence[str]) -> None:
    """Forget what the reports say and make their files unreadable, wherever copies are; digests and proofs stay."""
    for row in _reports(session, order_ids):
        row.content = row.file_key = row.render_at = None
    session.flush()


def _reports(session: Session, order_ids: Sequence[str]) -> list[Report]:
    query = select(Case.id, Case.facility_id).where(Case.order_id.in_(order_ids)).order_by(Case.number)
    found = [report_repository.of_case(session, facility, case_id) for case_id, facility in session.execute(query)]
    return [row for rows in found for row in reversed(rows)]
