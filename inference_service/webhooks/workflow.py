"""Deliveries as durable workflows: one per attempt.

The pause before the next attempt lies in the delivery's row (``next_attempt_at``), not in a sleeping thread: days of
an outage with thousands of waiting messages cost rows only. An attempt that a kill cut short is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from dbos import DBOS
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.jobs import context
from tamsoat.inference_service.jobs.durable import activity, durable
from tamsoat.inference_service.jobs.registry import LOWEST_PRIORITY, Job, JobQueue
from tamsoat.inference_service.webhooks import delivery, repository, sender
from tamsoat.inference_service.webhooks.sender import Outcome

QUEUE = "webhooks"
AT_ONCE = 8
"""Messages under way at once in one process; they wait for the network."""

FIRST_PRIORITY, RETRY_PRIORITY = 1, LOWEST_PRIORITY
"""A receiver that is down must not keep the first attempts for the others waiting."""

DATABASE_PAUSE_S = 2.0

T = TypeVar("T")
log = structlog.get_logger("tamsoat.webhooks")


@durable(QUEUE)
def deliver(argument: str) -> None:
    """Make one attempt; ``argument`` is ``<delivery>:<attempt>``."""
    DBOS.run_step({"name": "send"}, _attempt, argument)


def _attempt(argument: str) -> None:
    runtime = context.current()
    delivery_id, _, wake_text = argument.partition(":")
    wake, started_at = int(wake_text), datetime.now(UTC)
    try:
        message = _patiently(lambda: delivery.prepare(runtime.database, delivery_id, wake))
        if message is None:
            return
        outcome = sender.send(message.url, message.body, message.headers, runtime.settings)
    except Exception:
        # A fault here (keys of the secret lost, a certificate file that went) must not end the delivery in silence.
        log.exception("webhook_attempt_broke", delivery_id=delivery_id)
        outcome = Outcome(started_at, (datetime.now(UTC) - started_at).total_seconds(), error="internal")
    _patiently(lambda: delivery.record(runtime.database, runtime.settings, delivery_id, wake, outcome))


def _patiently(work: Callable[[], T]) -> T:
    """Do ``work``, again and again while the database does not answer, until the process stops."""
    while True:
        try:
            return work()
        except (DatabaseUnavailableError, StorageFullError) as error:
            log.warning("webhook_waits_for_database", problem=error.slug)
            activity.pause(DATABASE_PAUSE_S)


def waiting(session: Session, limit: int) -> Sequence[Job]:
    """The deliveries whose attempt is due."""
    return [
        Job(f"webhook-{delivery_id}-{wake}", f"{delivery_id}:{wake}", FIRST_PRIORITY if wake == 1 else RETRY_PRIORITY)
        for delivery_id, wake in repository.due(session, datetime.now(UTC), limit)
    ]


QUEUES = (JobQueue(QUEUE, waiting, at_once=AT_ONCE),)
