"""Export, erasure and retention: what goes, what stays, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_runner import run_cli
from desk import ORDERS, PATIENTS, Desk, named
from sqlalchemy import select, text, update

from tamsoat.inference_service.operations import retention
from tamsoat.inference_service.orders import service as orders
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.patients.tables import Patient, PatientIdentifier, PatientToken

Capture = pytest.CaptureFixture[str]
HOA = named("Nguyễn Thị Hoà", ("national_id", "079190001234"), phone="0903123456", birth_date="1990-05-03")
CONTEXT = {"history": ["biopsy"], "history_text": "cô Hoà, vợ anh Nam", "last_period": "2026-01-02"}


@pytest.fixture
def command_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The commands work on the service's database."""
    settings = desk.client.app.state.runtime.settings  # type: ignore[attr-defined]
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TAMSOAT_DATA_DIR", str(settings.data_dir))
    return desk


def _resulted(desk: Desk) -> dict[str, Any]:
    order = desk.order({"patient": HOA, "context": CONTEXT})
    with desk.database.write() as session:
        orders.mark_resulted(session, order["order_id"])
    return order


def test_export_holds_everything_and_is_recorded(command_line: Desk, tmp_path: Path, capsys: Capture) -> None:
    desk = command_line
    order = _resulted(desk)
    duplicate = desk.patient(named("Nguyễn Hoà", ("patient-internal-id", "BN-2")))["patient_id"]
    merge = {"source_id": duplicate, "target_id": order["patient_id"], "reason": "entered-twice"}
    desk.post(f"{PATIENTS}/{duplicate}/merge", merge)
    desk.get(f"{ORDERS}/{order['order_id']}")
    by_http = desk.get(f"{PATIENTS}/{order['patient_id']}/export")
    assert by_http["patient"]["name"] == "Nguyễn Thị Hoà"
    assert {item["value"] for item in by_http["patient"]["identifiers"]} == {"079190001234", "BN-2"}
    assert [row["name"] for row in by_http["merged"]] == ["Nguyễn Hoà"]
    assert by_http["orders"][0]["context"]["history_text"] == CONTEXT["history_text"]
    assert {row["action"] for row in by_http["audit"]} >= {
        "patient:create",
        "patient:merge",
        "order:create",
        "order:read",
    }
    out = tmp_path / "hoa.zip"
    done = run_cli(capsys, "patient", "export", order["patient_id"], "--out", str(out))
    assert done.exit_code == 0, done.stderr
    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        document = json.loads(archive.read("patient.json"))
    assert document["patient"] == by_http["patient"]
    assert out.stat().st_mode & 0o077 == 0
    again = run_cli(capsys, "patient", "export", order["patient_id"], "--out", str(out))
    assert again.exit_code == 5
    with desk.database.read() as session:
        actions = session.scalars(
            text("SELECT actor FROM audit_entries WHERE action = 'patient:export' AND subject = :subject"),
            {"subject": f"patient:{order['patient_id']}"},
        ).all()
    assert len(actions) == 2


def test_erasure_takes_the_person_and_leaves_the_result(command_line: Desk, capsys: Capture) -> None:
    desk = command_line
    order = _resulted(desk)
    patient_id = order["patient_id"]
    unconfirmed = run_cli(capsys, "patient", "erase", patient_id, "--reason", "patient-request")
    assert unconfirmed.exit_code == 2
    done = run_cli(capsys, "patient", "erase", patient_id, "--reason", "patient-request", "--confirm", patient_id)
    assert done.exit_code == 0, done.stderr
    erased = desk.get(f"{PATIENTS}/{patient_id}")
    assert (erased["name"], erased["birth_date"], erased["phone"], erased["identifiers"]) == (None, None, None, [])
    assert erased["erased_at"]
    assert not erased["active"]
    assert desk.found(identifier="079190001234") == desk.found(name="Hoà") == []
    kept = desk.get(f"{ORDERS}/{order['order_id']}")
    assert (kept["status"], kept["age_years"], kept["context"]["history"]) == ("resulted", 36, ["biopsy"])
    assert kept["context"]["history_text"] is None
    with desk.database.read() as session:
        for table in (PatientIdentifier, PatientToken):
            assert session.scalars(select(table).where(table.patient_id == patient_id)).all() == []
    again = desk.post(f"{PATIENTS}/{patient_id}/erase", {"patient_id": patient_id, "reason": "court-order"}, 409)
    assert "already" in again["detail"]
    desk.order({"patient_id": patient_id}, 409)
    assert desk.patient(HOA)["patient_id"] != patient_id, "the numbers are free again"


