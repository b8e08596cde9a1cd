"""Deliveries: signatures, retries, giving up, pausing, resending; on SQLite and PostgreSQL, to a real receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier
from webhook_receiver import Receiver

from tamsoat.inference_service.accounts.access import Principal, Role
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import generate
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks import delivery, management, repository, sender, service
from tamsoat.inference_service.webhooks.destination import WebhookAddressError
from tamsoat.inference_service.webhooks.events import EventType
from tamsoat.inference_service.webhooks.schemas import DeliveryAnswer, NewWebhook, WebhookChange
from tamsoat.inference_service.webhooks.tables import WebhookDelivery

WHO = Principal("account:1", "account", "local", frozenset({Role.ADMINISTRATOR}))
STRANGER = Principal("account:2", "account", "elsewhere", frozenset({Role.ADMINISTRATOR}))
DONE = EventType.ANALYSIS_COMPLETED
DATA = {"analysis_id": "0b7e9f8e", "category": "HSIL", "order_id": None}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    encryption.install(generate())
    database = Database(database_url)
    migrations.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def settings() -> Settings:
    return Settings(webhook_networks="127.0.0.0/8", webhook_retry_s=0.05, webhook_timeout_s=10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def make(database: Database, settings: Settings, url: str) -> tuple[str, str]:
    """A webhook for every event: its identifier and secret."""
    with database.write() as session:
        wanted = NewWebhook(url=url, event_types=list(EventType))
        webhook = management.create(session, WHO, wanted, settings)
        return webhook.id, webhook.secret


def tell(database: Database, data: dict[str, str | None] = DATA) -> str:
    with database.write() as session:
        (identifier,) = service.publish(session, "local", DONE, data)
        return identifier


def run_due(database: Database, settings: Settings, *, at: datetime | None = None) -> int:
    """Make every attempt that is due; how many there were."""
    with database.read() as session:
        due = repository.due(session, at or datetime.now(UTC), 100)
    for delivery_id, wake in due:
        message = delivery.prepare(database, delivery_id, wake)
        if message is not None:
            outcome = sender.send(message.url, message.body, message.headers, settings)
            delivery.record(database, settings, delivery_id, wake, outcome)
            delivery.record(database, settings, delivery_id, wake, outcome)  # a repeated step changes nothing
    return len(due)


def look(database: Database, delivery_id: str) -> DeliveryAnswer:
    with database.read() as session:
        row = management.find_delivery(session, WHO, delivery_id)
        return management.answer(row, repository.attempts_of(session, [delivery_id])[delivery_id])


def entries(database: Database) -> list[AuditEntry]:
    with database.read() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.sequence)))


LATER = timedelta(days=400)


def test_a_message_is_signed_and_arrives_once(database: Database, settings: Settings, receiver: Receiver) -> None:
    _, secret = make(database, settings, receiver.url)
    before = datetime.now(UTC)
    identifier = tell(database)
    assert run_due(database, settings) == 1
    assert run_due(database, settings, at=datetime.now(UTC) + LATER) == 0
    (message,) = receiver.messages
    verified = Verifier(secret).verify(message.body, dict(message.headers))
    assert verified["type"] == "analysis.completed"
    assert verified["data"] == DATA
    assert datetime.fromisoformat(verified["timestamp"]) >= before - timedelta(seconds=1)
    assert message.headers["content-type"] == "application/json"
    state = look(database, identifier)
    assert (state.state, state.next_attempt_at, len(state.attempts)) == ("delivered", None, 1)
    assert state.event_id == message.headers["webhook-id"]
    assert [row.action for row in entries(database)][-1] == "webhook:deliver"


def test_failures_are_tried_again_with_the_same_identifier_and_body(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    _, secret = make(database, settings, receiver.url)
    receiver.answers = [
        (500, {}, b"x" * 5000 + "bệnh".encode()),
        (302, {"location": "http://127.0.0.1:1/"}, b""),
        (503, {"retry-after": "3600"}, b"later"),
    ]
    identifier = tell(database)
    for _ in range(4):
        assert run_due(database, settings, at=datetime.now(UTC) + LATER) == 1
    state = look(database, identifier)
    assert state.state == "delivered"
    assert [(item.status, item.error) for item in state.attempts] == [
        (500, "status"), (302, "redirect"), (503, "status"), (204, None)
    ]  # fmt: skip
    assert state.attempts[0].excerpt == "x" * 500
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
    assert len({message.body for message in receiver.messages}) == 1
    for message in receiver.messages:
        Verifier(secret).verify(message.body, dict(message.headers))


def test_retry_after_is_honoured(database: Database, settings: Settings, receiver: Receiver) -> None:
    make(database, settings, receiver.url)
    receiver.answers = [(429, {"retry-after": "3600"}, b"")]
    identifier = tell(database)
    run_due(database, settings)
    due = look(database, identifier).next_attempt_at
    assert due is not None
    assert timedelta(minutes=59) < due - datetime.now(UTC) <= timedelta(minutes=60)


def test_what_nobody_takes_for_days_fails_visibly_and_can_be_resent(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    webhook_id, _ = make(database, settings, receiver.url)
    receiver.answers = [(500, {}, b"")] * 2
    identifier = tell(database)
    run_due(database, settings)
    with database.write() as session:
        row = session.get_one(WebhookDelivery, repository.get_delivery(session, "local", identifier).delivery.number)
        row.began_at -= timedelta(days=settings.webhook_retry_days)
    run_due(database, settings, at=datetime.now(UTC) + LATER)
    state = look(database, identifier)
    assert (state.state, state.next_attempt_at, len(state.attempts)) == ("failed", None, 2)
    assert state.finished_at is not None
    assert [row.action for row in entries(database)][-1] == "webhook:deliver"
    assert '"state":"failed"' in str(entries(database)[-1].details)
    with database.read() as session:
        page = management.deliveries(session, WHO, webhook_id, state="failed", kind=None, before=None, limit=10)
    assert [item.delivery_id for item in page.items] == [identifier]
    with database.write() as session:
        management.resend(session, WHO, identifier)
    assert look(database, identifier).state == "pending"
    assert run_due(database, settings) == 1
    assert look(database, identifier).state == "delivered"
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1


def test_gone_switches_the_webhook_off_until_it_is_switched_on(
    database: Database, settings: Settings, receiver: Receiver
) -> None:
    webhook_id, _ = make(database, settings, receiver.url)
    receiver.answers = [(410, {}, b"")]
    told = [tell(database, {"analysis_id": str(number)}) for number in range(3)]
    with database.read() as session:
        assert [identifier for identifier, _ in repository.due(session, datetime.now(UTC), 10)] == told
    run_due(database, settings)
    told.append(tell(database))
    assert [look(database, identifier).state for identifier in told] == ["paused"] * 4
    assert len(receiver.messages) == 1
    with database.read() as session:
        webhook = management.find(session, WHO, webhook_id)
        assert (webhook.enabled, webhook.paused_reason) == (False, "gone")
    with pytest.raises(management.WebhookOffError), database.write() as session:
        management.resend(session, WHO, told[0])
    with database.write() as session:
        webhook = management.find(session, WHO, webhook_id, lock=True)
        management.change(session, WHO, webhook, WebhookChange(enabled=True), settings)
    assert run_due(database, settings) == 4
    assert [look(database, identifier).state for identifier in told] == ["delivered"] * 4


def test_after_a_rotation_both_secrets_verify(database: Database, settings: Settings, receiver: Receiver) -> None:
    webhook_id, old = make(database, settings, receiver.url)
    with database.write() as session:
        webhook = management.find(session, WHO, webhook_id, lock=True)
        management.rotate_secret(session, WHO, webhook)
        new = webhook.secret
    tell(database)
    run_due(database, settings)
    for secret in (old, new):
        Verifier(secret).verify(receiver.messages[0].body, dict(receiver.messages[0].headers))
    with database.write() as session:
        webhook = management.find(session, WHO, webhook_id, lock=True)
        webhook.previous_secret_until = datetime.now(UTC) - timedelta(seconds=1)
    tell(database)
    run_due(database, settings)
    assert len(receiver.messages[1].headers["webhook-signature"].split()) == 1
    with database.read() as session:
        stored = session.connection().exec_driver_sql("SELECT secret, previous_secret FROM webhooks").one()
    assert not any("whsec_" in value for value in stored)


def test_an_address_that_became_private_is_refused_when_sending(database: Database, settings: Settings) -> None:
    strict = settings.model_copy(update={"webhook_networks": ""})
    with Receiver() as receiver:
        make(database, settings, receiver.url)
        identifier = tell(database)
        run_due(database, strict)
        assert receiver.messages == []
    state = look(database, identifier)
    assert [(item.status, item.error) for item in state.attempts] == [(None, "address-refused")]
    run_due(database, settings, at=datetime.now(UTC) + LATER)
    assert look(database, identifier).attempts[-1].error == "not-reachable"


def test_other_facilities_see_and_hear_nothing(database: Database, settings: Settings, receiver: Receiver) -> None:
    webhook_id, _ = make(database, settings, receiver.url)
    identifier = tell(database)
    with database.write() as session:
        assert service.publish(session, "elsewhere", DONE, DATA) == []
        with pytest.raises(management.WebhookNotFoundError):
            management.find(session, STRANGER, webhook_id)
        with pytest.raises(management.DeliveryNotFoundError):
            management.find_delivery(session, STRANGER, identifier)


def test_deleting_ends_what_was_under_way(database: Database, settings: Settings, receiver: Receiver) -> None:
    webhook_id, _ = make(database, settings, receiver.url)
    tell(database)
    with database.write() as session:
        management.delete(session, WHO, management.find(session, WHO, webhook_id, lock=True))
    assert run_due(database, settings, at=datetime.now(UTC) + LATER) == 0
    with database.write() as session:
        assert service.publish(session, "local", DONE, DATA) == []
        assert repository.webhooks_of(session, "local") == []


def test_personal_data_cannot_be_published(database: Database) -> None:
    for data in ({"note": "x" * 201}, {"patient": {"name": "x"}}):
        with database.write() as session, pytest.raises(ValueError, match="neither an identifier nor a code"):
            service.publish(session, "local", DONE, data)  # type: ignore[arg-type]


def test_payloads_are_canonical(database: Database, settings: Settings, receiver: Receiver) -> None:
    make(database, settings, receiver.url)
    tell(database)
    run_due(database, settings)
    content = json.loads(receiver.messages[0].body)
    assert list(content) == ["data", "timestamp", "type"]


def test_an_unsafe_address_cannot_be_registered(database: Database) -> None:
    with pytest.raises(WebhookAddressError), database.write() as session:
        management.create(session, WHO, NewWebhook(url="https://10.0.0.1/", event_types=[DONE]), Settings())
