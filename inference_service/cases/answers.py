"""From rows of cases to what is answered: a page asks the database a fixed number of questions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository as accounts
from tamsoat.inference_service.accounts.access import READERS, Principal
from tamsoat.inference_service.cases import list_repository as lists
from tamsoat.inference_service.cases.schemas import (
    CaseClinical,
    CaseConsultation,
    CaseDetail,
    CaseOrder,
    CasePatient,
    CaseProgress,
    CaseReader,
    CaseSlide,
    CaseSummary,
)
from tamsoat.inference_service.cases.service import UNREADABLE
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.consultations import access
from tamsoat.inference_service.consultations.tables import Consultation
from tamsoat.inference_service.orders.schemas import ClinicalContext
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.reviews.blinding import blinded
from tamsoat.inference_service.screening.tables import COMPLETED, FINAL_STATES, PRIORITIES, Screening
from tamsoat.inference_service.uploads.tables import Slide

PRIORITY_NAMES = {rank: name for name, rank in PRIORITIES.items()}
TURNAROUND_S = {1: 4 * 3600, 2: 24 * 3600, 3: 72 * 3600}
"""By the rank of the priority, the turnaround after which a case is marked as overdue."""
_OF_MODEL = ("triage", "ai_category", "suspicion")

_Slides = list[tuple[Slide, Screening | None]]


def summaries(session: Session, principal: Principal, rows: Sequence[Case]) -> list[CaseSummary]:
    """The lines of a worklist; what is personal only where the case is of the principal's own facility."""
    now = datetime.now(UTC)
    me = access.reader_id(principal)
    own = [case for case in rows if case.facility_id == principal.facility_id]
    people = lists.patients_of(session, own) if principal.has(*READERS) else {}
    names = lists.names_of(
        session, [reader for case in own for reader in (case.assigned_to, case.second_reader) if reader]
    )
    slides = lists.slides_of(session, [case.id for case in rows])
    hidden = blinded(session, principal, rows)
    found = []
    for case in rows:
        question = access.asked(session, principal, case.id) if case not in own else None
        order, patient = people.get(case.order_id or "", (None, None))
        summary = _summary(case, slides[case.id], order, patient, now, hide=case.id in hidden)
        if case in own:
            summary.assigned_to = _reader(case.assigned_to, names, me)
            summary.second_reader = _reader(case.second_reader, names, me)
        summary.consultation = _question(session, question) if question is not None else None
        found.append(summary)
    return found


def detail(session: Session, principal: Principal, case: Case) -> CaseDetail:
    """One case with its slides."""
    summary = summaries(session, principal, [case])[0]
    own = case.facility_id == principal.facility_id
    order = session.get(Order, case.order_id) if case.order_id else None
    return CaseDetail(
        **summary.model_dump(),
        read_only=not own,
        slide_list=[_slide(*pair) for pair in lists.slides_of(session, [case.id])[case.id]],
        clinical=_clinical(order, free_text=own) if order is not None else None,
    )


def _summary(
    case: Case, slides: _Slides, order: Order | None, patient: Patient | None, now: datetime, *, hide: bool
) -> CaseSummary:
    waiting_s = max(0, int(((case.signed_at or now) - case.created_at).total_seconds()))
    limit_s = TURNAROUND_S[case.priority]
    plain = {
        name: getattr(case, name)
        for name in ("label", "state", "usable", "second_reason", "signed_category", "created_at", "ready_at",
                     "signed_at", "example", "version")
    }  # fmt: skip
    return CaseSummary.model_validate(
        {
            **plain,
            **{name: None if hide else getattr(case, name) for name in _OF_MODEL},
            "case_id": case.id,
            "priority": PRIORITY_NAMES[case.priority],
            "blinded": hide,
            "assigned_to": None,
            "second_reader": None,
            "waiting_s": waiting_s,
            "limit_s": limit_s,
            "overdue": waiting_s > limit_s and case.state != "cancelled",
            "slides": len(slides),
            "progress": _progress(slides),
            "order": CaseOrder(order_id=order.id, number=order.number) if order else None,
            "patient": _patient(patient) if patient else None,
            "consultation": None,
        }
    )


def _progress(slides: _Slides) -> CaseProgress | None:
    jobs = [screening for _, screening in slides if screening is not None]
    done = [job for job in jobs if job.state in FINAL_STATES]
    unreadable = sum(1 for slide, screening in slides if screening is None and slide.condition == UNREADABLE)
    if len(done) + unreadable == len(slides):
        return None
    return CaseProgress(
        done=sum(job.done for job in jobs),
        total=sum(job.total for job in jobs),
        slides_done=len(done) + unreadable,
        slides_failed=sum(1 for job in done if job.state != COMPLETED) + unreadable,
    )


def _patient(patient: Patient) -> CasePatient:
    return CasePatient(patient_id=patient.id, name=patient.name, birth_date=patient.birth_date)


def _reader(account_id: str | None, names: dict[str, str], me: str) -> CaseReader | None:
    if account_id is None:
        return None
    return CaseReader(account_id=account_id, display_name=names.get(account_id), me=account_id == me)


def _question(session: Session, question: Consultation) -> CaseConsultation:
    facility = accounts.facility(session, question.facility_id)
    return CaseConsultation(
        consultation_id=question.id,
        expires_at=question.expires_at,
        facility_name=facility.name if facility is not None else "",
    )


def _slide(slide: Slide, screening: Screening | None) -> CaseSlide:
    return CaseSlide(
        slide_id=slide.id,
        analysis_id=slide.analysis_id,
        condition=slide.condition,
        format=slide.format,
        mpp=slide.mpp,
        screening=screening.state if screening else None,
        done=screening.done if screening else 0,
        total=screening.total if screening else 0,
        problem=screening.problem_slug if screening else None,
    )


def _clinical(order: Order, *, free_text: bool) -> CaseClinical:
    context = {name: getattr(order, name) for name in ClinicalContext.model_fields}
    if not free_text:
        context["history_text"] = None
    return CaseClinical(age_years=order.age_years, context=ClinicalContext.model_validate(context))
