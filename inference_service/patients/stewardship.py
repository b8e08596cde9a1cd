"""HTTP of what is rare and weighty: merge patients, export, erase, legal holds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response

from tamsoat.inference_service.accounts.access import READERS, Principal, Role, allow
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.patients import answers, erasure, errors, export, merging, service
from tamsoat.inference_service.patients.endpoints import COMMON, WRITING, Changer, PatientId, RuntimeDep, etag
from tamsoat.inference_service.patients.schemas import EraseIn, LegalHoldIn, MergeIn, PatientOut, UnmergeIn
from tamsoat.inference_service.transport.problems import describe

router = APIRouter(prefix="/api/v1/patients", tags=["patients"])

Steward = Annotated[Principal, allow(Role.ADMINISTRATOR)]
Person = Annotated[Principal, allow(*READERS, Role.ADMINISTRATOR)]


class ConfirmationError(TamsoatError):
    """The id in the body is not the one in the path: check whom you mean."""

    status = 422
    title = "Ids differ"
    slug = "ids-differ"


@router.post(
    "/{patient_id}/merge",
    response_model=PatientOut,
    summary="Merge a patient into another",
    responses={**describe(*WRITING, ConfirmationError, errors.PatientNotFoundError, errors.PatientInactiveError,
                          errors.MergeRefusedError, errors.IdentifierNeedsConfirmationError)},
)  # fmt: skip
def merge_patient(
    runtime: RuntimeDep, principal: Changer, patient_id: PatientId, wanted: MergeIn, response: Response
) -> PatientOut:
    """Let this row of a person end in another one; identifiers and orders move there. Answers the target.

    The old identifiers keep finding the person. The row that ended stays readable. It can be undone.
    """
    _same(patient_id, wanted.source_id)
    with runtime.database.write() as session:
        answer = answers.patient(session, merging.merge(session, principal, wanted))
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{patient_id}/unmerge",
    response_model=PatientOut,
    summary="Undo a merge",
    responses={**describe(*WRITING, errors.PatientNotFoundError, errors.MergeRefusedError)},
)
def unmerge_patient(
    runtime: RuntimeDep, principal: Person, patient_id: PatientId, wanted: UnmergeIn, response: Response
) -> PatientOut:
    """Make a merged row a patient of its own again, with what it brought along. Answers that patient."""
    with runtime.database.write() as session:
        patient = merging.unmerge(session, principal, patient_id, wanted.target_id)
        answer = answers.patient(session, patient)
    response.headers["ETag"] = etag(answer)
    return answer


@router.get(
    "/{patient_id}/export",
    response_model=dict[str, Any],
    summary="Export everything about one patient",
    responses={**describe(*COMMON, errors.PatientNotFoundError)},
)
def export_patient(runtime: RuntimeDep, principal: Steward, patient_id: PatientId) -> Response:
    """One JSON document: the patient with all identifiers, orders, specimens, slides, results, and who read them."""
    with runtime.database.read() as session:
        document = export.collect(session, principal.facility_id, patient_id)
    runtime.read_log.record(principal, Action.PATIENT_EXPORT, f"patient:{patient_id}")
    headers = {"Content-Disposition": f'attachment; filename="patient-{patient_id}.json"'}
    return Response(export.to_json(document), media_type="application/json", headers=headers)


@router.put(
    "/{patient_id}/legal-hold",
    response_model=PatientOut,
    summary="Set or lift a legal hold",
    responses={**describe(*WRITING, errors.PatientNotFoundError)},
)
def set_legal_hold(
    runtime: RuntimeDep, principal: Steward, patient_id: PatientId, wanted: LegalHoldIn, response: Response
) -> PatientOut:
    """While there is a hold, nothing of the patient is erased, neither by hand nor when the retention time ends."""
    with runtime.database.write() as session:
        patient = service.get(session, principal.facility_id, patient_id, lock=True)
        erasure.set_legal_hold(session, principal.actor, patient, wanted.reason)
        answer = answers.patient(session, patient)
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{patient_id}/erase",
    response_model=PatientOut,
    summary="Erase what identifies a patient",
    responses={**describe(*WRITING, ConfirmationError, errors.PatientNotFoundError, errors.ErasureRefusedError)},
)
def erase_patient(runtime: RuntimeDep, principal: Steward, patient_id: PatientId, wanted: EraseIn) -> PatientOut:
    """Remove name, birth date, contacts, identifiers and free text; results stay, pseudonymous. Cannot be undone."""
    _same(patient_id, wanted.patient_id)
    years = runtime.settings.retention_records_years
    with runtime.database.write() as session:
        patient = erasure.erase(
            session, principal.actor, principal.facility_id, patient_id, wanted.reason, records_years=years
        )
        return answers.patient(session, patient)


def _same(in_path: str, in_body: str) -> None:
    if in_path != in_body:
        raise ConfirmationError("the id in the body is not the one in the path: check whom you mean")
