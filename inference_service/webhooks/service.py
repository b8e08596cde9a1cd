"""Publish an event to the webhooks of a facility."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.webhooks import repository
from tamsoat.inference_service.webhooks.events import Data, EventType, check_data
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookDelivery, WebhookEvent


def publish(session: Session, facility_id: str, kind: EventType | str, data: Data) -> list[str]:
    """Record an event and one delivery for every webhook of the facility that wants it.

    To be called inside the transaction of the change that the event tells of: both are stored, or neither.
    The deliveries start once it is committed. A webhook that is switched off gets its delivery as ``paused``.

    Args:
        kind: one of :class:`EventType`.
        data: identifiers and codes.

    Returns:
        The identifiers of the deliveries; empty where nobody listens (no event is kept then).

    Raises:
        ValueError: an unknown kind, or data that are not identifiers and codes; a fault of the program.
    """
    wanted = EventType(kind).value
    check_data(data)
    listeners = [hook for hook in repository.webhooks_of(session, facility_id) if wanted in hook.event_types]
    return record(session, facility_id, wanted, data, listeners) if listeners else []


def record(session: Session, facility_id: str, kind: str, data: Data, listeners: list[Webhook]) -> list[str]:
    """Store the event and its deliveries; return the identifiers of the deliveries."""
    now = datetime.now(UTC)
    event = WebhookEvent(
        id=f"msg_{uuid.uuid4().hex}", facility_id=facility_id, type=kind, data=dict(data), created_at=now
    )
    deliveries = [
        WebhookDelivery(
            id=str(uuid.uuid4()),
            facility_id=facility_id,
            event_id=event.id,
            webhook_id=webhook.id,
            state="pending" if webhook.enabled else "paused",
            attempts=0,
            wake=1,
            next_attempt_at=now if webhook.enabled else None,
            began_at=now,
            created_at=now,
            finished_at=None,
        )
        for webhook in listeners
    ]
    repository.add_event(session, event, deliveries)
    return [delivery.id for delivery in deliveries]
