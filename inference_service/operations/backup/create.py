"""Make a backup while the service runs."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.keyring import Keyring, read_keyring, write_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.jobs.system_database import jobs_file
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.operations.backup import manifest, snapshot
from tamsoat.inference_service.operations.backup.archive import Writer, writing
from tamsoat.inference_service.operations.backup.manifest import (
    MANIFEST,
    SEALED_KEYS,
    SIGNATURE,
    BackupDamagedError,
    KeysNote,
    Manifest,
    Member,
    StoredFile,
)
from tamsoat.inference_service.operations.backup.plan import (
    IN_THE_BACKUP,
    BackupSettingsError,
    Plan,
    alone,
    check,
    files_of,
    previous,
    remove_old,
)
from tamsoat.inference_service.operations.backup.sealed import seal
from tamsoat.inference_service.operations.backup.snapshot import Snapshot
from tamsoat.inference_service.operations.tables import BackupRecord
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.store import ContentMissingError, ContentStore, open_store

ACTOR = "system"

Report = Callable[[str, int, int], None]
"""Told ``(what, done_bytes, total_bytes)``, often."""


@dataclass(frozen=True)
class Made:
    """A finished backup; ``linked``: files shared with an earlier one; ``removed``: names of old ones."""

    path: Path
    manifest: Manifest
    manifest_sha256: str
    linked: int
    removed: list[str]


def create(settings: Settings, plan: Plan, report: Report) -> Made:
    """Make a backup; the service may run meanwhile.

    Everything that was committed before the start is in it: first the database at one moment, then the files that it
    names, then the keys, which therefore open all of it. The copy of each file is compared with its digest.

    Raises:
        BackupSettingsError: ``plan`` cannot work, or the database has another schema than this program.
        BackupWriteError: the backup cannot be written.
        ContentMissingError, BackupDamagedError: a stored file is missing or was altered; nothing is left behind.
        PostgresqlToolError, DatabaseUnavailableError: the database could not be copied.
    """
    check(settings, plan)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=2, must_exist=True)
    try:
        _check_schema(database)
        began = datetime.now(UTC)
        target = plan.out if plan.out.suffix == ".tar" else plan.out / f"tamsoat-{began:%Y%m%dT%H%M%SZ}"
        with alone(plan.out):
            with writing(target) as writer:
                job = _Job(settings, database, writer, report, previous(plan))
                written = job.run(began, plan)
            removed = remove_old(plan)
        made = Made(target, written, manifest.digest(written.encoded()), job.linked, removed)
        _record(database, made)
        return made
    finally:
        database.close()


class _Job:
    """One backup on its way."""

    def __init__(
        self, settings: Settings, database: Database, writer: Writer, report: Report, previous: Path | None
    ) -> None:
        self.settings, self.database, self.writer, self.report = settings, database, writer, report
        self.previous = previous
        self.linked = 0
        self._done_bytes = self._total_bytes = 0
        self._what = ""

    def run(self, began: datetime, plan: Plan) -> Manifest:
        jobs = jobs_file(self.settings.database_url) or Path("/nonexistent")
        self._stage("database", snapshot.database_bytes(self.database, jobs))
        with snapshot.taken(self.database, jobs, self.writer.scratch, self._advance) as state:
            members = [self._add_member(name, path) for name, path in state.copies]
            store = open_store(self.settings)
            at = store.location if self.settings.storage_url.startswith("s3") else IN_THE_BACKUP
            gone = self._add_files(store, state) if at == IN_THE_BACKUP else []
        keyring = read_keyring(self.settings.keys_path)
        members += self._add_keys(plan, keyring)
        written = Manifest(
            id=str(uuid.uuid4()),
            moment=began,
            program_version=version("tamsoat"),
            schema_revision=migrations.head_revision(),
            database="sqlite" if self.database.engine.dialect.name == "sqlite" else "postgresql",
            audit=state.audit,
            keys=_keys_note(keyring, plan),
            members=members,
            files=[item for item in state.files if item.sha256 not in set(gone)],
            files_at=at,
            gone=gone,
        )
        content = written.encoded()
        self._add_bytes(MANIFEST, content)
        self._add_bytes(SIGNATURE, manifest.sign(content, keyring))
        return written

    def _add_member(self, name: str, path: Path) -> Member:
        size_bytes = path.stat().st_size
        with path.open("rb") as source:
            digest = self.writer.add(name, source, size_bytes, _ignore)
        path.unlink()
        return Member.model_validate({"name": name, "bytes": size_bytes, "sha256": digest})

    def _add_files(self, store: ContentStore, state: Snapshot) -> list[str]:
        """Add the slide files; returns the digests of those that were deleted since the moment of the database."""
        self._stage("files", sum(item.bytes for item in state.files))
        earlier = files_of(self.previous)
        gone = []
        for item in state.files:
            if item in earlier and self.previous is not None and self.writer.link(item.name, self.previous / item.name):
                self.linked += 1
                self._advance(item.bytes)
                continue
            try:
                self._add_file(store, item)
            except ContentMissingError:
                with self.database.read() as session:
                    if repository.is_named(session, item.sha256):
                        raise
                gone.append(item.sha256)
        return gone

    def _add_file(self, store: ContentStore, item: StoredFile) -> None:
        with store.open(item.sha256) as source:
            digest = self.writer.add(item.name, source, item.bytes, self._advance)
        if digest != item.sha256:
            raise BackupDamagedError(
                f"the stored file {item.sha256} was altered on disk: put it back from an earlier backup"
            )

    def _add_keys(self, plan: Plan, keyring: Keyring) -> list[Member]:
        if plan.keys_out is not None:
            write_keyring(plan.keys_out, keyring)
        if plan.passphrase is None:
            return []
        sealed = seal(self.settings.keys_path.read_bytes(), plan.passphrase)
        return [self._add_bytes(SEALED_KEYS, sealed)]

    def _add_bytes(self, name: str, content: bytes) -> Member:
        digest = self.writer.add(name, io.BytesIO(content), len(content), _ignore)
        return Member.model_construct(name=name, bytes=len(content), sha256=digest)

    def _stage(self, what: str, total_bytes: int) -> None:
        self._what, self._done_bytes, self._total_bytes = what, 0, total_bytes
        self.report(what, 0, total_bytes)

    def _advance(self, done_bytes: int) -> None:
        self._done_bytes += done_bytes
        self.report(self._what, self._done_bytes, max(self._total_bytes, self._done_bytes))


def _check_schema(database: Database) -> None:
    stored, known = migrations.current_revision(database), migrations.head_revision()
    if stored != known:
        raise BackupSettingsError(
            f"the database has schema revision {stored}, this program {known}: back up with the version that runs, or "
            "start this one first"
        )


def _keys_note(keyring: Keyring, plan: Plan) -> KeysNote:
    return KeysNote(
        where="separate" if plan.passphrase is None else "sealed",
        public_key=manifest.public_hex(keyring),
        encryption=sorted(keyring.encryption),
    )


def _record(database: Database, made: Made) -> None:
    written = made.manifest
    record = BackupRecord(
        id=written.id,
        name=made.path.name,
        moment=written.moment,
        bytes=written.total_bytes,
        files=len(written.files),
        audit_size=written.audit.size,
        manifest_sha256=made.manifest_sha256,
    )
    details: dict[str, str | int | bool] = {
        "audit_size": written.audit.size,
        "files": len(written.files),
        "bytes": written.total_bytes,
        "removed": len(made.removed),
    }
    event = Event(
        ACTOR, Action.BACKUP_CREATE, f"backup:{written.id}", {"manifest": made.manifest_sha256}, details=details
    )
    with database.write() as session:
        repository.add_backup(session, record)
        audit.append(session, event)


def _ignore(_done_bytes: int) -> None:
    return None
