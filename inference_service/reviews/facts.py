"""What the case page is told: the case, its slides with what the AI proposes, the patient and the clinical context."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import READERS, Principal
from tamsoat.inference_service.cases.tables import CLOSED, Case
from tamsoat.inference_service.orders import answers as order_answers
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders.schemas import OrderOut
from tamsoat.inference_service.patients import answers as patient_answers
from tamsoat.inference_service.patients import service as patients
from tamsoat.inference_service.patients.schemas import PatientOut
from tamsoat.inference_service.reviews import blinding, findings, repository
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.screening import views
from tamsoat.inference_service.screening.answers import JobState
from tamsoat.inference_service.uploads.tables import Slide

ReadOnly = Literal["closed", "consultation", ""]


class Proposal(BaseModel):
    """What the AI proposes for one slide, and which model it was."""

    category: str
    abnormal_probability: float
    triage: str
    usable: bool
    reasons: list[str]
    cells: int
    model_name: str
    model_version: str
    model_digest: str


class SlideFacts(BaseModel):
    """One slide of the case."""

    slide_id: str
    analysis_id: str | None
    condition: str
    width_px: int | None
    height_px: int | None
    mpp: float | None
    planes: int
    screening: JobState | None = Field(description="Null: no screening was asked for")
    proposal: Proposal | None = Field(description="Null: there is none, or the reader has to read blind first")


class CaseFacts(BaseModel):
    """The case as one person may see it."""

    case_id: str
    label: str
    state: str
    priority: int
    facility_id: str
    mine: bool = Field(description="Whether it is of the caller's facility")
    read_only: ReadOnly = Field(description="Why nothing may be changed; empty: it may")
    blind: bool = Field(description="Whether a first impression has to be given before the AI is shown")
    reader: str
    slides: list[SlideFacts]
    patient: PatientOut | None = Field(description="Null: none is known, or the caller is of another facility")
    order: OrderOut | None = Field(description="For another facility: age and coded clinical context only")

    @property
    def worst(self) -> Proposal | None:
        """The proposal with the highest probability of an abnormality; None: there is none to show."""
        proposals = [slide.proposal for slide in self.slides if slide.proposal is not None]
        return max(proposals, key=lambda proposal: proposal.abnormal_probability, default=None)


def collect(session: Session, principal: Principal, case: Case) -> CaseFacts:
    """What ``principal`` may be shown of ``case``; who is asked for an opinion sees no identity."""
    mine = case.facility_id == principal.facility_id
    blind = blinding.is_blinded(session, principal, case)
    row = orders.get(session, case.facility_id, case.order_id) if case.order_id else None
    order = order_answers.order(session, row) if row is not None else None
    patient = None
    if mine and row is not None:
        current = patients.current_id(session, case.facility_id, row.patient_id)
        patient = patient_answers.patient(session, patients.get(session, case.facility_id, current))
    if order is not None and not mine:
        order = _without_identity(order)
    return CaseFacts(
        case_id=case.id,
        label=case.label,
        state=case.state,
        priority=case.priority,
        facility_id=case.facility_id,
        mine=mine,
        read_only=_read_only(principal, case, mine),
        blind=blind,
        reader=reader_of(principal),
        slides=[_slide(session, slide, blind) for slide in repository.slides_of(session, case.id)],
        patient=patient,
        order=order,
    )


def _without_identity(order: OrderOut) -> OrderOut:
    """Free text may name people; what matters of it belongs into the question that is asked."""
    context = order.context.model_copy(update={"history_text": None})
    hidden: dict[str, Any] = {"requester": None, "patient_id": "", "number": "", "specimens": [], "context": context}
    return order.model_copy(update=hidden)


def _read_only(principal: Principal, case: Case, mine: bool) -> ReadOnly:
    if not mine or not principal.has(*READERS):
        return "consultation"
    return "closed" if case.state in CLOSED else ""


def _slide(session: Session, slide: Slide, blind: bool) -> SlideFacts:
    screening = findings.screening_of(session, slide)
    return SlideFacts(
        slide_id=slide.id,
        analysis_id=slide.analysis_id,
        condition=slide.condition,
        width_px=slide.width_px,
        height_px=slide.height_px,
        mpp=slide.mpp,
        planes=slide.planes,
        screening=views.state(screening) if screening is not None else None,
        proposal=None if blind else _proposal(session, slide),
    )


def _proposal(session: Session, slide: Slide) -> Proposal | None:
    analysis = findings.analysis_of(session, slide)
    if analysis is None:
        return None
    return Proposal(**{name: getattr(analysis, name) for name in Proposal.model_fields})
