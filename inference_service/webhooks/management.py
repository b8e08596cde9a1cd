"""Rules for making, changing and removing webhooks, and for reading and resending deliveries.

Each function that changes something belongs into a writing transaction and returns the deliveries that it makes due
(identifier and attempt), to be started once that is committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks import repository, service, signing
from tamsoat.inference_service.webhooks.destination import check_url
from tamsoat.inference_service.webhooks.events import TEST
from tamsoat.inference_service.webhooks.repository import DeliveryRow
from tamsoat.inference_service.webhooks.schemas import (
    AttemptAnswer,
    DeliveryAnswer,
    DeliveryPage,
    NewWebhook,
    WebhookChange,
)
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookAttempt

WEBHOOKS_MOST = 20
"""Webhooks of one facility: each costs a delivery for every event."""

TWO_SECRETS_S = 24 * 3600
"""For so long after a rotation messages carry the signatures of both secrets."""


class WebhookNotFoundError(TamsoatError):
    """The facility has no webhook with this identifier."""

    status = 404
    title = "Webhook not found"
    slug = "webhook-not-found"


class DeliveryNotFoundError(TamsoatError):
    """The facility has no delivery with this identifier."""

    status = 404
    title = "Delivery not found"
    slug = "delivery-not-found"


class TooManyWebhooksError(TamsoatError):
    """The facility has as many webhooks as it may have."""

    status = 409
    title = "Too many webhooks"
    slug = "webhook-limit"


class WebhookOffError(TamsoatError):
    """Nothing is sent to a webhook that is switched off."""

    status = 409
    title = "Webhook is switched off"
    slug = "webhook-off"


def find(session: Session, principal: Principal, webhook_id: str, *, lock: bool = False) -> Webhook:
    """The facility's webhook.

    Raises:
        WebhookNotFoundError: there is none.
    """
    webhook = repository.get_webhook(session, principal.facility_id, webhook_id, lock=lock)
    if webhook is None:
        raise WebhookNotFoundError("there is no webhook with this identifier")
    return webhook


def create(session: Session, principal: Principal, wanted: NewWebhook, settings: Settings) -> Webhook:
    """Make a webhook with a new secret.

    Raises:
        WebhookAddressError: messages may not be sent there.
        TooManyWebhooksError: the facility has :data:`WEBHOOKS_MOST` already.
    """
    check_url(wanted.url, settings.webhook_network_list)
    if len(repository.webhooks_of(session, principal.facility_id)) >= WEBHOOKS_MOST:
        raise TooManyWebhooksError(f"a facility has at most {WEBHOOKS_MOST} webhooks; delete one first")
    webhook = Webhook(
        id=str(uuid.uuid4()),
        facility_id=principal.facility_id,
        url=wanted.url,
        event_types=_distinct(wanted.event_types),
        secret=signing.new_secret(),
        enabled=True,
        version=1,
        created_at=datetime.now(UTC),
    )
    repository.add_webhook(session, webhook)
    _record(session, principal, Action.WEBHOOK_CREATE, webhook, {"types": ",".join(webhook.event_types)})
    return webhook


def change(session: Session, principal: Principal, webhook: Webhook, wanted: WebhookChange, settings: Settings) -> None:
    """Change a webhook that :func:`find` locked. Switched on again, it gets first what waited.

    Raises:
        WebhookAddressError: messages may not be sent there.
    """
    changed: dict[str, str | int | bool] = {}
    if wanted.url is not None and wanted.url != webhook.url:
        check_url(wanted.url, settings.webhook_network_list)
        webhook.url, changed["url"] = wanted.url, True
    if wanted.event_types is not None and _distinct(wanted.event_types) != webhook.event_types:
        webhook.event_types = _distinct(wanted.event_types)
        changed["types"] = ",".join(webhook.event_types)
    if wanted.enabled is not None and wanted.enabled != webhook.enabled:
        webhook.enabled = changed["enabled"] = wanted.enabled
        webhook.paused_reason = None if wanted.enabled else "switched-off"
        changed["deliveries"] = (
            repository.resume_paused(session, webhook.id, datetime.now(UTC))
            if wanted.enabled
            else repository.stop_open(session, webhook.id, "paused", None)
        )
    if changed:
        webhook.version += 1
        _record(session, principal, Action.WEBHOOK_UPDATE, webhook, changed)


def delete(session: Session, principal: Principal, webhook: Webhook) -> None:
    """Remove a webhook that :func:`find` locked; what was under way ends as failed, its secrets are forgotten."""
    now = datetime.now(UTC)
    stopped = repository.stop_open(session, webhook.id, "failed", now)
    webhook.enabled, webhook.deleted_at, webhook.version = False, now, webhook.version + 1
    webhook.secret, webhook.previous_secret, webhook.previous_secret_until = "", None, None
    _record(session, principal, Action.WEBHOOK_DELETE, webhook, {"deliveries": stopped})


def rotate_secret(session: Session, principal: Principal, webhook: Webhook) -> None:
    """Give a webhook that :func:`find` locked a new secret; for a day messages carry both signatures."""
    now = datetime.now(UTC)
    webhook.previous_secret, webhook.secret = webhook.secret, signing.new_secret()
    webhook.previous_secret_until, webhook.version = now + timedelta(seconds=TWO_SECRETS_S), webhook.version + 1
    _record(session, principal, Action.WEBHOOK_UPDATE, webhook, {"secret": "rotated"})


def send_test(session: Session, principal: Principal, webhook: Webhook) -> DeliveryRow:
    """Publish a test event to one webhook.

    Raises:
        WebhookOffError: it is switched off.
    """
    if not webhook.enabled:
        raise WebhookOffError("switch the webhook on before sending a test")
    made = service.record(session, principal.facility_id, TEST, {"webhook_id": webhook.id}, [webhook])
    _record(session, principal, Action.WEBHOOK_UPDATE, webhook, {"test": made[0]})
    return find_delivery(session, principal, made[0])


def find_delivery(session: Session, principal: Principal, delivery_id: str) -> DeliveryRow:
    """The facility's delivery.

    Raises:
        DeliveryNotFoundError: there is none, or its webhook was deleted.
    """
    row = repository.get_delivery(session, principal.facility_id, delivery_id)
    if row is None:
        raise DeliveryNotFoundError("there is no delivery with this identifier")
    return row


def resend(session: Session, principal: Principal, delivery_id: str) -> DeliveryRow:
    """Begin a delivery again, in whatever state it is; its event keeps the same ``webhook-id``.

    Raises:
        DeliveryNotFoundError: there is none.
        WebhookOffError: its webhook is switched off.
    """
    row = find_delivery(session, principal, delivery_id)
    webhook = find(session, principal, row.delivery.webhook_id, lock=True)
    if not webhook.enabled:
        raise WebhookOffError("switch the webhook on before sending again")
    session.refresh(row.delivery)
    now, before = datetime.now(UTC), row.delivery.state
    row.delivery.state, row.delivery.wake = "pending", row.delivery.wake + 1
    row.delivery.began_at = row.delivery.next_attempt_at = now
    row.delivery.finished_at = None
    session.flush()
    event = Event(
        principal.actor,
        Action.WEBHOOK_RESEND,
        f"delivery:{delivery_id}",
        facility=principal.facility_id,
        details={"webhook": webhook.id, "event": row.event.id, "state": before},
    )
    audit.append(session, event)
    return row


def deliveries(
    session: Session,
    principal: Principal,
    webhook_id: str,
    *,
    state: str | None,
    kind: str | None,
    before: str | None,
    limit: int,
) -> DeliveryPage:
    """A page of the deliveries of a webhook, newest first.

    Raises:
        WebhookNotFoundError, DeliveryNotFoundError: no such webhook; ``before`` names no delivery of the facility.
    """
    webhook = find(session, principal, webhook_id)
    number = None if before is None else find_delivery(session, principal, before).delivery.number
    rows = repository.deliveries_of(
        session, webhook, state=state, kind=kind, before_number=number, limit=limit + 1
    )  # fmt: skip
    shown = rows[:limit]
    attempts = repository.attempts_of(session, [row.delivery.id for row in shown])
    items = [answer(row, attempts[row.delivery.id]) for row in shown]
    return DeliveryPage(items=items, next_before=items[-1].delivery_id if len(rows) > limit else None)


def answer(row: DeliveryRow, attempts: Sequence[WebhookAttempt]) -> DeliveryAnswer:
    """A delivery as it goes over the wire."""
    delivery, event = row
    return DeliveryAnswer(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        event_id=event.id,
        event_type=event.type,
        data=event.data,
        state=delivery.state,  # type: ignore[arg-type]
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at,
        finished_at=delivery.finished_at,
        attempts=[AttemptAnswer.model_validate(item, from_attributes=True) for item in attempts],
    )


def _distinct(types: Sequence[str]) -> list[str]:
    return sorted({str(kind) for kind in types})


def _record(
    session: Session, principal: Principal, action: Action, webhook: Webhook, details: dict[str, str | int | bool]
) -> None:
    session.flush()
    subject = f"webhook:{webhook.id}"
    audit.append(session, Event(principal.actor, action, subject, facility=principal.facility_id, details=details))
