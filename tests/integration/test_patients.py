"""Patients over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from typing import Any

from desk import ORDERS, PATIENTS, Desk, named
from machine_clients import make_client
from sqlalchemy import select, text

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.patients.tables import PatientIdentifier, PatientToken

HOA: dict[str, Any] = {
    "name": "Nguyễn Thị Hoà",
    "birth_date": "1990-05-03",
    "sex": "female",
    "phone": "0903123456",
    "identifiers": [
        {"system": "national_id", "value": "079190001234"},
        {"system": "insurance_number", "value": "GD4790123456789"},
        {"system": "patient-internal-id", "value": "BN-17"},
    ],
}


def test_a_patient_is_entered_found_changed_and_read(desk: Desk) -> None:
    created = desk.patient(HOA)
    patient_id = created["patient_id"]
    assert [item["uri"].rpartition("/")[2] for item in created["identifiers"]] == [
        "insurance_number", "national_id", "patient-internal-id"]  # fmt: skip
    for wanted in (
        {"identifier": "079 190 001 234"},
        {"identifier": "0123456789"},
        {"identifier": "HC4010123456789", "system": "insurance_number"},
        {"identifier": "BN-17"},
        {"name": "hoa NGUYEN"},
        {"name": "Hòa", "birth_date": "1990-05"},
        {"birth_date": "1990"},
    ):
        assert desk.found(**wanted) == [patient_id], wanted
    for wanted in ({"identifier": "079190001235"}, {"name": "hoang"}, {"name": "Hoà", "birth_date": "1991"}):
        assert desk.found(**wanted) == []
    read = desk.client.get(f"{PATIENTS}/{patient_id}")
    assert read.json() == created
    tag = read.headers["etag"]
    assert desk.client.get(f"{PATIENTS}/{patient_id}", headers={"If-None-Match": tag}).status_code == 304
    assert desk.client.patch(f"{PATIENTS}/{patient_id}", json={"phone": None}).status_code == 428
    changed = desk.client.patch(
        f"{PATIENTS}/{patient_id}", json={"phone": None, "name": "Trần Thị Hoà"}, headers={"If-Match": tag}
    )
    assert changed.status_code == 200
    assert (changed.json()["phone"], changed.json()["version"]) == (None, 2)
    stale = desk.client.patch(f"{PATIENTS}/{patient_id}", json={"phone": "1"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert desk.found(name="nguyen") == []
    assert desk.found(name="tran") == [patient_id]


def test_nothing_to_search_for_and_unknown_patients(desk: Desk) -> None:
    assert desk.client.post(f"{PATIENTS}/search", json={}).json()["type"].endswith(":search-empty")
    assert desk.client.post(f"{PATIENTS}/search", json={"identifier": "<>"}).status_code == 422
    assert desk.client.get(f"{PATIENTS}/nobody").json()["type"].endswith(":patient-not-found")


def test_pages_of_a_search(desk: Desk) -> None:
    ids = [desk.patient(named(f"Lê Thị {word}"))["patient_id"] for word in ("An", "Bình", "Cúc")]
    first = desk.client.post(f"{PATIENTS}/search", json={"name": "le thi", "limit": 2}).json()
    rest = desk.client.post(
        f"{PATIENTS}/search", json={"name": "le thi", "limit": 2, "before": first["next_before"]}
    ).json()
    assert [item["patient_id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_before"] is None


def test_an_identifier_belongs_to_one_patient_whose_id_is_named(desk: Desk) -> None:
    patient_id = desk.patient(HOA)["patient_id"]
    again = desk.patient(named("Ai Đó", ("insurance_number", "0123456789")), 409)
    assert again["type"].endswith(":patient-exists")
    assert again["patient_id"] == patient_id
    other = desk.patient(named("Người Khác", ("patient-internal-id", "BN-18")))["patient_id"]
    both = desk.patient(named("X", ("patient-internal-id", "BN-17"), ("patient-internal-id", "BN-18")), 409)
    assert both["type"].endswith(":patient-ambiguous")
    assert set(both["patient_ids"]) == {patient_id, other}


def test_a_number_that_disagrees_is_confirmed_not_refused(desk: Desk) -> None:
    data = named("Trần Văn B", ("national_id", "079190001234"), sex="male", birth_date="1985")
    asked = desk.patient(data, 409)
    assert asked["type"].endswith(":identifier-needs-confirmation")
    assert asked["confirm"] == ["national-id-birth-year-differs", "national-id-sex-differs"]
    partly = desk.patient({**data, "confirm": asked["confirm"][:1]}, 409)
    assert partly["confirm"] == asked["confirm"][1:]
    created = desk.patient({**data, "confirm": asked["confirm"]})
    assert created["identifiers"][0]["confirmed"] == asked["confirm"]
    tag = desk.client.get(f"{PATIENTS}/{created['patient_id']}").headers["etag"]
    changed = desk.client.patch(
        f"{PATIENTS}/{created['patient_id']}", json={"birth_date": "1985-01-01"}, headers={"If-Match": tag}
    )
    assert changed.status_code == 200, "what was confirmed once is not asked again"


def test_without_any_identifier(desk: Desk) -> None:
    first, second = desk.patient({}), desk.patient({"sex": "female"})
    for created in (first, second):
        (number,) = created["identifiers"]
        assert number["system"] == "temporary"
        assert not number["value"].isdigit()
        assert desk.found(identifier=number["value"]) == [created["patient_id"]]
    assert desk.patient(named("X", ("temporary", "TMP-20260101-AAAAAAAA")), 422)


def test_identifiers_come_and_go_with_dates(desk: Desk) -> None:
    patient_id = desk.patient(HOA)["patient_id"]
    path = f"{PATIENTS}/{patient_id}/identifiers"
    second = {"system": "patient-internal-id", "value": "BN-99", "valid_from": "2026-01-01"}
    asked = desk.client.post(path, json=second)
    assert asked.json()["confirm"] == ["identifier-second-active"]
    old = next(
        item for item in desk.client.get(f"{PATIENTS}/{patient_id}").json()["identifiers"] if item["value"] == "BN-17"
    )
    retired = desk.client.post(f"{path}/{old['identifier_id']}/retire", json={"valid_to": "2025-12-31"})
    assert retired.status_code == 200
    assert desk.client.post(f"{path}/{old['identifier_id']}/retire", json={}).status_code == 404
    added = desk.client.post(path, json=second)
    assert added.status_code == 201
    rows = {item["value"]: item for item in added.json()["identifiers"]}
    assert (rows["BN-17"]["active"], rows["BN-17"]["valid_to"]) == (False, "2025-12-31")
    assert (rows["BN-99"]["active"], rows["BN-99"]["valid_from"]) == (True, "2026-01-01")
    assert desk.found(identifier="BN-17") == []
    reused = desk.patient(named("Người Mới", ("patient-internal-id", "BN-17")))
    assert desk.found(identifier="BN-17") == [reused["patient_id"]]
    taken = desk.client.post(
        path, json={"system": "patient-internal-id", "value": "BN-17", "confirm": ["name-differs"]}
    )
    assert taken.json()["patient_id"] == reused["patient_id"]


def test_another_card_with_the_same_digits_replaces_the_old_one(desk: Desk) -> None:
    patient_id = desk.patient(named("A", ("insurance_number", "0123456789")))["patient_id"]
    path = f"{PATIENTS}/{patient_id}/identifiers"
    for value, active in (
        ("GD4790123456789", "GD4790123456789"),
        ("0123456789", "GD4790123456789"),
        ("HC4790123456789", "HC4790123456789"),
    ):
        response = desk.client.post(path, json={"system": "insurance_number", "value": value})
        assert response.status_code == 201
        rows = response.json()["identifiers"]
        assert [item["value"] for item in rows if item["active"]] == [active]
        assert all(item["valid_to"] for item in rows if not item["active"])
    assert desk.found(identifier="0123456789") == [patient_id]


def test_merge_keeps_the_old_numbers_and_can_be_undone(desk: Desk) -> None:
    source = desk.patient(named("Lê Thị Lan", ("patient-internal-id", "OLD-1"), ("citizen_id", "023456789")))
    target = desk.patient(named("Lê Thị Hồng Lan", ("patient-internal-id", "NEW-1")))
    ids = {"source_id": source["patient_id"], "target_id": target["patient_id"]}
    order = desk.client.post("/api/v1/orders", json={"patient_id": ids["source_id"], "number": "P-1"}).json()
    path = f"{PATIENTS}/{ids['source_id']}/merge"
    wanted = {**ids, "reason": "entered-twice"}
    assert desk.client.post(f"{PATIENTS}/{ids['target_id']}/merge", json=wanted).json()["type"].endswith(":ids-differ")
    merged = desk.client.post(path, json=wanted)
    assert merged.status_code == 200, merged.text
    numbers = {item["value"]: item for item in merged.json()["identifiers"]}
    assert set(numbers) == {"OLD-1", "NEW-1", "023456789"}
    assert numbers["OLD-1"]["valid_to"]
    assert numbers["NEW-1"]["valid_to"] is None
    assert numbers["023456789"]["valid_to"] is None
    assert desk.found(identifier="OLD-1") == [ids["target_id"]]
    assert desk.found(name="le thi lan") == [ids["target_id"]]
    before = desk.client.get(f"{PATIENTS}/{ids['source_id']}").json()
    assert (before["merged_into"], before["active"], before["name"]) == (ids["target_id"], False, "Lê Thị Lan")
    assert {item["value"] for item in before["identifiers"]} == {"OLD-1", "023456789"}
    assert desk.client.get(f"/api/v1/orders/{order['order_id']}").json()["patient_id"] == ids["target_id"]
    embedded = {"number": "P-2", "patient": named("Lê Thị Lan", ("patient-internal-id", "OLD-1"))}
    asked = desk.client.post("/api/v1/orders", json=embedded)
    assert asked.json()["confirm"] == ["name-differs"]
    embedded["patient"]["confirm"] = ["name-differs"]
    later = desk.client.post("/api/v1/orders", json=embedded).json()
    assert later["patient_id"] == ids["target_id"]
    assert (
        desk.client.post("/api/v1/orders", json={"patient_id": ids["source_id"]}).json()["patient_id"]
        == ids["target_id"]
    )
    assert desk.client.post(path, json=wanted).json()["type"].endswith(":patient-inactive")
    undone = desk.client.post(f"{PATIENTS}/{ids['source_id']}/unmerge", json={"target_id": ids["target_id"]})
    assert undone.status_code == 200, undone.text
    assert {item["value"] for item in undone.json()["identifiers"]} == {"OLD-1", "023456789"}
    assert all(item["valid_to"] is None for item in undone.json()["identifiers"])
    assert desk.client.get(f"/api/v1/orders/{order['order_id']}").json()["patient_id"] == ids["source_id"]
    assert desk.client.get(f"/api/v1/orders/{later['order_id']}").json()["patient_id"] == ids["target_id"]
    assert desk.found(name="le thi lan") == [ids["target_id"], ids["source_id"]]
    assert (
        desk.client.post(f"{PATIENTS}/{ids['source_id']}/unmerge", json={"target_id": ids["target_id"]}).status_code
        == 409
    )


def test_a_merge_of_two_different_people_is_asked_about(desk: Desk) -> None:
    one = desk.patient(named("A", ("national_id", "079190001234"), sex="female", birth_date="1990"))
    two = desk.patient(named("A", ("national_id", "079091001234"), sex="male", birth_date="1991"))
    wanted = {"source_id": one["patient_id"], "target_id": two["patient_id"], "reason": "entered-twice"}
    asked = desk.client.post(f"{PATIENTS}/{one['patient_id']}/merge", json=wanted)
    assert asked.status_code == 409
    assert asked.json()["confirm"] == ["birth-date-differs", "identifier-second-active", "sex-differs"]


def test_fifty_at_once_enter_one_patient(desk: Desk) -> None:
    answers: list[tuple[int, dict[str, Any]]] = []

    def work(number: int) -> None:
        numbers = HOA["identifiers"][number % 3 :] + HOA["identifiers"][: number % 3]
        response = desk.client.post(PATIENTS, json={**HOA, "identifiers": numbers})
        answers.append((response.status_code, response.json()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [201] + [409] * 49
    assert len({answer["patient_id"] for _, answer in answers}) == 1
    with desk.database.read() as session:
        assert audit.verify(session).whole
    with desk.database.read() as session:
        count = text("SELECT count(*) FROM patients WHERE facility_id = :facility")
        assert session.scalar(count, {"facility": desk.facility_id}) == 1


def test_the_same_number_in_two_facilities_is_two_people(desk: Desk) -> None:
    first = desk.patient(HOA)["patient_id"]
    there = Desk.at(desk.client)
    second = there.patient(HOA)["patient_id"]
    assert first != second
    assert there.found(identifier="BN-17") == there.found(name="nguyen thi hoa") == [second]
    there.get(f"{PATIENTS}/{first}", 404)
    merge = {"source_id": second, "target_id": first, "reason": "entered-twice"}
    there.post(f"{PATIENTS}/{second}/merge", merge, 404)
    there.order({"patient_id": first}, 404)
    with desk.database.read() as session:
        both = (desk.facility_id, there.facility_id)
        rows = select(PatientIdentifier.value_hash).where(PatientIdentifier.facility_id.in_(both))
        hashes = session.scalars(rows).all()
        tokens = session.scalars(select(PatientToken.token).where(PatientToken.patient_id.in_((first, second)))).all()
    assert len(set(hashes)) == 6, "hashes of two facilities cannot be compared"
    assert len(set(tokens)) == 12


def test_roles_and_scopes(desk: Desk) -> None:
    machine = make_client(desk.database, desk.facility_id, ["system/Patient.crs"])
    bearer = {"Authorization": f"Bearer {machine.bearer(desk.client)}"}
    created = desk.client.post(PATIENTS, json=HOA, headers=bearer)
    assert created.status_code == 201
    path = f"{PATIENTS}/{created.json()['patient_id']}"
    assert desk.client.get(path, headers=bearer).status_code == 200
    assert desk.client.patch(path, json={}, headers=bearer).status_code == 403
    assert desk.client.get(ORDERS, headers=bearer).status_code == 403
    for roles, patients, orders, export in (
        ([Role.RESEARCHER], 403, 403, 403),
        ([Role.AUDITOR], 403, 403, 403),
        ([Role.ADMINISTRATOR], 200, 403, 200),
        ([Role.PATHOLOGIST], 200, 200, 403),
    ):
        desk.sit_down(roles)
        desk.get(path, patients)
        desk.get(ORDERS, orders)
        desk.get(f"{path}/export", export)


def test_a_card_fills_the_form(desk: Desk) -> None:
    text = "079190001234|023456789|NGUYỄN THỊ HOÀ|03051990|Nữ|12 Lê Lợi, Quận 1|01062021\r\n"
    card = desk.client.post(f"{PATIENTS}/card", json={"text": text})
    assert card.status_code == 200
    read = card.json()
    form = {name: read[name] for name in ("name", "birth_date", "sex", "address", "identifiers")}
    assert desk.patient(form)["name"] == "Nguyễn Thị Hoà"
    damaged = desk.client.post(f"{PATIENTS}/card", json={"text": text.replace("|", "~")})
    assert damaged.json()["type"].endswith(":card-unreadable")
    assert "layout" in damaged.json()["detail"]


def test_reads_and_searches_are_recorded_without_the_words(desk: Desk) -> None:
    patient_id = desk.patient(HOA)["patient_id"]
    desk.found(name="Nguyễn", identifier="079190001234")
    desk.client.get(f"{PATIENTS}/{patient_id}")
    with desk.database.read() as session:
        rows = session.execute(text("SELECT action, subject, details FROM audit_entries ORDER BY sequence")).all()
    assert [(row.action, row.subject) for row in rows[-3:]] == [
        ("patient:create", f"patient:{patient_id}"),
        ("patient:search", "patient:search"),
        ("patient:read", f"patient:{patient_id}"),
    ]
    assert patient_id in rows[-2].details
    assert "079190001234" not in str(rows)
    assert "Nguy" not in str(rows)
