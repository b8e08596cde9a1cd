"""SQL of readings and of what readers write to each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.reports.tables import DRAFT, SIGNED, CaseMessage, Reading
from tamsoat.inference_service.screening.tables import Analysis, Finding
from tamsoat.inference_service.uploads.tables import Slide

_CHUNK = 500
"""Ranks asked for in one statement; SQLite bounds the number of parameters."""


def draft_of(session: Session, case_id: str, reader: str, role: str) -> Reading | None:
    """What this person has written in this role and not signed."""
    query = select(Reading).where(
        Reading.case_id == case_id, Reading.reader == reader, Reading.role == role, Reading.state == DRAFT
    )
    return session.scalar(query)


def drafts(session: Session, case_id: str) -> list[Reading]:
    """Every unsigned reading of a case, the newest first."""
    query = select(Reading).where(Reading.case_id == case_id, Reading.state == DRAFT)
    return list(session.scalars(query.order_by(Reading.updated_at.desc(), Reading.id)))


def signed(session: Session, case_id: str) -> list[Reading]:
    """Every signed reading of a case, in the order of the signatures."""
    query = select(Reading).where(Reading.case_id == case_id, Reading.state == SIGNED)
    return list(session.scalars(query.order_by(Reading.signed_at, Reading.id)))


def by_ids(session: Session, identifiers: Iterable[str]) -> list[Reading]:
    """Readings by their identifiers."""
    return list(session.scalars(select(Reading).where(Reading.id.in_(list(identifiers)))))


def count_signed(session: Session) -> int:
    """How many signed readings there are."""
    return session.scalar(select(func.count()).select_from(Reading).where(Reading.state == SIGNED)) or 0


def messages(session: Session, case_id: str) -> list[CaseMessage]:
    """What was written about a case, oldest first."""
    query = select(CaseMessage).where(CaseMessage.case_id == case_id)
    return list(session.scalars(query.order_by(CaseMessage.created_at, CaseMessage.id)))


def names_of(session: Session, account_ids: Iterable[str]) -> dict[str, str]:
    """What the accounts' people are called."""
    query = select(Account.id, Account.display_name).where(Account.id.in_(set(account_ids)))
    return {row.id: row.display_name for row in session.execute(query)}


def evidence(session: Session, case_id: str) -> list[tuple[Slide, Analysis | None]]:
    """The slides of a case that were not deleted, oldest first, each with the analysis that counts for it."""
    query = (
        select(Slide, Analysis)
        .join_from(Slide, Analysis, Analysis.id == Slide.analysis_id, isouter=True)
        .where(Slide.case_id == case_id, Slide.deleted_at.is_(None))
        .order_by(Slide.created_at, Slide.id)
    )
    return [(slide, analysis) for slide, analysis in session.execute(query)]


def agreed_categories(session: Session, findings: Mapping[str, Sequence[int]]) -> set[str]:
    """What the AI calls some findings: ``findings`` maps an analysis to the ranks of its findings."""
    found: set[str] = set()
    for analysis_id, ranks in findings.items():
        for start in range(0, len(ranks), _CHUNK):
            query = (
                select(Finding.category)
                .join(Analysis, Analysis.number == Finding.analysis_number)
                .where(Analysis.id == analysis_id, Finding.rank.in_(ranks[start : start + _CHUNK]))
                .distinct()
            )
            found |= set(session.scalars(query))
    return found


def delete_drafts(session: Session, case_ids: Iterable[str]) -> None:
    """Remove every unsigned reading of some cases."""
    session.execute(delete(Reading).where(Reading.case_id.in_(list(case_ids)), Reading.state == DRAFT))


def erase_messages(session: Session, case_ids: Iterable[str]) -> None:
    """Take the words out of what was written about some cases; that and when somebody wrote stays."""
    session.execute(update(CaseMessage).where(CaseMessage.case_id.in_(list(case_ids))).values(text=None))
