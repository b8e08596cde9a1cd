"""Backup and restore: everything that was accepted is there again, and a damaged backup is never restored."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.keyring import KeysError, open_keyring, read_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.operations.backup import check, create, snapshot
from tamsoat.inference_service.operations.backup.archive import BackupWriteError
from tamsoat.inference_service.operations.backup.manifest import BackupDamagedError
from tamsoat.inference_service.operations.backup.plan import BackupSettingsError, Plan
from tamsoat.inference_service.operations.backup.restore import restore
from tamsoat.inference_service.operations.backup.sealed import PassphraseError, seal, unseal
from tamsoat.inference_service.operations.backup.target import RestoreTargetError
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.store import ContentMissingError, open_store
from tamsoat.inference_service.uploads.tables import Slide

PASSPHRASE = "một câu rất dài, dễ nhớ"


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamsoat.inference_service.operations.backup.sealed.SCRYPT_N", 2**10)


def _quiet(_part: str, _done_bytes: int, _total_bytes: int) -> None:
    return None


class Installation:
    """Database, files and keys without a running service."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.settings = Settings(database_url=database_url, data_dir=folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(database_url)
        migrations.upgrade(self.database)
        open_keyring(self.settings.keys_path)
        self.store = open_store(self.settings)

    def accept(self, content: bytes) -> str:
        """Store a slide as an upload does: the bytes first, then row and audit entry."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.settings.data_folder / f"incoming-{uuid.uuid4()}"
        path.write_bytes(content)
        self.store.put(path, digest)
        path.unlink()
        slide_id = str(uuid.uuid4())
        slide = Slide(
            id=slide_id, facility_id=LOCAL_FACILITY, sha256=digest, bytes=len(content), media_type="image/jpeg",
            mpp=0.25, created_by="local", created_at=datetime.now(UTC),
        )  # fmt: skip
        with self.database.write() as session:
            session.add(slide)
            session.flush()
            audit.append(session, Event("local", Action.SLIDE_CREATE, f"slide:{slide_id}", {"content": digest}))
        return slide_id

    def slides(self) -> dict[str, str]:
        with self.database.read() as session:
            return {row.id: row.sha256 for row in session.execute(select(Slide.id, Slide.sha256))}

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """URLs of further empty databases of the same kind."""

    def make() -> str:
        if database_url.startswith("sqlite"):
            return f"sqlite:///{tmp_path}/{uuid.uuid4().hex}/tamsoat.db"
        url: str = request.getfixturevalue("postgresql_cluster").new_database()
        return url

    return make


def _load(installation: Installation, stop: threading.Event, accepted: list[str]) -> None:
    while not stop.is_set():
        accepted.append(installation.accept(os.urandom(20_000)))


def test_drill_under_load(database_url: str, empty_url: Callable[[], str], tmp_path: Path) -> None:
    """Back up while three writers work, destroy everything, restore: all that was accepted before is there."""
    live = Installation(database_url, tmp_path / "live")
    stop, accepted = threading.Event(), list[str]()
    writers = [threading.Thread(target=_load, args=(live, stop, accepted)) for _ in range(3)]
    for writer in writers:
        writer.start()
    while len(accepted) < 30:
        stop.wait(0.02)
    before = list(accepted)
    made = create.create(live.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
    stop.set()
    for writer in writers:
        writer.join()
    key = read_keyring(live.settings.keys_path).signing.private_bytes_raw()
    live.close()
    shutil.rmtree(tmp_path / "live")
    Path(database_url.removeprefix("sqlite:///")).unlink(missing_ok=True)

    check.verify(made.path, _quiet)
    settings = Settings(database_url=empty_url(), data_dir=tmp_path / "new")
    done = restore(settings, made.path, _quiet, passphrase=PASSPHRASE)
    again = Installation(settings.database_url, tmp_path / "new")
    slides = again.slides()
    assert set(before) <= set(slides)
    for digest in slides.values():
        with again.store.open(digest) as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == digest
    assert read_keyring(settings.keys_path).signing.private_bytes_raw() == key
    assert settings.keys_path.stat().st_mode & 0o077 == 0
    with again.database.read() as session:
        outcome = audit.verify(session)
        newest = session.scalars(select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(1)).one()
    assert outcome.whole
    assert outcome.entries == done.manifest.audit.size + 1
    assert newest.action == "backup:restore"
    assert again.accept(b"life goes on") in again.slides()
    again.close()


def test_a_backup_is_recorded_and_the_next_shares_its_files(database_url: str, tmp_path: Path) -> None:
    live = Installation(database_url, tmp_path / "live")
    for number in range(3):
        live.accept(f"slide {number}".encode())
    plan = Plan(tmp_path / "backups", PASSPHRASE, keep=2)
    first = create.create(live.settings, plan, _quiet)
    live.accept(b"one more")
    with live.database.read() as session:
        assert repository.newest_backup(session) == (first.path.name, first.manifest.moment)
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "backup:create")).one()
    assert json.loads(entry.digests) == {"manifest": first.manifest_sha256}
    assert first.linked == 0
    first.path.rename(first.path.with_name("tamsoat-20200101T000000Z"))
    second = create.create(live.settings, plan, _quiet)
    assert second.linked == 3
    assert len(second.manifest.files) == 4
    check.verify(second.path, _quiet)
    (tmp_path / "backups" / ".tamsoat-20200102T000000Z.partial").mkdir()
    second.path.rename(second.path.with_name("tamsoat-20200102T000000Z"))
    third = create.create(live.settings, plan, _quiet)
    assert third.removed == ["tamsoat-20200101T000000Z"]
    assert {path.name for path in (tmp_path / "backups").iterdir()} == {
        "tamsoat-20200102T000000Z", third.path.name, ".tamsoat-backup.lock",
    }  # fmt: skip
    check.verify(third.path, _quiet)
    live.close()


@pytest.fixture
def small(tmp_path: Path) -> Installation:
    """A SQLite installation with two slides."""
    installation = Installation(f"sqlite:///{tmp_path}/live/tamsoat.db", tmp_path / "live")
    installation.accept(b"first")
    installation.accept(b"second")
    return installation


def test_one_tar_file_and_keys_apart(small: Installation, tmp_path: Path) -> None:
    keys = tmp_path / "usb" / "keys.json"
    keys.parent.mkdir()
    made = create.create(small.settings, Plan(tmp_path / "all.tar", keys_out=keys), _quiet)
    assert sorted(path.name for path in tmp_path.iterdir() if "backup.lock" not in path.name) == [
        "all.tar",
        "live",
        "usb",
    ]
    assert made.path.stat().st_mode & 0o077 == 0
    check.verify(made.path, _quiet)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/new/tamsoat.db", data_dir=tmp_path / "new")
    with pytest.raises(PassphraseError, match="--keys-in"):
        restore(settings, made.path, _quiet)
    foreign = tmp_path / "foreign.json"
    open_keyring(foreign)
    with pytest.raises(BackupDamagedError, match="not those of the installation"):
        restore(settings, made.path, _quiet, keys_in=foreign)
    assert not settings.keys_path.exists()
    restore(settings, made.path, _quiet, keys_in=keys)
    assert read_keyring(settings.keys_path).active == "k1"


def _edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))


def _flip(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda backup: _edit(next((backup / "files").rglob("*/*/?*")), _flip), "was altered"),
        (lambda backup: _edit(backup / "database/tamsoat.db", _flip), "tamsoat.db was altered"),
        (lambda backup: _edit(backup / "keys.sealed", _flip), "keys.sealed was altered"),
        (lambda backup: _edit(backup / "manifest.json", lambda text: b" " + text), "signature"),
        (lambda backup: (backup / "manifest.sig").unlink(), "manifest.sig is missing"),
        (lambda backup: next((backup / "files").rglob("*/*/?*")).unlink(), "is missing"),
        (lambda backup: (backup / "database/more.db").write_bytes(b"x"), "does not belong"),
        (lambda backup: (backup / "manifest.json").write_text("{}"), "not one of a backup"),
    ],
    ids=["slide", "database", "keys", "manifest", "signature", "missing", "surplus", "nonsense"],
)  # fmt: skip
def test_a_damaged_backup_changes_nothing(
    small: Installation, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    made = create.create(small.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
    damage(made.path)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/new/tamsoat.db", data_dir=tmp_path / "new")
    for act in (
        lambda: check.verify(made.path, _quiet),
        lambda: restore(settings, made.path, _quiet, passphrase=PASSPHRASE),
    ):
        with pytest.raises(BackupDamagedError, match=message):
            act()
    assert not any((tmp_path / "new").rglob("*")) if (tmp_path / "new").exists() else True


def test_a_log_that_was_altered_and_sealed_again_is_found(small: Installation, tmp_path: Path) -> None:
    """Whoever has the signing key can sign a manifest; the hash links of the log still tell."""
    path = snapshot.sqlite_path(small.database)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_entries_no_update")
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 1")
        connection.commit()
    made = create.create(small.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
    with pytest.raises(BackupDamagedError, match="broken at sequence 1"):
        check.verify(made.path, _quiet)


def test_a_restore_never_writes_over_anything(database_url: str, tmp_path: Path) -> None:
    live = Installation(database_url, tmp_path / "live")
    slide_id = live.accept(b"kept")
    made = create.create(live.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
    later = live.accept(b"later")
    with pytest.raises(RestoreTargetError, match="--replace"):
        restore(live.settings, made.path, _quiet, passphrase=PASSPHRASE)
    with live.database.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(RestoreTargetError, match="in use"):
            restore(live.settings, made.path, _quiet, passphrase=PASSPHRASE, replace=True)
    assert set(live.slides()) == {slide_id, later}
    live.close()
    done = restore(live.settings, made.path, _quiet, passphrase=PASSPHRASE, replace=True)
    assert "replaced" in done.set_aside
    assert set(live.slides()) == {slide_id}
    # A later backup of a PostgreSQL database does not carry what was set aside.
    again = create.create(live.settings, Plan(tmp_path / "more", PASSPHRASE), _quiet)
    assert again.manifest.audit.size == done.manifest.audit.size + 1
    live.close()


def test_a_file_deleted_meanwhile_is_noted_and_a_lost_one_stops_the_backup(small: Installation, tmp_path: Path) -> None:
    kept, gone = small.slides().values()
    state_of = repository.stored_files

    def stored_then_deleted(session: object) -> object:
        found = state_of(session)  # type: ignore[arg-type]
        with small.database.write() as other:
            other.query(Slide).where(Slide.sha256 == gone).update({"purged_at": datetime.now(UTC)})
        small.store.delete(gone)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "stored_files", stored_then_deleted)
        made = create.create(small.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
    assert made.manifest.gone == [gone]
    check.verify(made.path, _quiet)
    small.store.delete(kept)
    with pytest.raises(ContentMissingError):
        create.create(small.settings, Plan(tmp_path / "elsewhere", PASSPHRASE), _quiet)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == [".tamsoat-backup.lock"]


def test_a_rotten_file_stops_the_backup(small: Installation, tmp_path: Path) -> None:
    digest = next(iter(small.slides().values()))
    with small.store.local_path(digest) as path:
        _edit(path, _flip)
    with pytest.raises(BackupDamagedError, match="altered on disk"):
        create.create(small.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (lambda folder: Plan(folder / "b"), BackupSettingsError),
        (lambda folder: Plan(folder / "b", "short"), PassphraseError),
        (lambda folder: Plan(folder / "b", keys_out=folder / "b" / "keys.json"), BackupSettingsError),
        (lambda folder: Plan(folder / "live" / "files" / "b", PASSPHRASE), BackupSettingsError),
        (lambda folder: Plan(folder / "b.tar", PASSPHRASE, keep=1), BackupSettingsError),
        (lambda folder: Plan(folder / "b", PASSPHRASE, previous=folder), BackupSettingsError),
        (lambda folder: Plan(Path("/proc/none"), PASSPHRASE), BackupWriteError),
    ],
)
def test_plans_that_cannot_work(
    small: Installation, tmp_path: Path, plan: Callable[[Path], Plan], error: type[TamsoatError]
) -> None:
    with pytest.raises(error):
        create.create(small.settings, plan(tmp_path), _quiet)


def test_sealed_keys_open_with_their_passphrase_alone() -> None:
    sealed = seal(b"the keys", PASSPHRASE)
    assert unseal(sealed, PASSPHRASE) == b"the keys"
    assert b"the keys" not in sealed
    with pytest.raises(PassphraseError, match="does not open"):
        unseal(sealed, PASSPHRASE + "!")
    costly = json.loads(sealed)
    costly["kdf"]["n"] = 2**30
    with pytest.raises(PassphraseError, match="damaged"):
        unseal(json.dumps(costly).encode(), PASSPHRASE)


def test_without_keys_there_is_no_backup(small: Installation, tmp_path: Path) -> None:
    small.settings.keys_path.unlink()
    with pytest.raises(KeysError, match="missing"):
        create.create(small.settings, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
