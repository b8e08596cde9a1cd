"""Place, change and cancel orders; take specimens in."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import repository, service
from tamsoat.inference_service.orders.schemas import (
    ClinicalContext,
    OrderIn,
    OrderUpdate,
    SpecimenIn,
    SpecimenUpdate,
)
from tamsoat.inference_service.orders.service import OrderClosedError
from tamsoat.inference_service.orders.tables import Order, Specimen
from tamsoat.inference_service.orders.vocabulary import OPEN, CancelReason, OrderStatus
from tamsoat.inference_service.patients import registration
from tamsoat.inference_service.patients import service as patients
from tamsoat.inference_service.patients.birth_date import age_years
from tamsoat.inference_service.patients.tables import Patient


class OrderExistsError(TamsoatError):
    """The facility has an order with this number already; the answer names it in `order_id`."""

    status = 409
    title = "Order exists already"
    slug = "order-exists"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"an order with this number exists: {order_id}")
        self.order_id = order_id

    def members(self) -> dict[str, object]:
        return {"order_id": self.order_id}


class AccessionTakenError(TamsoatError):
    """The facility has a specimen with this accession number already."""

    status = 409
    title = "Accession number taken"
    slug = "accession-taken"


class SpecimenNotFoundError(TamsoatError):
    """The order has no such specimen."""

    status = 404
    title = "Specimen not found"
    slug = "specimen-not-found"


def place(session: Session, principal: Principal, wanted: OrderIn) -> Order:
    """Store a new order with its specimens; the patient in it is found, or entered once whoever comes first.

    Raises:
        OrderExistsError, AccessionTakenError: a number is taken.
        PatientNotFoundError, PatientInactiveError: ``patient_id`` cannot be used.
        PatientAmbiguousError, IdentifierInvalidError, IdentifierNeedsConfirmationError: the patient in it cannot.
    """
    _refuse_taken(session, principal.facility_id, wanted.number, wanted.specimens)
    patient, event = _patient(session, principal, wanted)
    now = datetime.now(UTC)
    order = Order(
        id=str(uuid.uuid4()), facility_id=principal.facility_id, patient_id=patient.id,
        number=wanted.number or _given("TS", now), requested_test=wanted.requested_test.value,
        priority=wanted.priority.value, status=OrderStatus.REQUESTED.value, requester=wanted.requester,
        version=1, created_by=principal.actor, created_at=now, updated_at=now, resulted_at=None, cancel_reason=None,
        **_columns(wanted.context),
    )  # fmt: skip
    specimens = [_specimen(order, item, now) for item in wanted.specimens]
    order.age_years = _age(patient, specimens, now)
    _insert(session, order, specimens)
    service.record_change(session, order, Action.ORDER_CREATE, principal.actor)
    if event is not None:
        audit.append(session, event)
    return order


def change(session: Session, principal: Principal, order: Order, wanted: OrderUpdate) -> None:
    """Apply a change to a locked order.

    Raises:
        OrderClosedError: it has its result or was cancelled.
    """
    _require_open(order)
    given = wanted.model_fields_set
    for name in sorted(given & {"requested_test", "priority"}):
        value = getattr(wanted, name)
        if value is not None:
            setattr(order, name, value.value)
    if "requester" in given:
        order.requester = wanted.requester
    if wanted.context is not None:
        for name, column in _columns(wanted.context).items():
            setattr(order, name, column)
    accepted = wanted.status is OrderStatus.ACCEPTED and order.status == OrderStatus.REQUESTED
    service.set_status(session, order, OrderStatus.ACCEPTED if accepted else OrderStatus(order.status))
    cases.order_changed(session, order)
    service.record_change(session, order, Action.ORDER_UPDATE, principal.actor)


def cancel(session: Session, principal: Principal, order: Order, reason: CancelReason) -> None:
    """Cancel a locked order.

    Raises:
        OrderClosedError: it has its result or was cancelled.
    """
    _require_open(order)
    order.cancel_reason = reason.value
    service.set_status(session, order, OrderStatus.CANCELLED)
    cases.order_changed(session, order)
    service.record_change(session, order, Action.ORDER_CANCEL, principal.actor)


def add_specimen(session: Session, principal: Principal, order: Order, wanted: SpecimenIn) -> None:
    """Add a specimen to a locked order.

    Raises:
        OrderClosedError, AccessionTakenError: as above.
    """
    _require_open(order)
    _refuse_taken(session, order.facility_id, None, [wanted])
    _insert(session, None, [_specimen(order, wanted, datetime.now(UTC))])
    _specimens_changed(session, principal, order)


def change_specimen(
    session: Session, principal: Principal, order: Order, specimen_id: str, wanted: SpecimenUpdate
) -> None:
    """Change a specimen of a locked order.

    Raises:
        OrderClosedError: the order has its result or was cancelled.
        SpecimenNotFoundError: the order has no such specimen.
    """
    _require_open(order)
    found = next((row for row in repository.specimens_of(session, [order.id]) if row.id == specimen_id), None)
    if found is None:
        raise SpecimenNotFoundError("the order has no such specimen")
    for name in sorted(wanted.model_fields_set - {"rejected_reason"}):
        value = getattr(wanted, name)
        if value is not None:
            setattr(found, name, value if isinstance(value, date) else value.value)
    if wanted.state is not None:
        found.rejected_reason = wanted.rejected_reason.value if wanted.rejected_reason else None
    _specimens_changed(session, principal, order)


def _specimens_changed(session: Session, principal: Principal, order: Order) -> None:
    session.flush()
    patient = patients.get(session, order.facility_id, order.patient_id)
    order.age_years = _age(patient, repository.specimens_of(session, [order.id]), order.created_at)
    service.set_status(session, order, OrderStatus(order.status))
    service.record_change(session, order, Action.ORDER_UPDATE, principal.actor)


def _patient(session: Session, principal: Principal, wanted: OrderIn) -> tuple[Patient, Event | None]:
    if wanted.patient is not None:
        return registration.find_or_create(session, principal, wanted.patient)
    assert wanted.patient_id is not None
    return patients.get_current(session, principal.facility_id, wanted.patient_id), None


def _require_open(order: Order) -> None:
    if order.status not in {state.value for state in OPEN}:
        raise OrderClosedError(f"the order is {order.status}; it does not change any more")


def _refuse_taken(session: Session, facility_id: str, number: str | None, specimens: Sequence[SpecimenIn]) -> None:
    existing = repository.by_number(session, facility_id, number) if number else None
    if existing is not None:
        raise OrderExistsError(existing.id)
    accessions = [item.accession for item in specimens if item.accession]
    taken = [text for text in accessions if repository.by_accession(session, facility_id, text)]
    if taken or len(set(accessions)) < len(accessions):
        raise AccessionTakenError("an accession number belongs to another specimen of this facility")


def _insert(session: Session, order: Order | None, specimens: list[Specimen]) -> None:
    """Insert within a savepoint: where another transaction took a number meanwhile, its unique index says so."""
    facility_id, number = (order.facility_id, order.number) if order else ("", "")
    try:
        with session.begin_nested():
            if order is not None:
                session.add(order)
                session.flush()
            session.add_all(specimens)
            session.flush()
    except IntegrityError as error:
        existing = repository.by_number(session, facility_id, number) if order else None
        if existing is not None:
            raise OrderExistsError(existing.id) from error
        raise AccessionTakenError("an accession number belongs to another specimen of this facility") from error


def _specimen(order: Order, item: SpecimenIn, now: datetime) -> Specimen:
    return Specimen(
        id=str(uuid.uuid4()),
        facility_id=order.facility_id,
        order_id=order.id,
        accession=item.accession or _given("S", now),
        collected_on=item.collected_on,
        source_site=item.source_site.value,
        preparation=item.preparation.value,
        state=item.state.value,
        rejected_reason=None,
        created_at=now,
    )


def _columns(context: ClinicalContext) -> dict[str, object]:
    """The clinical context as columns of the order."""
    values = context.model_dump(mode="json")
    values["history"] = sorted(set(values["history"]))
    return values


def _age(patient: Patient, specimens: Sequence[Specimen], ordered_at: datetime) -> int | None:
    days = [item.collected_on for item in specimens if item.collected_on]
    return age_years(patient.birth_date, min(days) if days else ordered_at.date())


def _given(prefix: str, now: datetime) -> str:
    """A number that the service gives: date and 40 random bits."""
    return f"{prefix}{now:%y%m%d}-{base64.b32encode(secrets.token_bytes(5)).decode('ascii')}"
