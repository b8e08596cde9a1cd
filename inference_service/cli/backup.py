"""``tamsoat backup``: copy everything while the service runs, and check such a copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamsoat.inference_service.cli.progress import ByteProgress
from tamsoat.inference_service.operations.backup import check, create
from tamsoat.inference_service.operations.backup.plan import BackupSettingsError, Plan
from tamsoat.inference_service.operations.backup.sealed import PassphraseError
from tamsoat.inference_service.settings import load_settings

app = typer.Typer(help="Copy database, files and keys while the service runs.")

PassphraseFile = Annotated[
    Path | None, typer.Option(help="File with the passphrase of the keys, 14 characters or more.", show_default=False)
]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Folder that collects backups, or the .tar file to write.", show_default=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    keys_out: Annotated[
        Path | None,
        typer.Option(help="Write the keys to this file instead of sealing them inside.", show_default=False),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(help="Earlier backup whose unchanged files are shared; default: the newest in --out."),
    ] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Remove all but the newest backups in --out.")] = None,
) -> None:
    """Copy database, files and keys while the service runs; everything stored before it began is in it."""
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise BackupSettingsError("say where the backup goes: tamsoat backup --out FOLDER")
    settings = load_settings()
    passphrase = (
        None if keys_out is not None and passphrase_file is None else read_passphrase(passphrase_file, twice=True)
    )
    plan = Plan(out=out, passphrase=passphrase, keys_out=keys_out, previous=previous, keep=keep)
    with ByteProgress() as progress:
        made = create.create(settings, plan, progress.report)
    written, console = made.manifest, Console(soft_wrap=True, highlight=False)
    console.print(f"backup {made.path}", markup=False)
    console.print(
        f"  {written.total_bytes / 2**20:.1f} MiB, {len(written.files)} slide files, {made.linked} of them shared"
    )
    console.print(f"  audit log  {written.audit.size} entries, root {written.audit.root}")
    console.print(f"  manifest   SHA-256 {made.manifest_sha256}")
    if written.files_at != "backup":
        console.print(f"  slide files are not in it: {written.files_at} keeps its own copies", markup=False)
    if made.removed:
        console.print(f"  removed    {', '.join(made.removed)}")


@app.command()
def verify(
    backup: Annotated[Path, typer.Argument(help="A backup: its folder, or its .tar file.")],
) -> None:
    """Read every byte of a backup: exit 0 when it is whole, otherwise say what is not."""
    with ByteProgress() as progress:
        checked = check.verify(backup, progress.report)
    written, console = checked.manifest, Console(soft_wrap=True, highlight=False)
    console.print(f"backup whole: {written.total_bytes / 2**20:.1f} MiB, {len(written.files)} slide files")
    where = "verified" if written.database == "sqlite" else "verified when it is restored"
    console.print(f"  audit log  {written.audit.size} entries, {where}")
    console.print(f"  moment     {written.moment.isoformat()} (tamsoat {written.program_version})")
    console.print(f"  manifest   SHA-256 {checked.manifest_sha256}")
    if written.keys.where == "separate":
        console.print("  keys       not inside: check that the file of --keys-out is still there")


def read_passphrase(file: Path | None, *, twice: bool = False) -> str:
    """The first line of ``file``, or what a person types; ``twice``: and repeats.

    Raises:
        PassphraseError: the file cannot be read, there is nobody to ask, or the two differ.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise PassphraseError(f"{file}: the passphrase cannot be read") from error
    if not sys.stdin.isatty():
        raise PassphraseError("give --passphrase-file, or run this where a passphrase can be typed")
    return str(typer.prompt("Passphrase of the keys", hide_input=True, confirmation_prompt=twice, err=True))
