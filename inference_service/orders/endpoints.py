"""HTTP of orders and specimens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.orders import answers, placing, repository, service
from tamsoat.inference_service.orders.schemas import (
    CancelIn,
    OrderIn,
    OrderOut,
    OrderPage,
    OrderUpdate,
    SpecimenIn,
    SpecimenUpdate,
)
from tamsoat.inference_service.orders.vocabulary import OrderStatus, Priority
from tamsoat.inference_service.patients import errors
from tamsoat.inference_service.patients import service as patients
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional, idempotency
from tamsoat.inference_service.transport.idempotency import IdempotentRoute, idempotency_key
from tamsoat.inference_service.transport.parameters import Moment
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text

PAGE_DEFAULT, PAGE_MOST = 50, 200

router = APIRouter(prefix="/api/v1/orders", tags=["orders"], route_class=IdempotentRoute)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
ROLES = (*READERS, Role.INTEGRATOR)
Placer = Annotated[Principal, allow(*ROLES, scope="system/ServiceRequest.c")]
Reader = Annotated[Principal, allow(*ROLES, scope="system/ServiceRequest.r")]
Searcher = Annotated[Principal, allow(*ROLES, scope="system/ServiceRequest.s")]
Changer = Annotated[Principal, allow(*ROLES, scope="system/ServiceRequest.u")]
OrderId = Annotated[Text, Path(max_length=64, description="From the answer that placed the order, or from the list")]
SpecimenId = Annotated[Text, Path(max_length=64, description="`specimen_id` of one of the order's specimens")]

COMMON = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError)
WRITING = (*COMMON, StorageFullError)
CHANGING = (*WRITING, service.OrderNotFoundError, service.OrderClosedError, conditional.PreconditionFailedError)


def etag(order: OrderOut) -> str:
    """The strong tag of one version of an order."""
    return conditional.etag_of("order", order.order_id, order.version)


@router.post(
    "",
    status_code=201,
    response_model=OrderOut,
    summary="Place an order",
    dependencies=[idempotency_key(required_for_clients=True)],
    responses={**describe(*WRITING, placing.OrderExistsError, placing.AccessionTakenError,
                          errors.PatientNotFoundError, errors.PatientInactiveError, errors.PatientAmbiguousError,
                          errors.IdentifierInvalidError, errors.IdentifierNeedsConfirmationError,
                          *idempotency.ERRORS)},
)  # fmt: skip
def place_order(runtime: RuntimeDep, principal: Placer, wanted: OrderIn, response: Response) -> OrderOut:
    """Ask for a cytology, for a known patient or with the patient in the order.

    An embedded patient is found by any of her identifiers within the facility, else entered; concurrent orders enter
    her once. Where name, birth date or sex are not those on record, the answer is `identifier-needs-confirmation`.
    Machine clients send an `Idempotency-Key`.
    """
    with runtime.database.write() as session:
        answer = answers.order(session, placing.place(session, principal, wanted))
        headers = {"Location": f"{router.prefix}/{answer.order_id}", "ETag": etag(answer)}
        idempotency.keep(session, answer, status=201, headers=headers)
    response.headers.update(headers)
    return answer


@router.get(
    "",
    response_model=OrderPage,
    summary="List orders, newest first",
    responses={**describe(*COMMON, service.OrderNotFoundError, errors.PatientNotFoundError)},
)
def list_orders(
    runtime: RuntimeDep,
    principal: Searcher,
    status: Annotated[OrderStatus | None, Query(description="Only orders that stand so")] = None,
    priority: Annotated[Priority | None, Query(description="Only orders of this priority")] = None,
    patient_id: Annotated[Text | None, Query(max_length=64, description="Only orders of this patient")] = None,
    number: Annotated[Text | None, Query(max_length=64, description="The order with this placer number")] = None,
    created_from: Annotated[Moment | None, Query(description="Placed at this moment or later (with time zone)")] = None,
    created_before: Annotated[Moment | None, Query(description="Placed before this moment")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
    before: Annotated[
        Text | None, Query(max_length=64, description="`next_before` of the page before; absent: the newest")
    ] = None,
) -> OrderPage:
    """A page of orders without names; follow `next_before` until it is null."""
    with runtime.database.read() as session:
        last = service.get(session, principal.facility_id, before) if before is not None else None
        of_patient = patients.current_id(session, principal.facility_id, patient_id) if patient_id else None
        wanted = repository.Filter(status, priority, of_patient, created_from, created_before, number)
        rows = repository.newest(session, principal.facility_id, wanted, limit + 1, last)
        items = answers.summaries(session, rows[:limit])
    page = OrderPage(items=items, next_before=items[-1].order_id if len(rows) > limit else None)
    subject = f"patient:{of_patient}" if of_patient else "order:list"
    runtime.read_log.record(principal, Action.ORDER_READ, subject, {"results": len(items)})
    return page


@router.get(
    "/{order_id}",
    response_model=OrderOut,
    summary="Read an order",
    responses={**describe(*COMMON, service.OrderNotFoundError)},
)
def read_order(request: Request, runtime: RuntimeDep, principal: Reader, order_id: OrderId) -> Response:
    """One order with its clinical context and specimens."""
    with runtime.database.read() as session:
        answer = answers.order(session, service.get(session, principal.facility_id, order_id))
    runtime.read_log.record(principal, Action.ORDER_READ, f"order:{answer.order_id}", {"patient": answer.patient_id})
    return conditional.answer(request, answer, etag=etag(answer))


@router.patch(
    "/{order_id}",
    response_model=OrderOut,
    summary="Change an order",
    responses={**describe(*CHANGING, conditional.PreconditionRequiredError)},
)
def change_order(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    principal: Changer,
    order_id: OrderId,
    wanted: OrderUpdate,
) -> OrderOut:
    """Change an open order, with `If-Match` and the `ETag` of what was read."""
    with runtime.database.write() as session:
        order = service.get(session, principal.facility_id, order_id, lock=True)
        conditional.require_match(request, conditional.etag_of("order", order.id, order.version))
        placing.change(session, principal, order, wanted)
        answer = answers.order(session, order)
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{order_id}/cancel", response_model=OrderOut, summary="Cancel an order", responses={**describe(*CHANGING)}
)
def cancel_order(
    request: Request, response: Response, runtime: RuntimeDep, principal: Changer, order_id: OrderId, wanted: CancelIn
) -> OrderOut:
    """Cancel an open order. `If-Match` is honoured."""
    with runtime.database.write() as session:
        order = service.get(session, principal.facility_id, order_id, lock=True)
        conditional.require_match(request, conditional.etag_of("order", order.id, order.version), required=False)
        placing.cancel(session, principal, order, wanted.reason)
        answer = answers.order(session, order)
    response.headers["ETag"] = etag(answer)
    return answer


@router.post(
    "/{order_id}/specimens",
    status_code=201,
    response_model=OrderOut,
    summary="Add a specimen",
    responses={**describe(*CHANGING, placing.AccessionTakenError)},
)
def add_specimen(
    request: Request, response: Response, runtime: RuntimeDep, principal: Changer, order_id: OrderId, wanted: SpecimenIn
) -> OrderOut:
    """Add a glass or vial to an open order. `If-Match` is honoured."""
    with runtime.database.write() as session:
        order = service.get(session, principal.facility_id, order_id, lock=True)
        conditional.require_match(request, conditional.etag_of("order", order.id, order.version), required=False)
        placing.add_specimen(session, principal, order, wanted)
        answer = answers.order(session, order)
    response.headers["ETag"] = etag(answer)
    return answer


@router.patch(
    "/{order_id}/specimens/{specimen_id}",
    response_model=OrderOut,
    summary="Change a specimen",
    responses={**describe(*CHANGING, placing.SpecimenNotFoundError)},
)
def change_specimen(
    request: Request,
    response: Response,
    runtime: RuntimeDep,
    principal: Changer,
    order_id: OrderId,
    specimen_id: SpecimenId,
    wanted: SpecimenUpdate,
) -> OrderOut:
    """Note that a specimen came, was rejected, or was described wrongly. `If-Match` is honoured."""
    with runtime.database.write() as session:
        order = service.get(session, principal.facility_id, order_id, lock=True)
        conditional.require_match(request, conditional.etag_of("order", order.id, order.version), required=False)
        placing.change_specimen(session, principal, order, specimen_id, wanted)
        answer = answers.order(session, order)
    response.headers["ETag"] = etag(answer)
    return answer
