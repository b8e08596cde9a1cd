"""What cases and consultations hold about one patient: told on request, erased with her."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.consultations import repository as consultations
from tamsoat.inference_service.consultations.tables import OPEN, WITHDRAWN

ERASED = "-"
"""What stands in the place of a question that was erased."""
_OF_CASE = ("id", "label", "order_id", "state", "triage", "ai_category", "suspicion", "usable", "assigned_to",
            "second_reader", "signed_category")  # fmt: skip
_OF_CONSULTATION = ("id", "case_id", "asked_by", "consultant", "consultant_facility_id", "question", "state",
                    "opinion", "category")  # fmt: skip


def collect(session: Session, order_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """``cases`` and ``consultations`` of some orders, as plain values."""
    cases = _cases(session, order_ids)
    asked = consultations.of_cases(session, [case.id for case in cases])
    return {
        "cases": [_plain(case, _OF_CASE) | _moments(case, "created_at", "ready_at", "signed_at") for case in cases],
        "consultations": [
            _plain(row, _OF_CONSULTATION) | _moments(row, "created_at", "expires_at", "answered_at") for row in asked
        ],
    }


def subjects(collected: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What the audit log calls them."""
    named = (("case", "cases"), ("consultation", "consultations"))
    return [f"{noun}:{row['id']}" for noun, kind in named for row in collected[kind]]


def erase(session: Session, order_ids: Sequence[str]) -> None:
    """Remove what people wrote to each other; a question that is open ends. Categories and times stay."""
    now = datetime.now(UTC)
    for row in consultations.of_cases(session, [case.id for case in _cases(session, order_ids)]):
        row.question, row.opinion = ERASED, None
        if row.state == OPEN:
            row.state, row.answered_at = WITHDRAWN, now


def _cases(session: Session, order_ids: Sequence[str]) -> list[Case]:
    return list(session.scalars(select(Case).where(Case.order_id.in_(order_ids)).order_by(Case.number)))


def _plain(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _moments(row: object, *names: str) -> dict[str, Any]:
    values = _plain(row, names)
    return {name: value.isoformat() if value is not None else None for name, value in values.items()}
