"""SQL of reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.reports.tables import SIGNED, Reading


def add(session: Session, report: Report) -> None:
    """Store a new report."""
    session.add(report)
    session.flush()


def get(session: Session, facility_id: str, report_id: str) -> Report | None:
    """The facility's report, or None."""
    return session.scalar(select(Report).where(Report.id == report_id, Report.facility_id == facility_id))


def lock(session: Session, report_id: str) -> Report | None:
    """The report of whichever facility, locked; for the service's own work."""
    query = select(Report).where(Report.id == report_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def newest(session: Session, case_id: str) -> Report | None:
    """The newest version of a case's report, locked; None where there is none."""
    query = select(Report).where(Report.case_id == case_id).order_by(Report.number.desc()).limit(1).with_for_update()
    return session.scalar(query)


def of_case(session: Session, facility_id: str, case_id: str) -> list[Report]:
    """Every version of a case's report, the newest first."""
    query = select(Report).where(Report.case_id == case_id, Report.facility_id == facility_id)
    return list(session.scalars(query.order_by(Report.number.desc())))


def by_code_hash(session: Session, code_sha256: str) -> Report | None:
    """The report with this verification code, of whichever facility; None where there is none."""
    return session.scalar(select(Report).where(Report.code_sha256 == code_sha256))


def due(session: Session, now: datetime, limit: int) -> Sequence[tuple[str, int]]:
    """Reports whose files are to be made now: (id, attempts so far)."""
    query = select(Report.id, Report.render_attempts).where(Report.render_at <= now).order_by(Report.render_at)
    return [(row.id, row.render_attempts) for row in session.execute(query.limit(limit))]


def claim_day(session: Session, report_id: str, day: date) -> bool:
    """Note that the public checked the report on ``day``; False where that was noted already."""
    done = session.execute(
        update(Report)
        .where(Report.id == report_id, or_(Report.verified_on.is_(None), Report.verified_on < day))
        .values(verified_on=day)
        .returning(Report.id)
    )
    return done.scalar() is not None


def signed_readings(session: Session, case_id: str) -> list[Reading]:
    """The signed readings of a case, oldest first."""
    query = select(Reading).where(Reading.case_id == case_id, Reading.state == SIGNED)
    return list(session.scalars(query.order_by(Reading.signed_at, Reading.id)))
