"""The service's database and keys, opened for a command of an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings, load_settings

ACTOR = "local"
"""Who acts, as the audit log names them: whoever may run commands on this machine."""


@dataclass(frozen=True)
class Opened:
    """What a command works with."""

    settings: Settings
    database: Database


@contextmanager
def administration_of(database_url: str | None) -> Iterator[Opened]:
    """Open database and keys with the settings of the service; both are made where they do not exist yet.

    Raises:
        SettingsError, KeysError, DatabaseUrlError, DatabaseUnavailableError: as named.
    """
    settings = load_settings(database_url=database_url)
    encryption.install(open_keyring(settings.keys_path))
    database = Database(settings.database_url, wait_s=settings.database_wait_s)
    try:
        migrations.upgrade(database)
        yield Opened(settings, database)
    finally:
        database.close()
