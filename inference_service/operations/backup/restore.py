"""Bring a backup back to life."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete

from tamsoat.inference_service.accounts.tables import AccountSession
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.keyring import Keyring, read_keyring, write_keyring
from tamsoat.inference_service.db.session import Database, translated_errors
from tamsoat.inference_service.jobs.system_database import jobs_file
from tamsoat.inference_service.operations.backup import manifest, postgresql
from tamsoat.inference_service.operations.backup.archive import PRIVATE_FILE, PRIVATE_FOLDER, copy, temporary_folder
from tamsoat.inference_service.operations.backup.check import Checked, open_manifest, verify_audit, verify_digests
from tamsoat.inference_service.operations.backup.create import ACTOR, Report
from tamsoat.inference_service.operations.backup.manifest import (
    POSTGRESQL_DUMP,
    SEALED_KEYS,
    SQLITE_DATABASE,
    SQLITE_JOBS,
    BackupDamagedError,
    Manifest,
)
from tamsoat.inference_service.operations.backup.plan import IN_THE_BACKUP
from tamsoat.inference_service.operations.backup.sealed import PassphraseError, unseal
from tamsoat.inference_service.operations.backup.snapshot import sqlite_path
from tamsoat.inference_service.operations.backup.target import RestoreTargetError, Target
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.store import ContentStore, incoming_folder, open_store

HEADROOM = 1.1
"""Free space that is asked for, as a multiple of the backup's size."""


@dataclass(frozen=True)
class Restored:
    """What was restored; ``set_aside``: where what was there before lies; ``missing``: files that an S3 store lacks."""

    manifest: Manifest
    set_aside: str
    missing: list[str]


def restore(
    settings: Settings,
    path: Path,
    report: Report,
    *,
    passphrase: str | None = None,
    keys_in: Path | None = None,
    replace: bool = False,
) -> Restored:
    """Restore ``path`` to where the settings point. Nothing there is touched before the backup has proved whole.

    The digests are checked first, then the database is read in aside and its audit log verified up to the manifest's
    entry, then everything gets its place, the database last. Sessions are ended; jobs that were not finished are
    taken up when the service starts.

    Raises:
        BackupDamagedError: the backup is not whole; nothing was changed.
        RestoreTargetError: the target is not empty and ``replace`` is False, in use, too small, or another kind.
        PassphraseError, KeysError: the keys cannot be had, or are others.
        SchemaTooNewError: the backup comes from a newer version of the program.
    """
    checked = open_manifest(path)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=2)
    try:
        target = Target(settings, database)
        _check(checked.manifest, target, replace)
        verify_digests(checked, report)
        settings.data_folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        with temporary_folder(settings.data_folder) as scratch:
            keyring = _keys(checked, scratch, passphrase, keys_in)
            work = _Restore(checked, target, scratch, report)
            return work.run(keyring, replace)
    finally:
        database.close()


