"""The example HIS client of the documentation, against a real server, over a line that breaks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from access_world import UNLIMITED
from cutting_proxy import CuttingProxy
from machine_clients import make_client
from people import make_facility, open_database
from PIL import Image
from service_process import ServerProcess
from standardwebhooks import WebhookVerificationError
from waiting import wait_until
from webhook_receiver import Receiver

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "his_client.py"
LINES_MOST = 55
ORDER = {
    "number": "PAP-2026-000777",
    "patient": {
        "name": "Nguyễn Thị Hoa",
        "birth_date": "1990-05-03",
        "sex": "female",
        "identifiers": [{"system": "patient-internal-id", "value": "BN-2026-00017"}],
    },
    "requested_test": "liquid-based-cytology",
    "priority": "urgent",
    "specimens": [{"accession": "C26-004711", "preparation": "liquid-based"}],
}


def example() -> Any:
    spec = importlib.util.spec_from_file_location("his_client", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_is_short() -> None:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LINES_MOST


def test_order_upload_webhook_and_result(tiny_bundle: Path, tmp_path: Path) -> None:
    his_client = example()
    noise = np.random.default_rng(1).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    image = tmp_path / "field.jpg"
    Image.fromarray(noise).save(image, quality=90)
    cuts = [40_000, 400_000, 700_000]
    settings: dict[str, Any] = {"webhook_networks": "127.0.0.0/8", "webhook_retry_s": 0.5, "threads": 1, **UNLIMITED}
    with (
        ServerProcess(tiny_bundle, tmp_path / "service.db", **settings) as server,
        Receiver([(500, {}, b"not now")]) as receiver,
        CuttingProxy(urlsplit(server.url).port or 0, cuts) as line,
    ):
        with open_database(f"sqlite:///{tmp_path}/service.db", tmp_path / "keys.json") as database:
            machine = make_client(database, make_facility(database, "79001"))
        with httpx.Client(base_url=server.url, timeout=300) as client:
            client.headers.update(machine.headers(client, "system/Subscription.cs"))
            wanted = {"url": receiver.url, "event_types": ["analysis.completed"]}
            webhook = client.post("/api/v1/webhooks", json=wanted).raise_for_status().json()

            his = his_client.His(line.url, machine.client_id, machine.key)
            order = his.place_order(ORDER)
            analysis_id = his.send_image(image, order["order_id"])
            assert line.done == len(cuts)

            messages = receiver.wait_for(2)
            events = [his_client.verified(item.body, dict(item.headers), webhook["secret"]) for item in messages]
            assert {item.headers["webhook-id"] for item in messages} == {messages[0].headers["webhook-id"]}
            assert events[0] == events[1]
            assert events[0]["type"] == "analysis.completed"
            assert (events[0]["data"]["analysis_id"], events[0]["data"]["order_id"]) == (analysis_id, order["order_id"])
            with pytest.raises(WebhookVerificationError):
                his_client.verified(messages[0].body + b" ", dict(messages[0].headers), webhook["secret"])

            result = his.read_result(analysis_id)
            assert result["state"] == "completed"
            assert result["field"]["category"] == events[0]["data"]["category"]
            another = {**ORDER, "number": "PAP-2026-000778", "specimens": []}
            assert his.place_order(another)["patient_id"] == order["patient_id"]

            log = f"/api/v1/webhooks/{webhook['webhook_id']}/deliveries"
            wait_until(lambda: client.get(log).json()["items"][0]["state"] == "delivered")
            (delivery,) = client.get(log).json()["items"]
            assert [item["status"] for item in delivery["attempts"]] == [500, 204]
        written = json.dumps(delivery) + server.output + receiver.messages[0].body.decode()
        assert not any(secret in written for secret in ("Nguyễn", "BN-2026-00017", webhook["secret"]))
