"""``tamsoat keys``: rotate the key that personal data are encrypted with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.db import encryption, migrations, rotation
from tamsoat.inference_service.db.keyring import Keyring, read_keyring, write_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.db.tables import metadata
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import load_settings

ACTOR = "local"
PASSES_MOST = 20

app = typer.Typer(help="The keys that encrypt personal data.", no_args_is_help=True)


class RotationUnfinishedError(TamsoatError):
    """Processes go on writing under the old key; they read another file of keys."""

    title = "Rotation is not finished"
    slug = "rotation-unfinished"


@app.callback()
def _group() -> None:
    """The keys that encrypt personal data."""


@app.command()
def rotate(
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
) -> None:
    """Make a new key and re-encrypt everything under it, while the service runs.

    Interrupted, it goes on when called again, without another key. The old key stays in the file: backups need it.
    """
    settings = load_settings(database_url=database_url)
    keyring = read_keyring(settings.keys_path)
    database = Database(settings.database_url, wait_s=settings.database_wait_s, must_exist=True)
    try:
        migrations.upgrade(database)
        keyring = _activate(database, keyring, settings.keys_path)
        done = _re_encrypt(database, keyring.active)
        with database.write() as session:
            audit.append(session, _event(keyring, {"state": "completed", "rows": done}))
    finally:
        database.close()
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{done} rows are encrypted under key {keyring.active}; copy {settings.keys_path} to a safe place")


def _activate(database: Database, keyring: Keyring, path: Path) -> Keyring:
    """The keys with a new active one, or as they are where an earlier rotation was interrupted."""
    assert metadata.tables
    encryption.install(keyring)
    with database.read() as session:
        unfinished = rotation.count_outdated(session, keyring.active)
    if unfinished and len(keyring.encryption) > 1:
        return keyring
    renewed = keyring.rotated()
    write_keyring(path, renewed)
    encryption.install(renewed)
    with database.write() as session:
        audit.append(session, _event(renewed, {"state": "begun"}))
    return renewed


def _re_encrypt(database: Database, active: str) -> int:
    """Re-encrypt until nothing under an older key is left; running processes notice the new key within seconds."""
    with database.read() as session:
        total = rotation.count_outdated(session, active)
    done, began_s = 0, time.monotonic()
    with FieldProgress(total, unit="rows") as progress:
        for _ in range(PASSES_MOST):
            for count in rotation.re_encrypt(database, active):
                done += count
                progress.reach(done)
            time.sleep(max(0.0, began_s + 2 * encryption.NOTICE_S - time.monotonic()))
            with database.read() as session:
                if rotation.count_outdated(session, active) == 0:
                    return done
            began_s = time.monotonic()
    raise RotationUnfinishedError(
        "something still writes under the old key: every server and worker must use the same file of keys "
        "(TAMSOAT_KEYS_FILE); restart them and call this again"
    )


def _event(keyring: Keyring, details: dict[str, str | int | bool]) -> Event:
    return Event(ACTOR, Action.KEYS_ROTATE, f"key:{keyring.active}", details=details)
