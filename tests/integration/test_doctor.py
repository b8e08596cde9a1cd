"""The doctor names what is wrong: each check is made to fail once."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_runner import run_cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.jobs.tables import Worker
from tamsoat.inference_service.operations.doctor import clock, files, run
from tamsoat.inference_service.operations.doctor.finding import Finding, Level
from tamsoat.inference_service.operations.tables import BackupRecord
from tamsoat.inference_service.screening.tables import Screening
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.webhooks.tables import Webhook, WebhookDelivery, WebhookEvent

NOW = datetime.now(UTC)


@pytest.fixture
def settings(database_url: str, tiny_bundle: Path, tmp_path: Path) -> Settings:
    """An installation that was just made."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings = Settings(database_url=database_url, data_dir=folder, model=tiny_bundle)
    encryption.install(open_keyring(settings.keys_path))
    database = Database(database_url)
    migrations.upgrade(database)
    with database.write() as session:
        audit.append(session, Event("system", Action.SERVICE_START, "model:tiny"))
    database.close()
    return settings


@contextmanager
def _writing(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def _found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in run.examine(settings)}


def test_a_new_installation_has_no_failure(settings: Settings) -> None:
    found = _found(settings)
    failed = {finding.name for finding in found.values() if finding.level is Level.FAIL}
    # The PostgreSQL of the tests runs without fsync, which is worth a failure.
    assert failed == ({"database-durability"} if settings.database_url.startswith("postgresql") else set())
    assert found["database-schema"].level is Level.OK
    assert found["storage"].level is Level.OK
    assert found["model"].level is Level.OK
    assert found["keys"].level is Level.OK
    assert found["audit-log"].message == "the newest 1 of 1 entries are whole"
    assert found["backup"].level is Level.WARN
    assert found["accounts"].level is Level.WARN
    assert all(finding.action for finding in found.values() if finding.level is not Level.OK)


def test_what_stands_still_is_named(settings: Settings) -> None:
    old = NOW - timedelta(days=2)
    slide = Slide(
        id=str(uuid.uuid4()), facility_id=LOCAL_FACILITY, sha256="ab" * 32, bytes=5, media_type="image/jpeg", mpp=0.25,
        created_by="local", created_at=NOW,
    )  # fmt: skip
    worker = Worker(
        executor_id="gone", incarnation="1", folder="1", host="here", process_id=1, concurrency=1,
        started_at=old, seen_at=old,
    )  # fmt: skip
    webhook = Webhook(
        id="w", facility_id=LOCAL_FACILITY, url="https://his.example/", event_types=[], secret="whsec_x", enabled=True,
        version=1, created_at=old,
    )  # fmt: skip
    event = WebhookEvent(id="msg_1", facility_id=LOCAL_FACILITY, type="analysis.completed", data={}, created_at=old)
    delivery = WebhookDelivery(
        id="d", facility_id=LOCAL_FACILITY, event_id="msg_1", webhook_id="w", state="failed", attempts=9, wake=9,
        began_at=old, created_at=old, finished_at=NOW,
    )  # fmt: skip
    backup = BackupRecord(id="b", name="tamsoat-old", moment=old, bytes=1, files=0, audit_size=1, manifest_sha256="")
    with _writing(settings) as database, database.write() as session:
        session.add_all([slide, worker, webhook, event, backup, _screening("running", old), _screening("queued", old)])
        session.flush()
        session.add(delivery)
    found = _found(settings)
    assert found["storage-slides"].level is Level.FAIL
    assert found["workers"].message == "0 alive, 1 silent, 2 images wait or are worked on"
    assert found["workers"].level is Level.FAIL
    assert found["jobs-stuck"].message == "1 have not moved for 15 min, 1 wait for over 60 min"
    assert found["webhooks"].level is Level.FAIL
    assert found["backup"].level is Level.FAIL


def _screening(state: str, moment: datetime) -> Screening:
    return Screening(
        id=str(uuid.uuid4()), facility_id=LOCAL_FACILITY, mpp=0.25, priority=3, state=state, done=0, total=0,
        attempts=1, crashes=0, cancel_requested=False, requested_by="local", created_at=moment, updated_at=moment,
        version=1,
    )  # fmt: skip


