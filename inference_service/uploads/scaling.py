"""Stating the scale of a slide whose file does not."""

from __future__ import annotations

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.requests import QUEUE
from tamsoat.inference_service.screening.scale import resolve_scale
from tamsoat.inference_service.uploads import acceptance, repository, service
from tamsoat.inference_service.uploads.examination import STATED
from tamsoat.inference_service.uploads.schemas import ScaleStatement
from tamsoat.inference_service.uploads.tables import NEEDS_SCALE, READY, Slide

SAME = 1e-9


class ScaleKnownError(TamsoatError):
    """The scale of the slide is known; results depend on it, so it is not changed afterwards."""

    status = 409
    title = "Scale is known already"
    slug = "scale-known"


def state_scale(runtime: Runtime, principal: Principal, slide_id: str, statement: ScaleStatement) -> Slide:
    """Write the scale down, once, and request the screening that waited for it. Repeatable with the same value.

    Raises:
        SlideNotFoundError: the facility has no such slide.
        MissingScaleError, AbsurdScaleError: of the statement.
        ScaleKnownError: the slide has another scale already.
    """
    mpp = resolve_scale(statement.objective, statement.mpp)
    with runtime.database.write() as session:
        slide = service.get(session, principal.facility_id, slide_id)
        repository.lock(session, f"slide:{slide.id}")
        session.refresh(slide)
        if slide.mpp is not None:
            if abs(slide.mpp - mpp) <= SAME:
                return slide
            raise ScaleKnownError(
                f"the slide has {slide.mpp:.4g} micrometres per pixel ({slide.mpp_source}): to screen it with another "
                "scale delete it and send it again"
            )
        slide.mpp, slide.mpp_source = mpp, STATED
        if slide.condition == NEEDS_SCALE:
            slide.condition = READY
        cases.slide_changed(session, slide)
        details: dict[str, str | int | bool] = {"mpp": f"{mpp:g}"}
        event = Event(principal.actor, Action.SLIDE_UPDATE, f"slide:{slide.id}", {}, principal.facility_id, details)
        audit.append(session, event)
        acceptance.screen_when_ready(session, principal, slide)
    if slide.analysis_id is not None:
        runtime.jobs.wake(QUEUE, slide.analysis_id)
    return slide
