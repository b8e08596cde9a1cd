"""Who may look at an analysis: its facility, and whoever was asked about its case."""

from __future__ import annotations

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases.service import CaseNotFoundError
from tamsoat.inference_service.consultations.access import may_view
from tamsoat.inference_service.screening import job_repository, views
from tamsoat.inference_service.screening.service import AnalysisNotFoundError
from tamsoat.inference_service.screening.tables import Analysis, Screening
from tamsoat.inference_service.uploads.tables import Slide


def find(session: Session, principal: Principal, analysis_id: str) -> tuple[Screening, Analysis | None]:
    """One screening and its result, where the principal may look at it.

    Raises:
        AnalysisNotFoundError: there is none, or it is another facility's.
    """
    facility_id = job_repository.facility_of(session, analysis_id)
    if facility_id is None or facility_id == principal.facility_id:
        return views.find(session, principal.facility_id, analysis_id)
    row, analysis = views.find(session, facility_id, analysis_id)
    slide = session.get(Slide, row.slide_id) if row.slide_id else None
    try:
        if slide is None or slide.case_id is None or may_view(session, principal, slide.case_id).id != slide.case_id:
            raise AnalysisNotFoundError("there is no analysis with this identifier")
    except CaseNotFoundError as error:
        raise AnalysisNotFoundError("there is no analysis with this identifier") from error
    return row, analysis
