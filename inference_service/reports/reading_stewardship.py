"""What becomes of readings with their patient: told in her export, freed of personal words when she is erased.

A signed reading is a part of the medical record and stays for its retention time and after it; what it says in codes
names nobody. Its free text can, so it goes with the patient. The seal holds salted hashes of it, so the digest that
the audit log recorded still fits (``sealing.erase_text``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports import sealing
from tamsoat.inference_service.reports.tables import CaseMessage, Reading


def collect(session: Session, order_ids: Sequence[str]) -> list[dict[str, Any]]:
    """For every case of the orders: its signed readings, superseded ones too, and what readers wrote to each other."""
    return [
        {
            "case_id": case_id,
            "signed": [_reading(row) for row in repository.signed(session, case_id)],
            "messages": [_message(row) for row in repository.messages(session, case_id)],
        }
        for case_id in _cases_of(session, order_ids)
    ]


def subjects(collected: Sequence[dict[str, Any]]) -> list[str]:
    """How the audit log names what :func:`collect` returned."""
    return [f"reading:{row['reading_id']}" for case in collected for row in case["signed"]]


def erase(session: Session, order_ids: Sequence[str]) -> None:
    """Remove drafts, messages, and the comments and reasons of signed readings of the orders' cases."""
    cases = _cases_of(session, order_ids)
    repository.delete_drafts(session, cases)
    repository.erase_messages(session, cases)
    for case_id in cases:
        for row in repository.signed(session, case_id):
            sealing.erase_text(row)
    session.flush()


def _cases_of(session: Session, order_ids: Sequence[str]) -> list[str]:
    return list(session.scalars(select(Case.id).where(Case.order_id.in_(order_ids)).order_by(Case.number)))


def _reading(row: Reading) -> dict[str, Any]:
    return {"reading_id": row.id, "reader": row.reader, "role": row.role, "category": row.category,
            "form": sealing.parse(row).model_dump(mode="json"), "reason": row.reason, "supersedes": row.supersedes,
            "confirmed_by": row.confirmed_by, "confirmed_at": _moment(row.confirmed_at),
            "signed_at": _moment(row.signed_at), "final_at": _moment(row.final_at), "digest": row.digest}  # fmt: skip


def _message(row: CaseMessage) -> dict[str, Any]:
    return {"author": row.author, "text": row.text, "created_at": row.created_at.isoformat()}


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
