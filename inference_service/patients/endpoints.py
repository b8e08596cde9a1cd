"""HTTP of patients: enter, read, search, change, identifiers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.patients import answers, errors, registration, search, service
from tamsoat.inference_service.patients.card import read_card
from tamsoat.inference_service.patients.schemas import (
    CardIn,
    CardOut,
    NewIdentifier,
    PatientIn,
    PatientOut,
    PatientPage,
    PatientSearch,
    PatientUpdate,
    RetireIdentifier,
)
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional, idempotency
from tamsoat.inference_service.transport.idempotency import IdempotentRoute, idempotency_key
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text

router = APIRouter(prefix="/api/v1/patients", tags=["patients"], route_class=IdempotentRoute)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
ROLES = (*READERS, Role.ADMINISTRATOR, Role.INTEGRATOR)
Maker = Annotated[Principal, allow(*ROLES, scope="system/Patient.c")]
Reader = Annotated[Principal, allow(*ROLES, scope="system/Patient.r")]
Searcher = Annotated[Principal, allow(*ROLES, scope="system/Patient.s")]
Changer = Annotated[Principal, allow(*ROLES, scope="system/Patient.u")]
PatientId = Annotated[Text, Path(max_length=64, description="From the answer that made the patient, or from a search")]
IdentifierId = Annotated[Text, Path(max_length=64, description="`identifier_id` of one of the patient's identifiers")]

COMMON = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError)
WRITING = (*COMMON, StorageFullError)
IDENTIFYING = (errors.IdentifierInvalidError, errors.IdentifierNeedsConfirmationError)
CHANGING = (errors.PatientNotFoundError, errors.PatientInactiveError)
MATCHING = (conditional.PreconditionFailedError, conditional.PreconditionRequiredError)


def etag(patient: PatientOut) -> str:
    """The strong tag of one version of a patient."""
    return conditional.etag_of("patient", patient.patient_id, patient.version)


@router.post(
    "",
    status_code=201,
    response_model=PatientOut,
    summary="Enter a patient",
    dependencies=[idempotency_key()],
    responses={**describe(*WRITING, *IDENTIFYING, errors.PatientExistsError, errors.PatientAmbiguousError,
                          *idempotency.ERRORS)},
)  # fmt: skip
def create_patient(runtime: RuntimeDep, principal: Maker, data: PatientIn, response: Response) -> PatientOut:
    """Enter a new patient of this facility.

    An identifier that an active patient of the facility has already answers `patient-exists` with the `patient_id`.
    A CCCD number that disagrees with sex or birth year answers `identifier-needs-confirmation`; sent again with the
    codes in `confirm` it is accepted. Without any identifier the patient gets a temporary number.
    """
    with runtime.database.write() as session:
        patient = registration.create(session, principal, data)
        answer = answers.patient(session, patient)
        headers = {"Location": f"{router.prefix}/{answer.patient_id}", "ETag": etag(answer)}
        idempotency.keep(session, answer, status=201, headers=headers)
    response.headers.update(headers)
    return answer


@router.post("/card", response_model=CardOut, summary="Read the QR code of a CCCD card",
             responses={**describe(*COMMON, errors.CardUnreadableError)})  # fmt: skip
def read_cccd(principal: Maker, scanned: CardIn) -> CardOut:
    """Turn what a desk scanner typed into the fields of a form. Nothing is stored."""
    return answers.card(read_card(scanned.text))


@router.post(
    "/search",
    response_model=PatientPage,
    summary="Search patients",
    responses={**describe(*COMMON, search.EmptySearchError, errors.IdentifierInvalidError,
                          errors.PatientNotFoundError)},
)  # fmt: skip
def search_patients(runtime: RuntimeDep, principal: Searcher, wanted: PatientSearch) -> PatientPage:
    """Find active patients by a whole identifier, by words of the name, by birth date.

    The words stand in the body, so that no proxy logs them. The audit log keeps who was found, not the words.
    """
    with runtime.database.read() as session:
        rows, following = search.find(session, principal.facility_id, wanted)
        page = PatientPage(items=answers.patients(session, rows), next_before=following)
    by = ",".join(name for name in ("identifier", "name", "birth_date") if getattr(wanted, name) is not None)
    found = " ".join(item.patient_id for item in page.items)
    runtime.read_log.record(
        principal, Action.PATIENT_SEARCH, "patient:search", {"by": by, "results": len(page.items), "patients": found}
    )
    return page


@router.get(
    "/{patient_id}",
    response_model=PatientOut,
    summary="Read a patient",
    responses={**describe(*COMMON, errors.PatientNotFoundError)},
)
def read_patient(request: Request, runtime: RuntimeDep, principal: Reader, patient_id: PatientId) -> Response:
    """One patient. A merged one stays readable and names in `merged_into` who took her over."""
    with runtime.database.read() as session:
        answer = answers.patient(session, service.get(session, principal.facility_id, patient_id))
    runtime.read_log.record(principal, Action.PATIENT_READ, f"patient:{answer.patient_id}")
    return conditional.answer(request, answer, etag=etag(answer))


@router.patch(
    "/{patient_id}",
    response_model=PatientOut,
    summary="Change a patient",
    responses={**describe(*WRITING, *CHANGING, *MATCHING, errors.IdentifierNeedsConfirmationError)},
)
def change_patient(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    principal: Changer,
    patient_id: PatientId,
    change: PatientUpdate,
) -> PatientOut:
    """Change what is given, with `If-Match` and the `ETag` of what was read."""
    with runtime.database.write() as session:
        patient = service.get(session, principal.facility_id, patient_id, lock=True)
        conditional.require_match(request, etag(answers.patient(session, patient)))
        registration.update(session, principal, patient, change)
        answer = answers.patient(session, patient)
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{patient_id}/identifiers",
    status_code=201,
    response_model=PatientOut,
    summary="Add an identifier",
    responses={**describe(*WRITING, *CHANGING, *IDENTIFYING, errors.PatientExistsError, errors.PatientAmbiguousError,
                          conditional.PreconditionFailedError)},
)  # fmt: skip
def add_identifier(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    principal: Changer,
    patient_id: PatientId,
    data: NewIdentifier,
) -> PatientOut:
    """Give the patient one number more; the same number again changes nothing. `If-Match` is honoured."""
    with runtime.database.write() as session:
        patient = service.get(session, principal.facility_id, patient_id, lock=True)
        conditional.require_match(request, etag(answers.patient(session, patient)), required=False)
        registration.add_identifier(session, principal, patient, data, data.confirm)
        answer = answers.patient(session, patient)
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{patient_id}/identifiers/{identifier_id}/retire",
    response_model=PatientOut,
    summary="Retire an identifier",
    responses={**describe(*WRITING, *CHANGING, errors.IdentifierNotFoundError, conditional.PreconditionFailedError)},
)
def retire_identifier(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    principal: Changer,
    patient_id: PatientId,
    identifier_id: IdentifierId,
    data: RetireIdentifier,
) -> PatientOut:
    """End the validity of a number: it stays as history, finds nobody any more, and may be given to someone else."""
    with runtime.database.write() as session:
        patient = service.get(session, principal.facility_id, patient_id, lock=True)
        conditional.require_match(request, etag(answers.patient(session, patient)), required=False)
        registration.retire_identifier(session, principal, patient, identifier_id, data.valid_to)
        answer = answers.patient(session, patient)
    response.headers["ETag"] = etag(answer)
    return answer
