"""One attempt to deliver an event, and what follows from its outcome.

At least once: a process that dies between the receiver's answer and its record sends the same message, with the same
``webhook-id``, again. Nothing is given up in silence: a delivery ends as ``delivered``, as ``failed`` (after
``webhook_retry_days``, in the log and in the audit log, open to a resend) or waits as ``paused``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks import repository, schedule, signing
from tamsoat.inference_service.webhooks.events import payload
from tamsoat.inference_service.webhooks.repository import OPEN_STATES, DeliveryTask
from tamsoat.inference_service.webhooks.sender import Outcome
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookAttempt

SYSTEM = "system"
GONE = "gone"

log = structlog.get_logger("tamsoat.webhooks")


@dataclass(frozen=True)
class Message:
    """What goes to the receiver in one attempt."""

    url: str
    body: str
    headers: dict[str, str]


def prepare(database: Database, delivery_id: str, wake: int) -> Message | None:
    """The message of attempt ``wake``; None where there is nothing to send.

    That is so where the attempt is not the one that is due (it was made already, resent, paused, deleted).

    Raises:
        DatabaseUnavailableError: to be tried again.
    """
    with database.read() as session:
        found = repository.task(session, delivery_id)
        if found is None or found.delivery.state not in OPEN_STATES or found.delivery.wake != wake:
            return None
        if _is_on(found.webhook):
            body = payload(found.event.type, found.event.created_at, found.event.data)
            headers = signing.headers(found.event.id, body, datetime.now(UTC), _secrets(found.webhook))
            return Message(found.webhook.url, body, headers)
    with database.write() as session:
        _stop(session, delivery_id, wake)
    return None


def record(database: Database, settings: Settings, delivery_id: str, wake: int, outcome: Outcome) -> None:
    """Keep what came of attempt ``wake``, and decide what follows. Repeating it changes nothing.

    Raises:
        DatabaseUnavailableError, StorageFullError: nothing was recorded; to be tried again.
    """
    with database.write() as session:
        found = repository.task(session, delivery_id, lock=True)
        if found is None or not repository.add_attempt(session, _row(delivery_id, wake, outcome)):
            return
        found.delivery.attempts += 1
        if _is_due(found, wake):
            _decide(session, settings, found, outcome)
        state = found.delivery.state
    log.info(
        "webhook_attempt",
        delivery_id=delivery_id,
        status=outcome.status,
        error=outcome.error,
        seconds=round(outcome.duration_s, 3),
        state=state,
    )


def _is_due(found: DeliveryTask, wake: int) -> bool:
    return found.delivery.state in OPEN_STATES and found.delivery.wake == wake and _is_on(found.webhook)


def _is_on(webhook: Webhook) -> bool:
    return webhook.enabled and webhook.deleted_at is None


def _secrets(webhook: Webhook) -> list[str]:
    until = webhook.previous_secret_until
    if webhook.previous_secret is not None and until is not None and until > datetime.now(UTC):
        return [webhook.secret, webhook.previous_secret]
    return [webhook.secret]


def _stop(session: Session, delivery_id: str, wake: int) -> None:
    """The webhook was switched off or deleted while this event was being published: follow it."""
    found = repository.task(session, delivery_id, lock=True)
    if found is None or _is_on(found.webhook) or found.delivery.wake != wake:
        return
    found.delivery.wake, found.delivery.next_attempt_at = wake + 1, None
    if found.webhook.deleted_at is None:
        found.delivery.state = "paused"
    else:
        found.delivery.state, found.delivery.finished_at = "failed", datetime.now(UTC)


def _row(delivery_id: str, wake: int, outcome: Outcome) -> WebhookAttempt:
    return WebhookAttempt(
        delivery_id=delivery_id,
        wake=wake,
        attempted_at=outcome.attempted_at,
        duration_s=round(outcome.duration_s, 4),
        status=outcome.status,
        error=outcome.error,
        excerpt=outcome.excerpt,
    )


def _decide(session: Session, settings: Settings, found: DeliveryTask, outcome: Outcome) -> None:
    if outcome.error is None:
        _finish(session, found, "delivered", outcome)
    elif outcome.error == GONE:
        _pause_all(session, found)
    else:
        _retry(session, settings, found, outcome)


def _retry(session: Session, settings: Settings, found: DeliveryTask, outcome: Outcome) -> None:
    delivery, now = found.delivery, datetime.now(UTC)
    left_s = (delivery.began_at + timedelta(days=settings.webhook_retry_days) - now).total_seconds()
    if left_s <= 0:
        _finish(session, found, "failed", outcome)
        return
    made = repository.count_attempts(session, delivery.id, delivery.began_at)
    pause_s = max(schedule.pause_s(made, settings.webhook_retry_s), outcome.retry_after_s or 0.0)
    pause_s = min(pause_s, left_s)
    delivery.state, delivery.wake = "retrying", delivery.wake + 1
    delivery.next_attempt_at = now + timedelta(seconds=pause_s)


def _finish(session: Session, found: DeliveryTask, state: str, outcome: Outcome) -> None:
    delivery = found.delivery
    delivery.state, delivery.next_attempt_at, delivery.finished_at = state, None, datetime.now(UTC)
    if state == "failed":
        log.error("webhook_delivery_failed", delivery_id=delivery.id, error=outcome.error, attempts=delivery.attempts)
    details: dict[str, str | int | bool] = {
        "state": state,
        "event": found.event.id,
        "type": found.event.type,
        "webhook": found.webhook.id,
        "attempts": delivery.attempts,
    }
    subject = f"delivery:{delivery.id}"
    audit.append(
        session, Event(SYSTEM, Action.WEBHOOK_DELIVER, subject, facility=delivery.facility_id, details=details)
    )


def _pause_all(session: Session, found: DeliveryTask) -> None:
    """The receiver says that it is gone for good: nothing more is sent until someone switches it on again."""
    webhook = found.webhook
    webhook.enabled, webhook.paused_reason, webhook.version = False, GONE, webhook.version + 1
    session.flush()
    stopped = repository.stop_open(session, webhook.id, "paused", None)
    log.error("webhook_gone", webhook_id=webhook.id, paused=stopped)
    details: dict[str, str | int | bool] = {"enabled": False, "reason": GONE, "paused": stopped}
    subject = f"webhook:{webhook.id}"
    audit.append(session, Event(SYSTEM, Action.WEBHOOK_UPDATE, subject, facility=webhook.facility_id, details=details))
