"""Orders and specimens over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

from desk import ORDERS, PATIENTS, Desk, named
from machine_clients import make_client
from sqlalchemy import select, text

from tamsoat.inference_service.orders import service
from tamsoat.inference_service.orders.schemas import ORDER_EXAMPLE, OrderIn
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.webhooks.tables import WebhookEvent

LAN = named("Lê Thị Lan", ("patient-internal-id", "BN-1"), ("national_id", "079190001234"), birth_date="1990-05-03")


def test_the_example_is_valid_and_is_stored_as_it_is(desk: Desk) -> None:
    OrderIn.model_validate(ORDER_EXAMPLE)
    placed = desk.order(ORDER_EXAMPLE)
    assert placed["status"] == "requested"
    assert placed["age_years"] == 35, "at collection, not today"
    assert {name: placed["context"][name] for name in ORDER_EXAMPLE["context"]} == ORDER_EXAMPLE["context"]
    specimen = {name: placed["specimens"][0][name] for name in ORDER_EXAMPLE["specimens"][0]}
    assert specimen == ORDER_EXAMPLE["specimens"][0]
    response = desk.client.get(f"{ORDERS}/{placed['order_id']}")
    assert response.json() == placed
    assert (
        desk.client.get(
            f"{ORDERS}/{placed['order_id']}", headers={"If-None-Match": response.headers["etag"]}
        ).status_code
        == 304
    )
    assert desk.get(f"{PATIENTS}/{placed['patient_id']}")["name"] == "Nguyễn Thị Hoa"


def test_free_text_and_dates_are_encrypted(desk: Desk) -> None:
    context = {"history_text": "chị Marker từng mổ", "last_period": "2026-01-09", "hpv_date": "2025-02-03"}
    order_id = desk.order({"patient": LAN, "requester": "BS. Marker", "context": context})["order_id"]
    with desk.database.read() as session:
        row = session.execute(text("SELECT * FROM orders WHERE id = :id"), {"id": order_id}).mappings().one()
    assert all(row[name].startswith("k1:") for name in ("history_text", "last_period", "hpv_date", "requester"))
    assert "Marker" not in str(dict(row))


def test_wrong_orders_are_refused(desk: Desk) -> None:
    patient_id = desk.patient(LAN)["patient_id"]
    tomorrow = (date.today() + timedelta(days=2)).isoformat()
    for wrong in (
        {},
        {"patient_id": patient_id, "patient": LAN},
        {"patient_id": patient_id, "number": "Nguyễn Thị"},
        {"patient_id": patient_id, "number": "a b"},
        {"patient_id": patient_id, "priority": "soon"},
        {"patient_id": patient_id, "context": {"last_period": tomorrow}},
        {"patient_id": patient_id, "specimens": [{"preparation": "smeared"}]},
        {"patient_id": patient_id, "unknown": 1},
    ):
        desk.order(wrong, 422)
    desk.order({"patient_id": "nobody"}, 404)


def test_numbers_are_unique_and_the_answer_names_the_order(desk: Desk) -> None:
    specimen = {"accession": "C-1", "preparation": "conventional"}
    first = desk.order({"patient": LAN, "number": "P-1", "specimens": [specimen]})
    again = desk.order({"patient": LAN, "number": "P-1"}, 409)
    assert (again["type"].rpartition(":")[2], again["order_id"]) == ("order-exists", first["order_id"])
    for specimens in ([specimen], [{**specimen, "accession": "C-2"}] * 2):
        taken = desk.order({"patient": LAN, "number": "P-2", "specimens": specimens}, 409)
        assert taken["type"].endswith(":accession-taken")
    given = desk.order({"patient": LAN, "specimens": [{"preparation": "conventional"}]})
    assert given["number"].startswith("TS")
    assert given["specimens"][0]["accession"].startswith("S")


def test_change_and_cancel(desk: Desk) -> None:
    order_id = desk.order({"patient": LAN, "requester": "Khoa Sản", "context": {"pregnant": True}})["order_id"]
    path = f"{ORDERS}/{order_id}"
    tag = desk.client.get(path).headers["etag"]
    assert desk.client.patch(path, json={"priority": "stat"}).status_code == 428
    changed = desk.client.patch(
        path, json={"priority": "stat", "status": "accepted", "requester": None}, headers={"If-Match": tag}
    )
    assert changed.status_code == 200, changed.text
    body = changed.json()
    assert (body["priority"], body["status"], body["requester"]) == ("stat", "accepted", None)
    assert body["context"]["pregnant"] is True, "absent members stay"
    assert desk.client.patch(path, json={"priority": "routine"}, headers={"If-Match": tag}).status_code == 412
    assert (
        desk.client.post(f"{path}/cancel", json={"reason": "requester"}, headers={"If-Match": tag}).status_code == 412
    )
    cancelled = desk.post(f"{path}/cancel", {"reason": "duplicate"})
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "duplicate")
    assert desk.post(f"{path}/cancel", {"reason": "duplicate"}, 409)["type"].endswith(":order-closed")
    refused = desk.client.patch(path, json={}, headers={"If-Match": "*"})
    assert refused.status_code == 409


def test_specimens(desk: Desk) -> None:
    order = desk.order({"patient": LAN})
    assert order["age_years"] == 36
    path = f"{ORDERS}/{order['order_id']}/specimens"
    added = desk.post(path, {"preparation": "liquid-based", "collected_on": "2020-05-02"}, 201)
    assert added["age_years"] == 29
    specimen = f"{path}/{added['specimens'][0]['specimen_id']}"
    assert desk.client.patch(specimen, json={"state": "rejected"}).status_code == 422
    rejected = desk.client.patch(specimen, json={"state": "rejected", "rejected_reason": "leaked"}).json()["specimens"][
        0
    ]
    assert (rejected["state"], rejected["rejected_reason"]) == ("rejected", "leaked")
    received = desk.client.patch(specimen, json={"state": "received", "collected_on": "2020-05-03"}).json()
    assert (received["specimens"][0]["rejected_reason"], received["age_years"]) == (None, 30)
    assert desk.client.patch(f"{path}/none", json={"source_site": "vagina"}).status_code == 404


def test_list_with_filters_and_pages(desk: Desk) -> None:
    ids = [
        desk.order({"patient": LAN, "number": f"P-{n}", "priority": ("routine", "stat")[n % 2]})["order_id"]
        for n in range(5)
    ]
    desk.post(f"{ORDERS}/{ids[1]}/cancel", {"reason": "duplicate"})
    other = desk.order({"patient": {"name": "Người Khác"}})

    def listed(query: str) -> list[str]:
        return [item["order_id"] for item in desk.get(f"{ORDERS}?{query}")["items"]]

    assert listed("") == [other["order_id"], *ids[::-1]]
    assert listed("priority=stat") == [ids[3], ids[1]]
    assert listed("priority=stat&status=requested") == [ids[3]]
    assert listed(f"patient_id={other['patient_id']}") == [other["order_id"]]
    assert listed("number=P-2") == [ids[2]]
    now = datetime.now(UTC)
    for name, moment, count in (
        ("created_from", now - timedelta(hours=1), 6),
        ("created_from", now + timedelta(hours=1), 0),
        ("created_before", now - timedelta(hours=1), 0),
        ("created_before", now + timedelta(hours=1), 6),
    ):
        assert len(listed(f"{name}={moment:%Y-%m-%dT%H:%M:%SZ}")) == count
    desk.get(f"{ORDERS}?created_from=2026-01-01T00:00:00", 422)
    pages, before = [], ""
    while before is not None:
        page = desk.get(f"{ORDERS}?limit=4{before}")
        pages.append([item["order_id"] for item in page["items"]])
        before = f"&before={page['next_before']}" if page["next_before"] else None
    assert pages == [[other["order_id"], *ids[:1:-1]], [ids[1], ids[0]]]
    Desk.at(desk.client).get(f"{ORDERS}/{ids[0]}", 404)


def test_a_found_patient_is_compared_and_completed(desk: Desk) -> None:
    patient_id = desk.patient(named("Lê Thị Lan", ("patient-internal-id", "BN-1")))["patient_id"]
    assert desk.order({"patient": LAN})["patient_id"] == patient_id
    numbers = {item["value"] for item in desk.get(f"{PATIENTS}/{patient_id}")["identifiers"]}
    assert numbers == {"BN-1", "079190001234"}
    stranger = named("Trần Thị Mai", ("patient-internal-id", "BN-1"), sex="male")
    assert desk.order({"patient": stranger}, 409)["confirm"] == ["name-differs"]
    second = named("Lan Lê Thị", ("patient-internal-id", "BN-1"), ("national_id", "079190009999"))
    assert desk.order({"patient": second}, 409)["confirm"] == ["identifier-second-active"]


def test_concurrent_orders_enter_their_patient_once(desk: Desk) -> None:
    def place(number: int) -> tuple[int, dict[str, Any]]:
        patient = {**LAN, "identifiers": LAN["identifiers"][number % 2 :]}
        response = desk.client.post(ORDERS, json={"patient": patient, "number": f"P-{number}"})
        return response.status_code, response.json()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(place, range(24)))
    assert {status for status, _ in answers} == {201}, answers
    assert len({answer["patient_id"] for _, answer in answers}) == 1


def test_identical_submits_of_a_machine_are_one_order(desk: Desk) -> None:
    machine = make_client(desk.database, desk.facility_id, ["system/ServiceRequest.cr"])
    headers = {"Authorization": f"Bearer {machine.bearer(desk.client)}"}
    sent = {"patient": LAN, "number": "P-9"}
    missing = desk.client.post(ORDERS, json=sent, headers=headers)
    assert (missing.status_code, missing.json()["type"].rpartition(":")[2]) == (400, "idempotency-key")
    headers["Idempotency-Key"] = "a7c1e3f0-0000-4000-8000-000000000001"

    def submit(_: int) -> tuple[int, str, str]:
        response = desk.client.post(ORDERS, json=sent, headers=headers)
        return response.status_code, response.text, response.headers["etag"]

    with ThreadPoolExecutor(25) as pool:
        answers = set(pool.map(submit, range(50)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    other = desk.client.post(ORDERS, json={**sent, "number": "P-10"}, headers=headers)
    assert other.json()["type"].endswith(":idempotency-key-reused")


def test_merge_and_orders_at_the_same_time_lose_nothing(desk: Desk) -> None:
    """However the two interleave, every order ends with the patient who goes on."""
    for round_number in range(4):
        source = desk.patient(named("Lê Thị Lan", ("patient-internal-id", f"A-{round_number}")))["patient_id"]
        target = desk.patient(named("Lê Thị Lan", ("patient-internal-id", f"B-{round_number}")))["patient_id"]
        placed: list[dict[str, Any]] = []
        barrier = threading.Barrier(5)

        def place(
            number: str,
            source: str = source,
            placed: list[dict[str, Any]] = placed,
            barrier: threading.Barrier = barrier,
        ) -> None:
            barrier.wait()
            placed.append(
                desk.order({"number": number, "patient": named("Lê Thị Lan", ("patient-internal-id", source))})
            )

        def merge(source: str = source, target: str = target, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            wanted = {"source_id": source, "target_id": target, "reason": "entered-twice"}
            desk.post(f"{PATIENTS}/{source}/merge", wanted)

        threads = [
            threading.Thread(target=place, args=(f"M-{round_number}-{n}", f"A-{round_number}")) for n in range(4)
        ]
        threads.append(threading.Thread(target=merge))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(placed) == 4
        owners = {desk.get(f"{ORDERS}/{order['order_id']}")["patient_id"] for order in placed}
        assert owners == {target}
        with desk.database.read() as session:
            patients = session.scalars(select(Patient.id).where(Patient.facility_id == desk.facility_id)).all()
        assert len(patients) == 2 * (round_number + 1)


def test_screening_moves_an_order_on_and_webhooks_hear_of_it(desk: Desk) -> None:
    desk.post("/api/v1/webhooks", {"url": "https://93.184.216.34/hook", "event_types": ["order.updated"]}, 201)
    order_id = desk.order({"patient": LAN})["order_id"]
    for mark, status in (
        (service.mark_in_progress, "in-progress"),
        (service.mark_in_progress, "in-progress"),
        (service.mark_resulted, "resulted"),
        (service.mark_in_progress, "resulted"),
    ):
        with desk.database.write() as session:
            mark(session, order_id)
        assert desk.get(f"{ORDERS}/{order_id}")["status"] == status
    assert desk.get(f"{ORDERS}/{order_id}")["resulted_at"]
    with desk.database.read() as session:
        events = session.scalars(select(WebhookEvent).where(WebhookEvent.facility_id == desk.facility_id)).all()
    told = [event.data for event in sorted(events, key=lambda event: event.created_at)]
    assert [data["status"] for data in told] == ["requested", "in-progress", "resulted"]
    assert all(set(data) == {"order_id", "status", "priority"} for data in told)


def test_text_that_no_database_stores_is_refused(desk: Desk) -> None:
    for path in (PATIENTS, ORDERS, "/api/v1/analyses", "/api/v1/slides", "/api/v1/webhooks"):
        assert desk.client.get(f"{path}/%00").status_code in (404, 422), path
    assert desk.client.get(f"{ORDERS}?number=%00&patient_id=a%00").status_code == 422
    for wrong in ({"patient_id": "\0"}, {"patient": {"name": "a\0"}}, {"patient": {"name": " "}}):
        desk.order(wrong, 422)
    surrogate = b'{"patient": {"name": "\\ud800"}}'
    headers = {"Content-Type": "application/json"}
    assert desk.client.post(ORDERS, content=surrogate, headers=headers).status_code == 422
