"""The commands of the log: sign, prove, check without a database, verify deeply, export."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_log import event, open_without_triggers
from bad_inputs import good_jpeg
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import checkpoints, service
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cli.audit import app
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A log of 300 entries, with keys, in the folder that the environment names."""
    from tamsoat.inference_service.db.keyring import open_keyring

    monkeypatch.setenv("TAMSOAT_DATABASE_URL", f"sqlite:///{tmp_path}/log.db")
    open_keyring(Settings().keys_path)
    database = Database(Settings().database_url)
    migrations.upgrade(database)
    with database.write() as session:
        service.append_all(session, [event(number) for number in range(300)])
    yield database
    database.close()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def failure(result: Result) -> str:
    assert result.exit_code != 0
    return f"{result.exception}{result.output}"


def test_an_entry_is_proved_to_someone_who_has_only_the_key(log: Database, tmp_path: Path) -> None:
    kept, key, proof = tmp_path / "kept.txt", tmp_path / "key.txt", tmp_path / "proof.json"
    assert run("checkpoint", "--out", kept).exit_code == 0
    assert run("public-key", "--out", key).exit_code == 0
    with log.write() as session:
        service.append_all(session, [event(number) for number in range(50)])
    made = run("prove", "17", "--out", proof)
    assert made.exit_code == 0, made.output
    shown = run("check-proof", proof, "--public-key", key)
    assert "entry 17 is in the log tamsoat.local of 300 entries" in shown.output
    assert "analysis:16" in shown.output
    # An entry after the newest checkpoint: one is made, and the older one is shown to belong to the same log.
    assert run("prove", "351", "--since", kept, "--out", proof).exit_code == 0
    shown = run("check-proof", proof, "--public-key", key)
    assert "entry 351 is in the log tamsoat.local of 351 entries" in shown.output
    assert "the checkpoint of 300 entries belongs to the same log" in shown.output
    assert "no entry 999" in failure(run("prove", "999"))
    document = json.loads(proof.read_text(encoding="utf-8"))
    forged = [
        document | {"entry": document["entry"] | {"actor": "account:other"}},
        document | {"path": document["path"][1:]},
        document | {"checkpoint": document["checkpoint"].replace("\n351\n", "\n352\n")},
        document | {"consistency": document["consistency"] | {"path": []}},
        document | {"format": "other"},
    ]
    for altered in forged:
        proof.write_text(json.dumps(altered), encoding="utf-8")
        assert run("check-proof", proof, "--public-key", key).exit_code != 0, altered


def test_verify_uses_signatures_and_a_kept_checkpoint(log: Database, tmp_path: Path) -> None:
    kept, key = tmp_path / "kept.txt", tmp_path / "key.txt"
    run("checkpoint", "--out", kept)
    run("public-key", "--out", key)
    whole = run("verify", "--checkpoint", kept, "--public-key", key, "--json")
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout) == {
        "whole": True, "entries": 301, "checkpoints": 1, "analyses": None, "readings": None,
        "first_bad_sequence": None, "reason": "",
    }  # fmt: skip
    connection = open_without_triggers(tmp_path / "log.db")
    connection.execute("UPDATE audit_checkpoints SET note = replace(note, 'tamsoat.local', 'other.local')")
    connection.close()
    broken = run("verify", "--json")
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["first_bad_sequence"] == 300
    kept.write_text(kept.read_text(encoding="utf-8").replace("300", "299"), encoding="utf-8")
    assert "signature" in failure(run("verify", "--checkpoint", kept))
    Settings().keys_path.unlink()
    assert "--public-key" in failure(run("verify", "--checkpoint", kept))


def test_checkpoints_are_copied_to_the_folder_outside(
    log: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tamsoat.inference_service.db.keyring import read_keyring

    settings, keyring = Settings(), read_keyring(Settings().keys_path)
    assert checkpoints.is_due(log, settings)
    checkpoints.make(log, keyring, settings)
    assert not checkpoints.is_due(log, settings)
    folder = tmp_path / "worm"
    folder.mkdir()
    assert checkpoints.keep_elsewhere(log, folder) == 1
    with log.write() as session:
        service.append_all(session, [event(number) for number in range(1000)])
    assert checkpoints.is_due(log, settings)
    checkpoints.make(log, keyring, settings)
    assert checkpoints.keep_elsewhere(log, folder) == 1
    assert checkpoints.keep_elsewhere(log, folder) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint-000000000300.txt", "checkpoint-000000001301.txt"]
    assert run("verify", "--checkpoint", folder / names[1]).exit_code == 0
    with pytest.raises(checkpoints.CheckpointKeepingError):
        checkpoints.keep_elsewhere(log, tmp_path / "missing")


def test_nothing_is_signed_that_is_not_whole(log: Database, tmp_path: Path) -> None:
    run("checkpoint")
    connection = open_without_triggers(tmp_path / "log.db")
    connection.execute("UPDATE audit_entries SET actor = 'x' WHERE sequence = 301")
    connection.close()
    with log.write() as session:
        service.append_all(session, [event(1), event(2)])
    assert "entry 301 of the audit log is not whole" in failure(run("checkpoint"))


def test_deep_verification_compares_stored_analyses(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", f"sqlite:///{tmp_path}/service.db")
    settings = Settings(model=tiny_bundle, threads=1, log_level="error")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        for _ in range(3):
            sent = client.post("/api/v1/inference", files={"image": ("a.jpg", good_jpeg())}, data={"objective": "40"})
            assert sent.status_code == 200
    assert "3 analyses and 0 readings as recorded" in run("verify", "--deep").output
    connection = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    (bad,) = connection.execute(
        "SELECT sequence FROM audit_entries WHERE action = 'analysis:create' ORDER BY sequence LIMIT 1 OFFSET 1"
    ).fetchone()
    connection.execute("UPDATE analyses SET abnormal_probability = 0.0123 WHERE number = 2")
    changed = run("verify", "--deep")
    assert f"broken at sequence {bad}" in changed.output
    assert run("verify").exit_code == 0
    connection.execute("DELETE FROM findings WHERE analysis_number = 2")
    connection.execute("DELETE FROM analyses WHERE number = 2")
    assert "is missing" in run("verify", "--deep").output
    connection.close()


def test_export_writes_one_event_a_line_and_is_recorded(log: Database, tmp_path: Path) -> None:
    out = tmp_path / "events.ndjson"
    with log.write() as session:
        service.append(session, Event("account:1", Action.PATIENT_READ, "patient:9", {}, "local"))
    assert run("export", "--out", out).exit_code == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [f"audit-{number}" for number in range(1, 302)]
    assert (
        run("export", "--out", out, "--facility", "00000", "--from", "2020-01-01", "--to", "2099-12-31").exit_code == 0
    )
    (line,) = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert line["meta"]["profile"][0].endswith("PatientRead")
    assert run("export", "--out", out, "--to", "2020-01-01").exit_code == 0
    assert out.read_text(encoding="utf-8") == ""
    rows = sqlite3.connect(tmp_path / "log.db").execute(
        "SELECT details FROM audit_entries WHERE action = 'audit:export' ORDER BY sequence"
    )
    assert [json.loads(details)["entries"] for (details,) in rows] == [301, 1, 0]
    for wrong in (("--from", "yesterday"), ("--facility", "99999")):
        assert run("export", "--out", out, *wrong).exit_code != 0
