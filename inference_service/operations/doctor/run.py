"""Run every check; one that breaks down is a finding, not the end."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from sqlalchemy.exc import SQLAlchemyError

from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.keyring import Keyring, read_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.operations.doctor.clock import check_clock
from tamsoat.inference_service.operations.doctor.configuration import check_settings
from tamsoat.inference_service.operations.doctor.database import check_database
from tamsoat.inference_service.operations.doctor.files import check_disk, check_keys, check_model, check_storage
from tamsoat.inference_service.operations.doctor.finding import Context, Finding, fail, ok
from tamsoat.inference_service.operations.doctor.network import check_certificates
from tamsoat.inference_service.operations.doctor.work import check_audit, check_backup, check_jobs, check_webhooks
from tamsoat.inference_service.settings import Settings
from tamsoat.models.bundle import BundleError

Check = Callable[[Context], list[Finding]]
CHECKS: dict[str, Check] = {
    "database": check_database,
    "storage": check_storage,
    "disk": check_disk,
    "model": check_model,
    "keys": check_keys,
    "clock": check_clock,
    "certificate": check_certificates,
    "jobs": check_jobs,
    "webhooks": check_webhooks,
    "audit-log": check_audit,
    "backup": check_backup,
    "settings": check_settings,
}
BROKEN = (TamsoatError, BundleError, OSError, SQLAlchemyError, httpx.HTTPError)


def examine(settings: Settings) -> list[Finding]:
    """Everything that can be found out about the installation of ``settings``; changes nothing but a probe file."""
    findings: list[Finding] = []
    keyring = _keyring(settings, findings)
    database = _database(settings, findings)
    context = Context(settings, database, keyring)
    try:
        for name, check in CHECKS.items():
            try:
                findings += check(context)
            except BROKEN as error:
                findings.append(fail(name, _words(error), "see docs/operations.md"))
    finally:
        if database is not None:
            database.close()
    return findings


def _keyring(settings: Settings, findings: list[Finding]) -> Keyring | None:
    try:
        keyring = read_keyring(settings.keys_path)
    except TamsoatError as error:
        findings.append(fail("keys", str(error), "without them no patient's data can be read (docs/operations.md)"))
        return None
    encryption.install(keyring)
    return keyring


def _database(settings: Settings, findings: list[Finding]) -> Database | None:
    name = "database"
    try:
        database = Database(settings.database_url, wait_s=settings.database_wait_s, pool_size=2, must_exist=True)
        database.ping()
    except TamsoatError as error:
        findings.append(fail(name, str(error), "start it, or correct TAMSOAT_DATABASE_URL; what is in it is unchecked"))
        return None
    findings.append(ok(name, f"{database.engine.dialect.name} answers"))
    return database


def _words(error: Exception) -> str:
    """What went wrong; of an error of the database only its kind, for its text may hold values."""
    return type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error) or type(error).__name__
