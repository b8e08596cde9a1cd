"""``tamsoat restore``: bring a backup back to life."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamsoat.inference_service.cli.backup import PassphraseFile, read_passphrase
from tamsoat.inference_service.cli.progress import ByteProgress
from tamsoat.inference_service.operations.backup.check import open_manifest
from tamsoat.inference_service.operations.backup.restore import restore as restore_backup
from tamsoat.inference_service.operations.backup.target import RestoreTargetError
from tamsoat.inference_service.settings import Settings, load_settings


def restore(
    backup: Annotated[Path, typer.Argument(help="A backup: its folder, or its .tar file.")],
    into: Annotated[
        Path | None,
        typer.Option(help="Folder for a SQLite installation; default: where the settings point.", show_default=False),
    ] = None,
    passphrase_file: PassphraseFile = None,
    keys_in: Annotated[
        Path | None, typer.Option(help="File of the keys, for a backup without them.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option(help="Set aside what is there (it is renamed, not removed).")] = False,
    yes: Annotated[bool, typer.Option(help="With --replace: do not ask.")] = False,
) -> None:
    """Restore database, files and keys into an empty place; the service must be stopped."""
    settings = _settings(into)
    checked = open_manifest(backup)
    passphrase = None
    if keys_in is None and checked.manifest.keys.where == "sealed":
        passphrase = read_passphrase(passphrase_file)
    if replace and not yes:
        _confirm(settings)
    with ByteProgress() as progress:
        done = restore_backup(
            settings, backup, progress.report, passphrase=passphrase, keys_in=keys_in, replace=replace
        )
    console = Console(soft_wrap=True, highlight=False)
    written = done.manifest
    console.print(f"restored: everything stored before {written.moment.isoformat()}")
    console.print(f"  audit log  whole, {written.audit.size} entries, root {written.audit.root}")
    console.print(f"  files      {len(written.files)} slide files")
    if done.set_aside:
        console.print(f"  set aside  {done.set_aside}", markup=False)
    console.print("What happened after that moment is undone: repeat erasures, disabled accounts and revoked clients.")
    console.print("Everyone signs in anew; unfinished jobs go on when the service starts.")
    if done.missing:
        console.print(f"{len(done.missing)} slide files are missing in the S3 store, the first: {done.missing[0]}")
        raise typer.Exit(1)


def _settings(into: Path | None) -> Settings:
    if into is None:
        return load_settings()
    folder = into.resolve()
    return load_settings(database_url=f"sqlite:///{folder}/tamsoat.db", data_dir=folder)


def _confirm(settings: Settings) -> None:
    if not sys.stdin.isatty():
        raise RestoreTargetError("--replace sets the present installation aside: add --yes when nobody can be asked")
    question = f"Set aside the installation in {settings.data_folder} and restore the backup in its place?"
    typer.confirm(question, abort=True, err=True)
