"""HTTP of what was found on a slide: columns of findings and the map, complete or so far."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reviews import blinding
from tamsoat.inference_service.screening import columns, part_repository, service, viewable
from tamsoat.inference_service.screening.answers import AnalysisMapView
from tamsoat.inference_service.screening.endpoints import RuntimeDep
from tamsoat.inference_service.screening.tables import COMPLETED, Screening
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

router = APIRouter(prefix="/api/v1", tags=["screening"])
Reader = Annotated[Principal, allow(*READERS, Role.RESEARCHER, Role.INTEGRATOR, scope="system/Observation.rs")]
AnalysisId = Annotated[str, Path(max_length=64, description="From the answer of a screening or an upload")]
BINARY = "application/octet-stream"


class NoMapError(TamsoatError):
    """The analysis is of one field, or its slide has not been looked at yet."""

    status = 404
    title = "No map of this analysis"
    slug = "analysis-without-map"


_ERRORS = (
    NotSignedInError,
    ForbiddenError,
    service.AnalysisNotFoundError,
    DatabaseUnavailableError,
    InvalidRequestError,
    StorageFullError,
    blinding.BlindReadingError,
)


@router.get(
    "/analyses/{analysis_id}/findings",
    summary="Read all findings as columns",
    response_class=Response,
    responses={
        200: {
            "description": "Length of the header (uint32), the header (JSON: count, categories, complete, parts, "
            "columns), then the columns; little-endian",
            "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "`If-None-Match` names what there is"},
        **describe(*_ERRORS),
    },
)
def read_findings(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    analysis_id: AnalysisId,
    after_part: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="Only those of later parts: `parts` of the answer before")
    ] = 0,
) -> Response:
    """Everything that was found, most suspicious first; while the screening runs, what was found so far.

    Once it is complete `after_part` has nothing to add: ask without it.
    """
    with runtime.database.read() as session:
        row, analysis = viewable.find(session, principal, analysis_id)
        blinding.require_unblinded_slide(session, principal, row.slide_id)
        tag = _tag(session, row, after_part)
        if conditional.is_known(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        table = (
            columns.stored(session, analysis, empty=after_part > 0)
            if analysis is not None
            else columns.partial(session, runtime.engine, row, after_part)
        )
    if row.order_id is not None and analysis is not None:  # looking on while it grows is no reading of a result
        runtime.read_log.record(principal, Action.ANALYSIS_READ, f"analysis:{row.id}")
    return Response(table.encode(), headers={"ETag": tag, "Cache-Control": "private, no-cache"}, media_type=BINARY)


@router.get(
    "/analyses/{analysis_id}/map",
    response_model=AnalysisMapView,
    summary="Read the map of a slide",
    responses={304: {"description": "`If-None-Match` names what there is"}, **describe(*_ERRORS, NoMapError)},
)
def read_map(request: Request, runtime: RuntimeDep, principal: Reader, analysis_id: AnalysisId) -> Response:
    """Quality and highest suspicion of every tile; while the screening runs, of those that are done."""
    with runtime.database.read() as session:
        row, analysis = viewable.find(session, principal, analysis_id)
        blinding.require_unblinded_slide(session, principal, row.slide_id)
        tag = _tag(session, row, 0)
        if conditional.is_known(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        members = columns.map_members(session, runtime.engine, row, analysis)
    if members is None:
        raise NoMapError("there is no map: the image is a single field, or its slide has not been looked at yet")
    return conditional.answer(request, AnalysisMapView(**members), etag=tag)


def _tag(session: Session, row: Screening, after_part: int) -> str:
    parts = -1 if row.state == COMPLETED else part_repository.count(session, row.id, row.attempts)[0]
    return conditional.etag_of(row.id, row.attempts, row.state == COMPLETED, parts, after_part)
