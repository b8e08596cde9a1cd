"""Find an order, and the states that it goes through."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import repository
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.orders.vocabulary import OPEN, OrderStatus
from tamsoat.inference_service.webhooks import service as webhooks

SYSTEM = "system"


class OrderNotFoundError(TamsoatError):
    """There is no such order in this facility."""

    status = 404
    title = "Order not found"
    slug = "order-not-found"


class OrderClosedError(TamsoatError):
    """The order has its result or was cancelled; it does not change any more."""

    status = 409
    title = "Order is closed"
    slug = "order-closed"


def get(session: Session, facility_id: str, order_id: str, *, lock: bool = False) -> Order:
    """The facility's order; ``lock`` keeps others from changing it until the transaction ends.

    Raises:
        OrderNotFoundError: there is none.
    """
    order = repository.get(session, facility_id, order_id, lock=lock)
    if order is None:
        raise OrderNotFoundError("there is no order with this identifier")
    return order


def mark_in_progress(session: Session, order_id: str, *, actor: str = SYSTEM) -> None:
    """Note that screening has begun; nothing changes where the order has gone further already.

    Raises:
        OrderNotFoundError: there is none.
    """
    _mark(session, order_id, OrderStatus.IN_PROGRESS, (OrderStatus.REQUESTED, OrderStatus.ACCEPTED), actor)


def mark_resulted(session: Session, order_id: str, *, actor: str = SYSTEM) -> None:
    """Note that the result is there; a cancelled order stays cancelled.

    Raises:
        OrderNotFoundError: there is none.
    """
    _mark(session, order_id, OrderStatus.RESULTED, OPEN, actor)


def set_status(session: Session, order: Order, status: OrderStatus) -> None:
    """Give a locked order a new state and a new version; the caller records it with :func:`record_change`."""
    now = datetime.now(UTC)
    order.status = status.value
    order.version += 1
    order.updated_at = now
    if status is OrderStatus.RESULTED:
        order.resulted_at = now


def record_change(session: Session, order: Order, action: Action, actor: str) -> None:
    """Tell the facility's webhooks and the audit log of a change; the last call of its transaction."""
    webhooks.publish(
        session,
        order.facility_id,
        "order.updated",
        {"order_id": order.id, "status": order.status, "priority": order.priority},
    )
    session.flush()
    details: dict[str, str | int | bool] = {"status": order.status, "version": order.version}
    audit.append(session, Event(actor, action, f"order:{order.id}", facility=order.facility_id, details=details))


def _mark(session: Session, order_id: str, status: OrderStatus, only_from: tuple[OrderStatus, ...], actor: str) -> None:
    order = repository.lock_any(session, order_id)
    if order is None:
        raise OrderNotFoundError("there is no order with this identifier")
    if order.status in {state.value for state in only_from}:
        set_status(session, order, status)
        record_change(session, order, Action.ORDER_UPDATE, actor)
