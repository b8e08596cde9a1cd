"""Make the PDF files of a report once, store them sealed, and read them back."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reports import report_repository, service, sheet
from tamsoat.inference_service.reports.content import KeyImage, ReportContent
from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.reports.sealing_files import seal, unseal
from tamsoat.inference_service.reports.typesetting import typeset
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.storage.store import incoming_folder
from tamsoat.inference_service.uploads import repository as uploads
from tamsoat.inference_service.viewing import service as viewing
from tamsoat.inference_service.web.messages import LANGUAGES

CROP_PX = 400
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0
PATIENT_ATTEMPTS = 3
"""So often a slide that cannot be read is tried again; then the report says that the image is missing."""

log = structlog.get_logger("tamsoat.reports")


@dataclass(frozen=True)
class _File:
    sha256: str
    stored: str
    bytes: int


def ensure(runtime: Runtime, report_id: str) -> None:
    """Make and store the files in every language, unless they are there. Repeatable; blocks for some seconds.

    Raises:
        ReportErasedError: there is nothing left to make them of.
        TypesettingError, ImageError, DatabaseUnavailableError, OSError, …: they were not made; nothing is recorded.
    """
    with runtime.database.read() as session:
        report = session.get_one(Report, report_id)
        session.expunge_all()
    if is_made(report):
        return
    content, key = service.content_of(report), _key(report)
    images = [_image(runtime, report, image) for image in content.key_images]
    files = {language: _make(runtime, report, content, key, language, images) for language in LANGUAGES}
    _record(runtime, report_id, files)


def is_made(report: Report) -> bool:
    """Whether the files of every language are stored."""
    return report.pdf_vi_stored is not None and report.pdf_en_stored is not None


def read(runtime: Runtime, report: Report, language: str) -> bytes:
    """The PDF.

    Raises:
        ReportErasedError: its key was erased.
        ReportFileAlteredError: the stored file is not what was made.
        ContentMissingError, StorageUnavailableError: it cannot be fetched.
    """
    key, stored = _key(report), str(getattr(report, f"pdf_{language}_stored"))
    with runtime.store.open(stored) as stream:
        sealed = stream.read()
    return unseal(sealed, key, _context(report.id, language))


def put_off(runtime: Runtime, report_id: str, attempt: int) -> None:
    """Let the next attempt wait, three times as long each time, at most an hour."""
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 3.0 ** min(attempt, 10))
    with runtime.database.write() as session:
        report = report_repository.lock(session, report_id)
        if report is not None and report.render_at is not None and report.render_attempts == attempt:
            report.render_attempts = attempt + 1
            report.render_at = datetime.now(UTC) + timedelta(seconds=pause_s)


def _make(
    runtime: Runtime,
    report: Report,
    content: ReportContent,
    key: str,
    language: str,
    images: list[bytes | None],
) -> _File:
    address = public_address(runtime)
    ready = sheet.make(content, report.digest, language, address=address, images=images)
    issued_at = datetime.fromisoformat(content.issued_at)
    pdf = runtime.decoder.call(typeset, ready, issued_at, name="report")
    sealed = seal(pdf, key, _context(report.id, language))
    stored = hashlib.sha256(sealed).hexdigest()
    folder = incoming_folder(runtime.settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"report-{secrets.token_hex(8)}"
    try:
        with open(path, "xb") as stream:
            stream.write(sealed)
            stream.flush()
            os.fsync(stream.fileno())
        runtime.store.put(path, stored)
    finally:
        path.unlink(missing_ok=True)
    return _File(hashlib.sha256(pdf).hexdigest(), stored, len(sealed))


def _record(runtime: Runtime, report_id: str, files: Mapping[str, _File]) -> None:
    """Note the files with an audit entry; where another process was faster, its files stand."""
    with runtime.database.write() as session:
        report = report_repository.lock(session, report_id)
        if report is None or is_made(report) or report.file_key is None:
            return
        for language, file in files.items():
            setattr(report, f"pdf_{language}_sha256", file.sha256)
            setattr(report, f"pdf_{language}_stored", file.stored)
            setattr(report, f"pdf_{language}_bytes", file.bytes)
        report.render_at = None
        session.flush()
        digests = {"report": report.digest} | {f"pdf-{language}": file.sha256 for language, file in files.items()}
        details: dict[str, str | int | bool] = {"number": report.number, "files": len(files)}
        event = Event(
            service.SYSTEM, Action.REPORT_CREATE, service.subject(report_id), digests, report.facility_id, details
        )
        audit.append(session, event)


def public_address(runtime: Runtime) -> str:
    """Where the public reaches the service; without a public address this machine alone does."""
    settings = runtime.settings
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def _image(runtime: Runtime, report: Report, image: KeyImage) -> bytes | None:
    """The crop of a key image; None: the slide could not be read, however often it was tried."""
    try:
        with runtime.database.read() as session:
            slide = uploads.get_slide(session, report.facility_id, image.slide_id)
            session.expunge_all()
        if slide is None:
            return None
        return viewing.crop(runtime, slide, image.x_px, image.y_px, image.side_um, CROP_PX)
    except TamsoatError as error:
        if report.render_attempts < PATIENT_ATTEMPTS:
            raise
        log.warning("key_image_missing", report_id=report.id, slide_id=image.slide_id, problem=error.slug)
        return None


def _key(report: Report) -> str:
    if report.file_key is None:
        raise service.ReportErasedError("what this report said was erased with the patient's data")
    return report.file_key


def _context(report_id: str, language: str) -> str:
    return f"{report_id}:{language}"
