"""Rotation of the key while somebody works, interrupted and taken up again, on both databases."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from desk import PATIENTS, Desk, named
from sqlalchemy import text
from typer.testing import CliRunner

from tamsoat.inference_service.cli.keys import app as keys_cli
from tamsoat.inference_service.db import encryption, rotation
from tamsoat.inference_service.db.keyring import open_keyring, read_keyring, write_keyring


def _values(desk: Desk) -> list[str]:
    """Every encrypted value as it is stored."""
    found: list[str] = []
    with desk.database.read() as session:
        for part in rotation.encrypted_tables():
            for column in part.columns:
                rows = session.scalars(
                    text(f"SELECT {column.name} FROM {part.table.name} WHERE {column.name} IS NOT NULL")
                )
                found += rows
    return found


def test_every_value_moves_to_the_new_key_while_the_service_works(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = desk.client.app.state.runtime.settings  # type: ignore[attr-defined]
    encryption.install(read_keyring(settings.keys_path), settings.keys_path)
    for name, value in (("DATABASE_URL", settings.database_url), ("DATA_DIR", str(settings.data_dir))):
        monkeypatch.setenv(f"TAMSOAT_{name}", value)
    monkeypatch.setattr(encryption, "NOTICE_S", 0.2)
    monkeypatch.setattr(rotation, "BATCH_ROWS", 3)
    context = {"history_text": "ghi chú", "last_period": "2026-01-01"}
    patients = [
        desk.order({"patient": named(f"Người {n}", ("patient-internal-id", f"R-{n}")), "context": context})[
            "patient_id"
        ]
        for n in range(8)
    ]
    active = read_keyring(settings.keys_path).active
    stop, faults, written = threading.Event(), [], 0

    def work() -> None:
        nonlocal written
        while not stop.is_set():
            response = desk.client.post(
                PATIENTS, json=named(f"Khách {written}", ("patient-internal-id", f"W-{written}"))
            )
            read = desk.client.get(f"{PATIENTS}/{patients[written % 8]}")
            if response.status_code != 201 or read.json()["name"] != f"Người {written % 8}":
                faults.append((response.text, read.text))
            written += 1

    worker = threading.Thread(target=work)
    worker.start()
    try:
        result = CliRunner().invoke(keys_cli, ["rotate"], catch_exceptions=False)
    finally:
        stop.set()
        worker.join()
    assert result.exit_code == 0, result.output
    renewed = read_keyring(settings.keys_path)
    assert renewed.active != active
    assert set(renewed.encryption) >= {active, renewed.active}
    assert faults == []
    assert written
    stored = _values(desk)
    assert {value.partition(":")[0] for value in stored} == {renewed.active}
    assert desk.found(identifier="R-3") == [patients[3]]
    assert desk.get(f"{PATIENTS}/{patients[5]}")["name"] == "Người 5"
    with desk.database.read() as session:
        details = session.scalars(text("SELECT details FROM audit_entries WHERE action = 'keys:rotate'")).all()
    assert [json.loads(item)["state"] for item in details[-2:]] == ["begun", "completed"]

    # Interrupted: one transaction is done, then the process dies. Called again it goes on without another key.
    interrupted = renewed.rotated()
    write_keyring(settings.keys_path, interrupted)
    encryption.install(interrupted, settings.keys_path)
    steps = rotation.re_encrypt(desk.database, interrupted.active)
    next(steps)
    steps.close()
    assert len({value.partition(":")[0] for value in _values(desk)}) == 2
    result = CliRunner().invoke(keys_cli, ["rotate"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert read_keyring(settings.keys_path).active == interrupted.active
    assert {value.partition(":")[0] for value in _values(desk)} == {interrupted.active}
    assert desk.get(f"{PATIENTS}/{patients[0]}")["name"] == "Người 0"


def test_a_process_reads_values_of_a_key_that_it_did_not_know(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    before = open_keyring(path)
    after = before.rotated()
    encryption.install(after)
    stored = encryption.encrypt("Nguyễn", "patients.name")
    encryption.install(before, path)
    with pytest.raises(encryption.DecryptionError):
        encryption.decrypt(stored, "patients.name")
    write_keyring(path, after)
    assert encryption.decrypt(stored, "patients.name") == "Nguyễn"
    assert encryption.installed().active == after.active
