"""What the public is told of a report: that it exists, whether it holds, and the proof; nothing of the patient."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.tables import Facility
from tamsoat.inference_service.audit import proofs
from tamsoat.inference_service.audit import repository as audit_rows
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.answers import Proof
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reports import codes, report_repository, service
from tamsoat.inference_service.reports.report_tables import Report

PUBLIC = "anonymous"
"""The actor of a check by somebody who did not sign in."""


class CodeUnknownError(TamsoatError):
    """No report has this verification code."""

    status = 404
    title = "No such report"
    slug = "verification-code-unknown"


class ProofPendingError(TamsoatError):
    """The audit log was not signed since the report was issued."""

    status = 404
    title = "Proof is not there yet"
    slug = "verification-proof-pending"


@dataclass(frozen=True)
class Verified:
    """What the page shows."""

    report_id: str
    facility_id: str
    facility: str
    code: str
    number: int
    issued_at: datetime
    superseded_at: datetime | None
    digest: str
    model: str | None
    model_digest: str | None
    pdf_vi_sha256: str | None
    pdf_en_sha256: str | None


def look_up(database: Database, code: str) -> Verified:
    """The report with the code that somebody typed or scanned; the check is recorded, once a day for each report.

    More often would let anyone fill the log; a code that no report has is not recorded at all.

    Raises:
        CodeUnknownError: there is none.
    """
    plain = codes.read(code)
    with database.read() as session:
        report = report_repository.by_code_hash(session, codes.lookup_hash(plain)) if plain else None
        if report is None or plain is None or not hmac.compare_digest(report.code, plain):
            raise CodeUnknownError("no report has this verification code")
        found = _described(session, report)
        today = datetime.now(UTC).date()
        fresh = report.verified_on is None or report.verified_on < today
    if fresh:
        with database.write() as session:
            if report_repository.claim_day(session, found.report_id, today):
                subject = service.subject(found.report_id)
                audit.append(session, Event(PUBLIC, Action.REPORT_VERIFY, subject, facility=found.facility_id))
    return found


def prove(database: Database, found: Verified) -> Proof:
    """The proof of the newest entry of the log that vouches for the report and that a checkpoint covers.

    Raises:
        ProofPendingError: no checkpoint covers any of them yet.
        TreeIncompleteError: the log was tampered with.
    """
    with database.read() as session:
        rows = audit_rows.find_by_subject(session, service.subject(found.report_id))
    made = [row.sequence for row in rows if row.action == Action.REPORT_CREATE.value]
    for sequence in reversed(made):
        try:
            with database.read() as session:
                return proofs.prove(session, sequence)
        except proofs.NotCoveredError:
            continue
    raise ProofPendingError("the audit log was not signed since the report was issued; try again in a while")


def _described(session: Session, report: Report) -> Verified:
    facility = session.get_one(Facility, report.facility_id)
    newer = report_repository.get(session, report.facility_id, report.superseded_by) if report.superseded_by else None
    settings = cases.settings_of(session, report.facility_id)
    return Verified(
        report_id=report.id,
        facility_id=report.facility_id,
        facility=settings.report_name or facility.name,
        code=report.code,
        number=report.number,
        issued_at=report.created_at,
        superseded_at=newer.created_at if newer is not None else None,
        digest=report.digest,
        model=f"{report.model_name} {report.model_version}" if report.model_name else None,
        model_digest=report.model_digest,
        pdf_vi_sha256=report.pdf_vi_sha256,
        pdf_en_sha256=report.pdf_en_sha256,
    )
