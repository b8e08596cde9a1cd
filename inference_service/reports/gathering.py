"""Gather what a report says from the rows of the case, as they are at the moment of signing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from tamsoat.datasets.categories import GRAVITY, Category
from tamsoat.inference_service.accounts.tables import Account, Facility
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders.tables import Order, Specimen
from tamsoat.inference_service.patients import repository as patient_rows
from tamsoat.inference_service.patients import service as patients
from tamsoat.inference_service.patients.identifiers import System
from tamsoat.inference_service.reports import report_repository
from tamsoat.inference_service.reports.content import (
    KEY_IMAGES_MOST,
    Amendment,
    Head,
    KeyImage,
    OrderPart,
    PatientIdentity,
    PatientPart,
    Proposal,
    ReaderPart,
    ReportContent,
    SpecimenPart,
)
from tamsoat.inference_service.reports.report_tables import Report
from tamsoat.inference_service.reports.tables import AMENDMENT, Reading
from tamsoat.inference_service.reviews import repository as reviews
from tamsoat.inference_service.reviews import service as reviewing
from tamsoat.inference_service.reviews.tables import DISMISS, Mark
from tamsoat.inference_service.screening import repository as analyses
from tamsoat.inference_service.screening.tables import Analysis, Finding

if TYPE_CHECKING:
    from tamsoat.inference_service.cases.tables import Case

KEY_IMAGE_SIDE_UM = 80.0
"""Side of the square shown around a cell: a group of squamous cells fits, a nucleus is still read."""
SHOWN_OF_NUMBER = 4
"""Last characters of a number of the state that a report shows, and never more than half of it."""
SHOWN_WHOLE = (System.HOSPITAL.value, System.TEMPORARY.value)
"""Numbers of the hospital itself: without them the report cannot be filed."""
LOCAL = "local"
_GRAVITY = {category.value: place for place, category in enumerate(GRAVITY)}
_GRAVITY[Category.OTHER.value] = len(GRAVITY)


@dataclass(frozen=True)
class Frame:
    """What a new report is known by."""

    report_id: str
    number: int
    code: str
    salt: str
    issued_at: datetime


def gather(session: Session, case: Case, reading: Reading, frame: Frame, previous: Report | None) -> ReportContent:
    """The content of the report of ``reading``, the result of ``case``; ``previous``: the version that it replaces."""
    order = orders.get(session, case.facility_id, case.order_id) if case.order_id else None
    impression = reviews.blind_read(session, case.id, reading.reader)
    return ReportContent(
        report_id=frame.report_id,
        number=frame.number,
        code=frame.code,
        salt=frame.salt,
        issued_at=stamp(frame.issued_at),
        case_label=case.label,
        case_id=case.id,
        reading_id=reading.id,
        reading_digest=reading.digest,
        head=_head(session, case.facility_id),
        patient=_patient(session, order) if order else None,
        order=_order(order) if order else None,
        specimen=_specimen(session, order) if order else None,
        result=json.loads(reading.form),
        category=reading.category,
        readers=_readers(session, case, reading),
        first_impression=impression.category if impression is not None else None,
        proposal=_proposal(session, case, reading),
        key_images=_key_images(session, case, reading),
        amendment=_amendment(reading, previous),
    )


def stamp(moment: datetime) -> str:
    """UTC in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def masked(system: str, value: str) -> str:
    """A number as a report shows it."""
    if system in SHOWN_WHOLE:
        return value
    hidden = max(len(value) - SHOWN_OF_NUMBER, (len(value) + 1) // 2)
    return "•" * hidden + value[hidden:]


def _head(session: Session, facility_id: str) -> Head:
    facility = session.get_one(Facility, facility_id)
    settings = cases.settings_of(session, facility_id)
    return Head(
        facility_code=facility.code,
        name=settings.report_name or facility.name,
        department=settings.report_department,
        address=settings.report_address,
        phone=settings.report_phone,
    )


def _patient(session: Session, order: Order) -> PatientPart:
    patient_id = patients.current_id(session, order.facility_id, order.patient_id)
    patient = patients.get(session, order.facility_id, patient_id)
    identifiers = [
        PatientIdentity(system=row.system, value=masked(row.system, row.value))
        for row in patient_rows.identifiers_of(session, [patient.id])
        if row.active
    ]
    return PatientPart(name=patient.name, birth_date=patient.birth_date, sex=patient.sex, identifiers=identifiers)


def _order(order: Order) -> OrderPart:
    return OrderPart(
        number=order.number,
        requested_test=order.requested_test,
        requester=order.requester,
        age_years=order.age_years,
    )


def _specimen(session: Session, order: Order) -> SpecimenPart | None:
    """The first one that was not rejected, else the first."""
    rows: list[Specimen] = sorted(orders.specimens_of(session, [order.id]), key=lambda row: row.state == "rejected")
    if not rows:
        return None
    row = rows[0]
    return SpecimenPart(
        accession=row.accession,
        collected_on=row.collected_on.isoformat() if row.collected_on else None,
        source_site=row.source_site,
        preparation=row.preparation,
    )


def _readers(session: Session, case: Case, result: Reading) -> list[ReaderPart]:
    """Everyone who signed a reading of the case or confirmed one, in the order of time."""
    found: list[ReaderPart] = []
    for row in report_repository.signed_readings(session, case.id):
        signed_at = row.signed_at or row.updated_at
        name = _name(session, row.reader)
        found.append(ReaderPart(name=name, role=row.role, at=stamp(signed_at), category=row.category))
        if row.confirmed_by is not None and row.confirmed_at is not None:
            confirmer = _name(session, row.confirmed_by)
            at = stamp(row.confirmed_at)
            found.append(ReaderPart(name=confirmer, role="confirmation", at=at, category=row.category))
    return sorted(found, key=lambda part: part.at)


def _name(session: Session, reader: str) -> str:
    account = session.get(Account, reader)
    return account.display_name if account is not None else ""


def _proposal(session: Session, case: Case, reading: Reading) -> Proposal | None:
    """What the model said of the case; None where no slide of it was analysed."""
    newest: Analysis | None = None
    for slide in reviews.slides_of(session, case.id):
        analysis = analyses.get(session, case.facility_id, slide.analysis_id) if slide.analysis_id else None
        if analysis is not None and (newest is None or analysis.number > newest.number):
            newest = analysis
    if newest is None:
        return None
    return Proposal(
        name=newest.model_name,
        version=newest.model_version,
        digest=newest.model_digest,
        category=reading.ai_category or case.ai_category,
        suspicion=None if case.suspicion is None else round(case.suspicion, 4),
        usable=case.usable,
    )


def _key_images(session: Session, case: Case, reading: Reading) -> list[KeyImage]:
    """The abnormal cells that the reader of the result stands by, the gravest first; else those of an earlier reader.

    Of equal gravity: first the cells that the reader added, then by the model's suspicion.
    """
    readers = [reading.reader, *(row.reader for row in reversed(report_repository.signed_readings(session, case.id)))]
    there = {slide.id for slide in reviews.slides_of(session, case.id)}
    for reader in dict.fromkeys(readers):
        standing = [
            (mark, _category_of(session, mark))
            for mark in reviewing.latest(session, case.id, reader)
            if mark.kind != DISMISS and mark.slide_id in there
        ]
        graded = [(mark, category) for mark, category in standing if _GRAVITY.get(category or "", 0) > 0]
        graded.sort(key=lambda item: (-_GRAVITY[item[1] or ""], -1 if item[0].rank is None else item[0].rank))
        if graded:
            return [_image(mark, category or "") for mark, category in graded[:KEY_IMAGES_MOST]]
    return []


def _image(mark: Mark, category: str) -> KeyImage:
    return KeyImage(
        slide_id=mark.slide_id,
        x_px=round(mark.x_px, 1),
        y_px=round(mark.y_px, 1),
        side_um=KEY_IMAGE_SIDE_UM,
        category=category,
        kind=mark.kind,
    )


def _category_of(session: Session, mark: Mark) -> str | None:
    """What the reader calls the cell: for an agreed finding, what the model called it."""
    if mark.category is not None or mark.analysis_id is None or mark.rank is None:
        return mark.category
    analysis = analyses.get(session, mark.facility_id, mark.analysis_id)
    finding = session.get(Finding, (analysis.number, mark.rank)) if analysis is not None else None
    return finding.category if finding is not None else None


def _amendment(reading: Reading, previous: Report | None) -> Amendment | None:
    if previous is None:
        return None
    reason = reading.reason if reading.role == AMENDMENT else None
    return Amendment(
        reason=reason or "", number=previous.number, issued_at=stamp(previous.created_at), digest=previous.digest
    )
