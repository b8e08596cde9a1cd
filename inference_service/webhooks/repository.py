"""SQL of webhooks, events, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.webhooks.tables import Webhook, WebhookAttempt, WebhookDelivery, WebhookEvent

OPEN_STATES = ("pending", "retrying")


class DeliveryRow(NamedTuple):
    """A delivery with its event."""

    delivery: WebhookDelivery
    event: WebhookEvent


class DeliveryTask(NamedTuple):
    """A delivery with its event and its webhook."""

    delivery: WebhookDelivery
    event: WebhookEvent
    webhook: Webhook


def webhooks_of(session: Session, facility_id: str) -> list[Webhook]:
    """The facility's webhooks, oldest first, without deleted ones."""
    query = select(Webhook).where(Webhook.facility_id == facility_id, Webhook.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Webhook.created_at, Webhook.id)))


def get_webhook(session: Session, facility_id: str, webhook_id: str, *, lock: bool = False) -> Webhook | None:
    """The facility's webhook; None where there is none or it was deleted. ``lock`` keeps others from changing it."""
    query = select(Webhook).where(
        Webhook.id == webhook_id, Webhook.facility_id == facility_id, Webhook.deleted_at.is_(None)
    )
    return session.scalar(query.with_for_update() if lock else query)


def add_webhook(session: Session, webhook: Webhook) -> None:
    """Insert a webhook."""
    session.add(webhook)
    session.flush()


def add_event(session: Session, event: WebhookEvent, deliveries: Sequence[WebhookDelivery]) -> None:
    """Insert an event with its deliveries."""
    session.add(event)
    session.flush()
    session.add_all(deliveries)
    session.flush()


def get_delivery(session: Session, facility_id: str, delivery_id: str) -> DeliveryRow | None:
    """The facility's delivery to a webhook that is not deleted, or None."""
    query = _deliveries(facility_id).where(WebhookDelivery.id == delivery_id)
    row = session.execute(query).one_or_none()
    return None if row is None else DeliveryRow(row[0], row[1])


def deliveries_of(
    session: Session,
    webhook: Webhook,
    *,
    state: str | None,
    kind: str | None,
    before_number: int | None,
    limit: int,
) -> list[DeliveryRow]:
    """At most ``limit`` deliveries of ``webhook``, newest first."""
    query = _deliveries(webhook.facility_id).where(WebhookDelivery.webhook_id == webhook.id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if kind is not None:
        query = query.where(WebhookEvent.type == kind)
    if before_number is not None:
        query = query.where(WebhookDelivery.number < before_number)
    rows = session.execute(query.order_by(WebhookDelivery.number.desc()).limit(limit))
    return [DeliveryRow(row[0], row[1]) for row in rows]


def attempts_of(session: Session, delivery_ids: Sequence[str]) -> dict[str, list[WebhookAttempt]]:
    """The attempts of each delivery, oldest first."""
    query = select(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(delivery_ids))
    found: dict[str, list[WebhookAttempt]] = {identifier: [] for identifier in delivery_ids}
    for attempt in session.scalars(query.order_by(WebhookAttempt.number)):
        found[attempt.delivery_id].append(attempt)
    return found


def task(session: Session, delivery_id: str, *, lock: bool = False) -> DeliveryTask | None:
    """A delivery with all that is needed to make an attempt, of whatever facility; None where there is none."""
    query = (
        select(WebhookDelivery, WebhookEvent, Webhook)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.id == delivery_id)
    )
    if lock:
        # The webhook first, as every other writer does: no two of them wait for each other.
        session.execute(
            select(Webhook.id)
            .join(WebhookDelivery, WebhookDelivery.webhook_id == Webhook.id)
            .where(WebhookDelivery.id == delivery_id)
            .with_for_update(of=Webhook)
        )
        query = query.execution_options(populate_existing=True)
    row = session.execute(query).one_or_none()
    return None if row is None else DeliveryTask(row[0], row[1], row[2])


def add_attempt(session: Session, attempt: WebhookAttempt) -> bool:
    """Insert an attempt; False where it was recorded before. The delivery's webhook is locked."""
    same = (WebhookAttempt.delivery_id == attempt.delivery_id, WebhookAttempt.wake == attempt.wake)
    if session.scalar(select(WebhookAttempt.number).where(*same)) is not None:
        return False
    session.add(attempt)
    session.flush()
    return True


def count_attempts(session: Session, delivery_id: str, since: datetime) -> int:
    """How many attempts were made since then."""
    query = select(func.count()).select_from(WebhookAttempt)
    query = query.where(WebhookAttempt.delivery_id == delivery_id, WebhookAttempt.attempted_at >= since)
    return session.scalar(query) or 0


def stop_open(session: Session, webhook_id: str, state: str, finished_at: datetime | None) -> int:
    """Move every delivery of the webhook that is under way (or paused) to ``state``; return how many there were."""
    states = OPEN_STATES if state == "paused" else (*OPEN_STATES, "paused")
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.state.in_(states))
        .values(state=state, wake=WebhookDelivery.wake + 1, next_attempt_at=None, finished_at=finished_at)
    )
    return len(session.scalars(statement.returning(WebhookDelivery.id)).all())


def resume_paused(session: Session, webhook_id: str, now: datetime) -> int:
    """Make every paused delivery of the webhook due now; return how many there are."""
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.state == "paused")
        .values(state="retrying", wake=WebhookDelivery.wake + 1, next_attempt_at=now)
    )
    return len(session.scalars(statement.returning(WebhookDelivery.id)).all())


def due(session: Session, now: datetime, limit: int) -> list[tuple[str, int]]:
    """Deliveries whose attempt should have been made by ``now``: identifier and which attempt."""
    query = (
        select(WebhookDelivery.id, WebhookDelivery.wake)
        .where(WebhookDelivery.state.in_(OPEN_STATES), WebhookDelivery.next_attempt_at <= now)
        .order_by(WebhookDelivery.next_attempt_at)
        .limit(limit)
    )
    return [(row.id, row.wake) for row in session.execute(query)]


def _deliveries(facility_id: str) -> Select[WebhookDelivery, WebhookEvent]:
    return (
        select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.facility_id == facility_id, Webhook.deleted_at.is_(None))
    )
