"""Is a backup whole?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.operations.backup import manifest, postgresql
from tamsoat.inference_service.operations.backup.archive import (
    BLOCK_BYTES,
    Reader,
    copy,
    open_backup,
    temporary_folder,
)
from tamsoat.inference_service.operations.backup.create import Report
from tamsoat.inference_service.operations.backup.manifest import (
    MANIFEST,
    POSTGRESQL_DUMP,
    SEALED_KEYS,
    SIGNATURE,
    SQLITE_DATABASE,
    AuditState,
    BackupDamagedError,
    Manifest,
)
from tamsoat.inference_service.operations.backup.plan import IN_THE_BACKUP


@dataclass(frozen=True)
class Checked:
    """A whole backup."""

    manifest: Manifest
    manifest_sha256: str
    reader: Reader


def open_manifest(path: Path) -> Checked:
    """Read what a backup says about itself; its signature is checked, its files are not yet.

    Raises:
        BackupDamagedError: there is no backup, or its manifest was altered.
    """
    reader = open_backup(path)
    with reader.open(MANIFEST) as stream:
        content = stream.read()
    with reader.open(SIGNATURE) as stream:
        signature = stream.read()
    return Checked(manifest.read(content, signature, str(path)), manifest.digest(content), reader)


def verify(path: Path, report: Report) -> Checked:
    """Read every byte of a backup and compare it with the manifest; then the database in it with its audit log.

    A PostgreSQL dump is read through by pg_restore; its audit log can be verified only where it is restored.

    Raises:
        BackupDamagedError: it is not whole; the first bad file is named.
        PostgresqlToolError: the dump cannot be read.
    """
    checked = open_manifest(path)
    verify_digests(checked, report)
    name = SQLITE_DATABASE if checked.manifest.database == "sqlite" else POSTGRESQL_DUMP
    with temporary_folder() as folder:
        copied = folder / Path(name).name
        with checked.reader.open(name) as source, copied.open("wb") as target:
            copy(source, target, lambda _bytes: None)
        if checked.manifest.database == "postgresql":
            postgresql.check_dump(copied)
            return checked
        database = Database(f"sqlite:///{copied}", pool_size=1)
        try:
            verify_audit(database, checked.manifest.audit)
        finally:
            database.close()
    return checked


def verify_digests(checked: Checked, report: Report) -> None:
    """Compare every file with the manifest.

    Raises:
        BackupDamagedError: one is missing, altered or too much.
    """
    written, reader = checked.manifest, checked.reader
    expected: dict[str, tuple[int, str]] = {item.name: (item.bytes, item.sha256) for item in written.members}
    if written.files_at == IN_THE_BACKUP:
        expected |= {item.name: (item.bytes, item.sha256) for item in written.files}
    if (written.keys.where == "sealed") != (SEALED_KEYS in expected):
        raise BackupDamagedError(f"{reader.where}: the manifest contradicts itself about the keys")
    surplus = reader.names() - set(expected) - {MANIFEST, SIGNATURE}
    if surplus:
        raise BackupDamagedError(f"{reader.where}: {min(surplus)} does not belong to the backup")
    done_bytes = 0
    for name, (size_bytes, digest) in expected.items():
        found_digest, found_bytes = _digest_of(reader, name)
        if (found_bytes, found_digest) != (size_bytes, digest):
            raise BackupDamagedError(f"{reader.where}: {name} was altered: its SHA-256 is not that of the manifest")
        done_bytes += size_bytes
        report("verify", done_bytes, written.total_bytes)


def verify_audit(database: Database, state: AuditState) -> None:
    """The audit log is whole and its first ``state.size`` entries are those that the backup names.

    The schema is brought to this program's first, so ``database`` is a copy, or freshly restored.

    Raises:
        BackupDamagedError: it is not.
        SchemaTooNewError: the backup comes from a newer version of the program.
    """
    migrations.upgrade(database)
    with database.read() as session:
        outcome = audit.verify(session)
    if not outcome.whole:
        raise BackupDamagedError(
            f"the audit log in the backup is broken at sequence {outcome.first_bad_sequence}: {outcome.reason}"
        )
    with database.read() as session:
        found = repository.audit_state(session, state.size)
    if found != state:
        raise BackupDamagedError(
            f"the audit log in the backup does not reach the manifest's entry {state.size}: database and manifest do "
            "not belong together"
        )


def _digest_of(reader: Reader, name: str) -> tuple[str, int]:
    digest, count_bytes = hashlib.sha256(), 0
    with reader.open(name) as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            count_bytes += len(block)
    return digest.hexdigest(), count_bytes
