"""SQL of webhooks, events, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.webhooks.tables import Webhook, WebhookDelivery, WebhookEvent


def webhooks_of(session: Session, facility_id: str) -> list[Webhook]:
    """The facility's webhooks, oldest first, without deleted ones."""
    query = select(Webhook).where(Webhook.facility_id == facility_id, Webhook.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Webhook.created_at, Webhook.id)))


def add_event(session: Session, event: WebhookEvent, deliveries: Sequence[WebhookDelivery]) -> None:
    """Insert an event with its deliveries."""
    session.add(event)
    session.flush()
    session.add_all(deliveries)
    session.flush()
