"""What is deleted when it has been kept for long enough, and what stays.

Every rule knows how to count and how to delete; deleting is done in small transactions and may be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Delete, Select, delete, exists, func, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.client_tables import UsedAssertion
from tamsoat.inference_service.accounts.tables import AccountSession, SignInSource
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.orders.vocabulary import OPEN
from tamsoat.inference_service.patients import erasure
from tamsoat.inference_service.patients.errors import ErasureRefusedError
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.patients.vocabulary import EraseReason
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport.idempotency_tables import IdempotentRequest
from tamsoat.inference_service.webhooks.tables import WebhookAttempt, WebhookDelivery, WebhookEvent

ACTOR = "system"
SUBJECT = "retention:run"
BATCH = 500


@dataclass(frozen=True)
class Rule:
    """One kind of data and its end. ``what`` says so to a person; ``apply`` yields how many went each time."""

    name: str
    what: str
    count: Callable[[Session], int]
    apply: Callable[[Database], Iterator[int]]


def rules(settings: Settings, now: datetime | None = None) -> list[Rule]:
    """The rules with the settings' times, in the order in which they are applied."""
    moment = now or datetime.now(UTC)
    logs_from = months_earlier(moment, settings.retention_logs_months)
    months, years = settings.retention_logs_months, settings.retention_records_years
    return [
        _plain("sessions", "sign-in sessions that have ended", AccountSession, AccountSession.expires_at < moment),
        _plain("sign-in-sources", f"failed sign-ins, after {months} months", SignInSource,
               SignInSource.last_failure_at < logs_from),
        _plain("assertions", "assertions of clients that have expired", UsedAssertion,
               UsedAssertion.expires_at < moment),
        _plain("idempotency-keys", "stored answers of repeated requests that have expired", IdempotentRequest,
               IdempotentRequest.expires_at < moment),
        _webhooks(logs_from, months),
        _patients(moment, years),
    ]  # fmt: skip


def run(database: Database, wanted: list[Rule], progress: Callable[[str, int], None]) -> dict[str, int]:
    """Apply the rules and record how many rows each of them ended; ``progress`` hears of every transaction."""
    done: dict[str, int] = {}
    for rule in wanted:
        done[rule.name] = 0
        for count in rule.apply(database):
            done[rule.name] += count
            progress(rule.name, count)
    if any(done.values()):
        details: dict[str, str | int | bool] = {name: count for name, count in done.items() if count}
        with database.write() as session:
            audit.append(session, Event(ACTOR, Action.RETENTION_DELETE, SUBJECT, details=details))
    return done


def months_earlier(moment: datetime, months: int) -> datetime:
    """The same day some months before; a day that the month lacks becomes its 28th."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    try:
        return moment.replace(year=year, month=month + 1)
    except ValueError:
        return moment.replace(year=year, month=month + 1, day=28)


def _plain(name: str, what: str, table: type, ended: ColumnElement[bool]) -> Rule:
    """Rows that nothing refers to, and that are simply deleted."""
    statement = delete(table).where(ended)
    query = select(func.count()).select_from(table).where(ended)
    return Rule(name, what, lambda session: _count(session, query), lambda database: _delete(database, [statement]))


def _webhooks(before: datetime, months: int) -> Rule:
    """Deliveries with their attempts, and events without a delivery."""
    old = select(WebhookDelivery.id).where(
        WebhookDelivery.created_at < before, WebhookDelivery.finished_at.is_not(None)
    )
    held = exists().where(WebhookDelivery.event_id == WebhookEvent.id)
    statements = [
        delete(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(old)),
        delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)),
        delete(WebhookEvent).where(WebhookEvent.created_at < before, ~held),
    ]
    query = select(func.count()).select_from(old.subquery())
    return Rule(
        "webhook-deliveries",
        f"finished webhook deliveries with their attempts, after {months} months",
        lambda session: _count(session, query),
        lambda database: _delete(database, statements),
    )


def _patients(now: datetime, years: int) -> Rule:
    """Patients whose time is over: erased as by ``tamsoat patient erase``; the results stay, pseudonymous."""
    before = months_earlier(now, 12 * years)
    busy = exists().where(
        Order.patient_id == Patient.id,
        (Order.updated_at >= before) | Order.status.in_([state.value for state in OPEN]),
    )
    due = select(Patient.facility_id, Patient.id).where(
        Patient.active, Patient.updated_at < before, Patient.legal_hold.is_(None), ~busy
    )
    query = select(func.count()).select_from(due.subquery())

    def erase(database: Database) -> Iterator[int]:
        last = ""
        while True:
            with database.read() as session:
                page = session.execute(due.where(Patient.id > last).order_by(Patient.id).limit(BATCH)).all()
            if not page:
                return
            for facility_id, patient_id in page:
                yield _erase(database, facility_id, patient_id, years)
            last = page[-1].id

    what = f"names, contacts and identifiers of patients without any change for {years} years"
    return Rule("patients", what, lambda session: _count(session, query), erase)


def _erase(database: Database, facility_id: str, patient_id: str, years: int) -> int:
    reason = EraseReason.RETENTION_ENDED
    try:
        with database.write() as session:
            erasure.erase(session, ACTOR, facility_id, patient_id, reason, records_years=years)
    except ErasureRefusedError:
        return 0  # changed meanwhile, or a row merged into her is under legal hold
    return 1


def _count(session: Session, query: Select[int]) -> int:
    return session.execute(query).scalar_one()


def _delete(database: Database, statements: list[Delete]) -> Iterator[int]:
    with database.write() as session:
        counts = [int(session.execute(statement).rowcount) for statement in statements]  # type: ignore[attr-defined]
    yield counts[-1] if len(counts) == 1 else counts[1]