class _Restore:
    """One restoration on its way."""

    def __init__(self, checked: Checked, target: Target, scratch: Path, report: Report) -> None:
        self.checked, self.target, self.scratch, self.report = checked, target, scratch, report
        self.manifest = checked.manifest

    def run(self, keyring: Keyring, replace: bool) -> Restored:
        if self.target.sqlite:
            staged = self._stage_sqlite()
            aside = self.target.set_aside() if replace else ""
        else:
            dump = self._extract(POSTGRESQL_DUMP)
            aside = self.target.set_aside() if replace else ""
            self._load_postgresql(dump)
            staged = []
        missing = self._files(open_store(self.target.settings))
        self.target.settings.keys_path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        write_keyring(self.target.settings.keys_path, keyring, replace=False)
        for source, final in staged:
            shutil.move(source, final)
        return Restored(self.manifest, aside, missing)

    def _stage_sqlite(self) -> list[tuple[Path, Path]]:
        main = self._extract(SQLITE_DATABASE)
        database = Database(f"sqlite:///{main}", pool_size=1)
        try:
            verify_audit(database, self.manifest.audit)
            self._record(database)
        finally:
            database.close()
        staged = []
        jobs = jobs_file(self.target.settings.database_url)
        if jobs is not None and any(member.name == SQLITE_JOBS for member in self.manifest.members):
            staged.append((self._extract(SQLITE_JOBS), jobs))
        return [*staged, (main, sqlite_path(self.target.database))]

    def _load_postgresql(self, dump: Path) -> None:
        database = self.target.database
        postgresql.load(database, dump)
        try:
            verify_audit(database, self.manifest.audit)
            self._record(database)
        except BaseException:
            with translated_errors(), database.engine.begin() as connection:
                postgresql.drop_restored(connection)
            raise

    def _record(self, database: Database) -> None:
        """End the sessions (some were signed out since) and say in the log that this happened."""
        details = {"audit_size": self.manifest.audit.size, "files": len(self.manifest.files)}
        digests = {"manifest": self.checked.manifest_sha256}
        event = Event(ACTOR, Action.BACKUP_RESTORE, f"backup:{self.manifest.id}", digests, details=details)
        with database.write() as session:
            session.execute(delete(AccountSession))
            audit.append(session, event)

    def _files(self, store: ContentStore) -> list[str]:
        """Put the slide files into the store; the digests of those that it ought to have itself and has not."""
        if self.manifest.files_at != IN_THE_BACKUP:
            return [item.sha256 for item in self.manifest.files if not store.exists(item.sha256)]
        incoming = incoming_folder(self.target.settings)
        incoming.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        total_bytes, done_bytes = sum(item.bytes for item in self.manifest.files), 0
        for item in self.manifest.files:
            path = self._extract(item.name)
            store.put(path, item.sha256)
            path.unlink()
            done_bytes += item.bytes
            self.report("files", done_bytes, total_bytes)
        return []

    def _extract(self, name: str) -> Path:
        path = self.scratch / Path(name).name
        with self.checked.reader.open(name) as source, path.open("xb") as target:
            path.chmod(PRIVATE_FILE)
            copy(source, target, lambda _bytes: None)
        return path


def _check(written: Manifest, target: Target, replace: bool) -> None:
    kind = "sqlite" if target.sqlite else "postgresql"
    if written.database != kind:
        raise RestoreTargetError(
            f"the backup is one of {written.database}, TAMSOAT_DATABASE_URL names {kind}: point it to an empty "
            f"{written.database} database"
        )
    if written.schema_revision > migrations.head_revision():
        raise migrations.SchemaTooNewError(
            f"the backup has schema revision {written.schema_revision}: install tamsoat {written.program_version} "
            "or newer"
        )
    if not replace:
        target.check_empty()
    target.check_idle()
    folder = target.folder
    while not folder.exists():
        folder = folder.parent
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < written.total_bytes * HEADROOM:
        raise RestoreTargetError(
            f"{folder}: {free_bytes / 2**30:.1f} GiB are free, the backup needs {written.total_bytes / 2**30:.1f} GiB"
        )


def _keys(checked: Checked, scratch: Path, passphrase: str | None, keys_in: Path | None) -> Keyring:
    """The keys of the backup, from inside it or from ``keys_in``."""
    note = checked.manifest.keys
    if keys_in is not None:
        keyring = read_keyring(keys_in)
    elif note.where == "separate":
        raise PassphraseError("this backup was made with --keys-out: give that file with --keys-in")
    elif passphrase is None:
        raise PassphraseError("the keys in this backup are sealed: give --passphrase-file, or --keys-in")
    else:
        with checked.reader.open(SEALED_KEYS) as stream:
            content = unseal(stream.read(), passphrase)
        path = scratch / "keys.json"
        path.touch(mode=PRIVATE_FILE)
        path.write_bytes(json.dumps(json.loads(content)).encode())
        keyring = read_keyring(path)
        path.unlink()
    if manifest.public_hex(keyring) != note.public_key or not set(note.encryption) <= set(keyring.encryption):
        raise BackupDamagedError("the keys are not those of the installation that made this backup")
    return keyring
