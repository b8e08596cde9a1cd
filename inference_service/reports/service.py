"""Issue reports: each one is frozen when its reading becomes the result, and never changes."""

from __future__ import annotations

import base64
import secrets
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reports import codes, gathering, report_repository
from tamsoat.inference_service.reports.content import ReportContent, digest_of
from tamsoat.inference_service.reports.report_tables import Report

if TYPE_CHECKING:
    from tamsoat.inference_service.cases.tables import Case
    from tamsoat.inference_service.reports.tables import Reading

QUEUE = "reports"
"""Wake it with the report's id after the commit, and its files are made at once."""
SYSTEM = "system"
KEY_BYTES = 32


class ReportNotFoundError(TamsoatError):
    """There is no such report in this facility."""

    status = 404
    title = "Report not found"
    slug = "report-not-found"


class ReportErasedError(TamsoatError):
    """The content was erased with the patient's data; the digest and the log still prove that it existed."""

    status = 410
    title = "Report erased"
    slug = "report-erased"


def issue(session: Session, case: Case, reading: Reading) -> Report:
    """Make the report of a reading that has become the result of its (locked) case, inside the same transaction.

    The version before, where there is one, is superseded. The PDF files are made after the commit by a durable job
    (``runtime.jobs.wake(QUEUE, report.id)`` saves it a second); nothing of it can undo the signature. The audit
    entry names no person, because it is shown to the public as proof; who signed is told by the entry of the reading.
    """
    previous = report_repository.newest(session, case.id)
    report_id, code, now = str(uuid.uuid4()), codes.make(), datetime.now(UTC)
    frame = gathering.Frame(report_id, previous.number + 1 if previous else 1, code, secrets.token_hex(16), now)
    content = gathering.gather(session, case, reading, frame, previous)
    canonical = content.canonical()
    proposal = content.proposal
    report = Report(
        id=report_id, facility_id=case.facility_id, case_id=case.id, reading_id=reading.id, number=frame.number,
        code=code, code_sha256=codes.lookup_hash(code), digest=digest_of(canonical), content=canonical,
        model_name=proposal and proposal.name, model_version=proposal and proposal.version,
        model_digest=proposal and proposal.digest, created_at=now,
        file_key=base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii"), render_at=now, render_attempts=0,
    )  # fmt: skip
    report_repository.add(session, report)
    if previous is not None:
        previous.superseded_by = report_id
        session.flush()
    digests = {"report": report.digest} | ({"reading": reading.digest} if reading.digest else {})
    details: dict[str, str | int | bool] = {"number": report.number}
    if previous is not None:
        details["supersedes"] = previous.id
    event = Event(SYSTEM, Action.REPORT_CREATE, subject(report_id), digests, case.facility_id, details)
    audit.append(session, event)
    return report


def subject(report_id: str) -> str:
    """How the audit log names a report."""
    return f"report:{report_id}"


def get(session: Session, facility_id: str, report_id: str) -> Report:
    """The facility's report.

    Raises:
        ReportNotFoundError: there is none.
    """
    report = report_repository.get(session, facility_id, report_id)
    if report is None:
        raise ReportNotFoundError("there is no report with this identifier")
    return report


def content_of(report: Report) -> ReportContent:
    """What the report says.

    Raises:
        ReportErasedError: it was erased.
    """
    if report.content is None:
        raise ReportErasedError("what this report said was erased with the patient's data")
    return ReportContent.model_validate_json(report.content)