def test_erasure_is_refused_with_the_reason(desk: Desk) -> None:
    order = desk.order({"patient": HOA})
    patient_id = order["patient_id"]
    path = f"{PATIENTS}/{patient_id}/erase"

    def refused(reason: str) -> str:
        answer = desk.post(path, {"patient_id": patient_id, "reason": reason}, 409)
        assert answer["type"].endswith(":erasure-refused")
        detail: str = answer["detail"]
        return detail

    assert f"order {order['number']} has no result" in refused("patient-request")
    with desk.database.write() as session:
        orders.mark_resulted(session, order["order_id"])
    assert "retention time of 10 years" in refused("retention-ended")
    assert "entered in error" in refused("entered-in-error")
    held = desk.client.put(f"{PATIENTS}/{patient_id}/legal-hold", json={"reason": "litigation"})
    assert held.json()["legal_hold"] == "litigation"
    assert "legal hold (litigation)" in refused("patient-request")
    desk.client.put(f"{PATIENTS}/{patient_id}/legal-hold", json={"reason": None})
    other = desk.patient(named("Nguyễn Hoà"))["patient_id"]
    desk.post(f"{PATIENTS}/{other}/merge", {"source_id": other, "target_id": patient_id, "reason": "entered-twice"})
    merged = desk.post(f"{PATIENTS}/{other}/erase", {"patient_id": other, "reason": "court-order"}, 409)
    assert patient_id in merged["detail"]
    desk.post(path, {"patient_id": other, "reason": "court-order"}, 422)
    desk.post(path, {"patient_id": patient_id, "reason": "court-order"})
    assert desk.get(f"{PATIENTS}/{other}")["name"] is None, "rows that were merged into her are hers"


def test_retention_says_what_it_would_do_and_does_it_once(command_line: Desk, capsys: Capture) -> None:
    desk = command_line
    old, held, busy, young = (desk.patient({"name": f"Chị {n}"})["patient_id"] for n in range(4))
    desk.client.put(f"{PATIENTS}/{held}/legal-hold", json={"reason": "litigation"})
    order = desk.order({"patient_id": old})
    desk.order({"patient_id": busy})
    with desk.database.write() as session:
        orders.mark_resulted(session, order["order_id"])
    long_ago = datetime.now(UTC) - timedelta(days=366 * 11)
    with desk.database.write() as session:
        session.execute(update(Patient).where(Patient.id.in_((old, held, busy))).values(updated_at=long_ago))
        session.execute(update(Order).where(Order.facility_id == desk.facility_id).values(updated_at=long_ago))
    dry = run_cli(capsys, "retention", "run", "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "would be deleted" in dry.stdout
    assert "1 names, contacts and identifiers" in " ".join(dry.stdout.split())
    assert desk.get(f"{PATIENTS}/{old}")["name"] == "Chị 0"
    done = run_cli(capsys, "retention", "run")
    assert done.exit_code == 0, done.stderr
    names = {patient_id: desk.get(f"{PATIENTS}/{patient_id}")["name"] for patient_id in (old, held, busy, young)}
    assert names == {old: None, held: "Chị 1", busy: "Chị 2", young: "Chị 3"}
    assert desk.get(f"{ORDERS}/{order['order_id']}")["status"] == "resulted"
    with desk.database.read() as session:
        rules = retention.rules(desk.client.app.state.runtime.settings)  # type: ignore[attr-defined]
        assert {rule.name: rule.count(session) for rule in rules if rule.name in ("patients", "sessions")} == {
            "patients": 0, "sessions": 0}  # fmt: skip
        details = session.scalars(text("SELECT details FROM audit_entries WHERE action = 'retention:delete'")).all()
    assert json.loads(details[-1])["patients"] == 1