def test_an_altered_log_and_a_clock_set_back_are_named(settings: Settings) -> None:
    with _writing(settings) as database:
        with database.write() as session:
            for number in range(5):
                audit.append(session, Event("system", Action.SERVICE_START, f"model:{number}"))
        sqlite = database.engine.dialect.name == "sqlite"
        with database.write() as session:
            if sqlite:
                names = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
                for name in names:
                    session.execute(text(f"DROP TRIGGER {name}"))
            else:
                session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
            session.execute(
                text("UPDATE audit_entries SET occurred_at = '2999-01-01T00:00:00.000000Z' WHERE sequence = 6")
            )
            session.execute(text("UPDATE audit_entries SET actor = 'x' WHERE sequence = 3"))
    found = _found(settings)
    assert found["audit-log"].message == "entry 3 was changed, removed or inserted"
    assert found["clock-log"].level is Level.FAIL


def test_wrong_keys_old_schema_and_other_model_are_named(settings: Settings, tmp_path: Path) -> None:
    settings.keys_path.chmod(0o644)
    with _writing(settings) as database, database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.onnx").write_bytes(b"")
    found = _found(settings.model_copy(update={"model": model}))
    assert "chmod 600" in found["keys"].message
    assert found["database-schema"].action == "run `tamsoat db upgrade`"
    assert found["model"].level is Level.FAIL


def test_without_a_database_the_rest_is_still_checked(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/none/tamsoat.db", data_dir=tmp_path, model=tiny_bundle)
    found = _found(settings)
    assert found["database"].level is Level.FAIL
    assert found["keys"].level is Level.FAIL
    assert found["model"].level is Level.OK
    assert "audit-log" not in found


def test_settings_that_do_not_belong_in_a_hospital(tmp_path: Path) -> None:
    settings = Settings(
        environment="development",
        log_level="debug",
        public_url="https://127.0.0.1:9",
        database_url=f"sqlite:///{tmp_path}/none/tamsoat.db",
        model=tmp_path,
    )
    findings = run.examine(settings)
    smells = [finding.message for finding in findings if finding.name == "settings"]
    assert len(smells) == 3
    certificate = next(finding for finding in findings if finding.name == "certificate")
    assert "cannot be reached" in certificate.message


def test_authorities_that_expire_soon(tmp_path: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sở Y tế")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=300))
        .not_valid_after(NOW + timedelta(days=20))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    settings = Settings(database_url=f"sqlite:///{tmp_path}/none.db", webhook_ca_file=path, model=tmp_path)
    found = _found(settings)["webhook-authorities"]
    assert found.level is Level.WARN
    assert "19 days" in found.message or "20 days" in found.message


@pytest.mark.parametrize(("offset_s", "level"), [(0.1, Level.OK), (10, Level.WARN), (-100, Level.FAIL)])
def test_the_clock_against_a_time_server(offset_s: float, level: Level) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            _, sender = server.recvfrom(100)
            moment_s = time.time() + offset_s + clock.NTP_EPOCH_S
            server.sendto(bytes(40) + struct.pack("!II", int(moment_s), int(moment_s % 1 * 2**32)), sender)

        thread = threading.Thread(target=answer)
        thread.start()
        found = clock._against_ntp(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert found.level is level, found


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = files.shutil._ntuple_diskusage(100 * 2**30, 70 * 2**30, 30 * 2**30)  # type: ignore[attr-defined]
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _path: usage)
    assert files._disk("disk", tmp_path, 0.0)[0].level is Level.OK
    assert files._disk("disk", tmp_path, 2**30)[0].level is Level.WARN
    assert files._disk("disk", tmp_path, 6 * 2**30)[0].level is Level.FAIL


def test_the_command_says_it_to_people_and_to_machines(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setenv("TAMSOAT_MODEL", str(tiny_bundle))
    outcome = run_cli(capsys, "doctor")
    assert outcome.exit_code == 1
    assert "fail  database" in outcome.stdout
    assert "-> start it" in outcome.stdout
    outcome = run_cli(capsys, "doctor", "--json")
    assert outcome.exit_code == 1
    answer = json.loads(outcome.stdout)
    assert answer["worst"] == "fail"
    assert {"name", "level", "message", "action"} == set(answer["checks"][0])
