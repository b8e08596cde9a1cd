"""Webhooks over HTTP: manage, test, read the log, send again; deliveries run as durable workflows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook as Verifier
from starlette.testclient import TestClient
from waiting import wait_until
from webhook_receiver import Receiver

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.webhooks import service

HOOKS = "/api/v1/webhooks"


@pytest.fixture
def service_settings(service_settings: Settings) -> Settings:
    return service_settings.model_copy(
        update={
            "run_worker": True,
            "webhook_networks": "127.0.0.0/8",
            "webhook_retry_s": 0.1,
            "webhook_timeout_s": 10.0,
        }
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def make(client: TestClient, url: str, types: tuple[str, ...] = ("analysis.completed",)) -> dict[str, str]:
    response = client.post(HOOKS, json={"url": url, "event_types": list(types)})
    assert response.status_code == 201, response.text
    made: dict[str, str] = response.json()
    assert response.headers["location"] == f"{HOOKS}/{made['webhook_id']}"
    return made


def log_of(client: TestClient, webhook_id: str, **filters: str) -> list[dict[str, object]]:
    response = client.get(f"{HOOKS}/{webhook_id}/deliveries", params=filters)
    assert response.status_code == 200, response.text
    items: list[dict[str, object]] = response.json()["items"]
    return items


def test_an_event_goes_out_is_retried_and_can_be_resent(client: TestClient, receiver: Receiver) -> None:
    made = make(client, receiver.url)
    hook = f"{HOOKS}/{made['webhook_id']}"
    receiver.answers = [(500, {}, b"busy")]
    database = client.app.state.runtime.database  # type: ignore[attr-defined]
    with database.write() as session:
        (delivery_id,) = service.publish(session, "local", "analysis.completed", {"analysis_id": "a1"})
    messages = receiver.wait_for(2)
    for message in messages:
        assert Verifier(made["secret"]).verify(message.body, dict(message.headers))["data"] == {"analysis_id": "a1"}
    wait_until(lambda: log_of(client, made["webhook_id"])[0]["state"] == "delivered")
    (entry,) = log_of(client, made["webhook_id"], state="delivered", event_type="analysis.completed")
    assert [(item["status"], item["error"]) for item in entry["attempts"]] == [(500, "status"), (204, None)]  # type: ignore[attr-defined]
    assert log_of(client, made["webhook_id"], state="failed") == []
    assert log_of(client, made["webhook_id"], event_type="order.updated") == []
    again = client.post(f"/api/v1/deliveries/{delivery_id}/resend")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    receiver.wait_for(3)
    assert len({message.headers["webhook-id"] for message in messages}) == 1
    for language, words in (("vi", "Gửi lại"), ("en", "Send again")):
        page = client.get("/webhooks", params={"language": language})
        assert page.status_code == 200
        assert words in page.text
        assert delivery_id in page.text
    assert delivery_id not in client.get("/webhooks", params={"state": "failed"}).text
    assert client.post(f"{hook}/test").status_code == 202
    assert json.loads(receiver.wait_for(4)[3].body)["type"] == "webhook.test"


def test_webhooks_are_managed(client: TestClient, receiver: Receiver) -> None:
    made = make(client, receiver.url, ("order.updated", "analysis.failed"))
    hook = f"{HOOKS}/{made['webhook_id']}"
    assert "secret" not in client.get(hook).json()
    assert [item["webhook_id"] for item in client.get(HOOKS).json()["items"]] == [made["webhook_id"]]
    rotated = client.post(f"{hook}/secret").json()
    assert rotated["secret"] != made["secret"]
    assert rotated["two_secrets_until"] is not None
    tag = client.get(hook).headers["etag"]
    assert client.get(hook, headers={"If-None-Match": tag}).status_code == 304
    off = client.patch(hook, json={"enabled": False}, headers={"If-Match": tag})
    assert off.json()["paused_reason"] == "switched-off"
    assert client.patch(hook, json={"enabled": True}, headers={"If-Match": tag}).status_code == 412
    assert client.post(f"{hook}/test").status_code == 409
    assert client.delete(hook).status_code == 204
    assert client.get(hook).status_code == 404
    assert client.get(f"{hook}/deliveries").status_code == 404
    actions = [row["action"] for row in _audit(client)]
    assert actions == ["webhook:create", "webhook:update", "webhook:update", "webhook:delete"]


def test_unsafe_addresses_and_too_many_are_refused(client: TestClient) -> None:
    for url in ("http://his.example/", "https://192.168.0.1/", "nonsense"):
        response = client.post(HOOKS, json={"url": url, "event_types": ["analysis.completed"]})
        assert (response.status_code, response.json()["type"]) == (422, "urn:tamsoat:problem:webhook-address-refused")
    for number in range(20):
        make(client, f"https://his.example/{number}")
    refused = client.post(HOOKS, json={"url": "https://his.example/", "event_types": ["analysis.completed"]})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tamsoat:problem:webhook-limit")


def test_a_message_that_was_on_its_way_is_sent_after_a_restart(service_settings: Settings, receiver: Receiver) -> None:
    receiver.answers = [(500, {}, b"")] * 2
    with TestClient(create_app(service_settings), base_url="http://127.0.0.1") as client:
        made = make(client, receiver.url)
        client.post(f"{HOOKS}/{made['webhook_id']}/test")
        receiver.wait_for(1)
    with TestClient(create_app(service_settings), base_url="http://127.0.0.1") as client:
        receiver.wait_for(3)
        wait_until(lambda: log_of(client, made["webhook_id"])[0]["state"] == "delivered")
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1


def _audit(client: TestClient) -> list[dict[str, str]]:
    database = client.app.state.runtime.database  # type: ignore[attr-defined]
    with database.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT action FROM audit_entries WHERE subject LIKE 'webhook:%' ORDER BY sequence"
        )
        return [dict(row._mapping) for row in rows]
