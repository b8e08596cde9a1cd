"""What a backup is to be like, and what lies in the folder that collects backups."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.operations.backup import manifest
from tamsoat.inference_service.operations.backup.archive import BackupWriteError, FolderReader
from tamsoat.inference_service.operations.backup.manifest import MANIFEST, SIGNATURE, StoredFile
from tamsoat.inference_service.settings import Settings

IN_THE_BACKUP = "backup"
"""``Manifest.files_at`` of a backup that holds the slide files itself."""
_NAME = re.compile(r"tamsoat-\d{8}T\d{6}Z")


class BackupSettingsError(TamsoatError):
    """The backup was asked for in a way that cannot work."""

    title = "Backup cannot be made this way"
    slug = "backup-settings"
    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Plan:
    """What to make.

    Attributes:
        out: a folder that collects backups, or the ``.tar`` file to write.
        passphrase: seals the keys inside the backup; None: they go to ``keys_out``.
        previous: an earlier backup whose unchanged files are linked; None: the newest in ``out``.
        keep: how many backups of ``out`` stay, this one included; None: all.
    """

    out: Path
    passphrase: str | None = None
    keys_out: Path | None = None
    previous: Path | None = None
    keep: int | None = None


def complete_backups(folder: Path) -> list[Path]:
    """The finished backups in a folder, oldest first."""
    found = folder.glob("tamsoat-*") if folder.is_dir() else ()
    return sorted(path for path in found if _NAME.fullmatch(path.name) and (path / MANIFEST).is_file())


def check(settings: Settings, plan: Plan) -> None:
    """Raise BackupSettingsError where ``plan`` cannot work."""
    if plan.passphrase is None and plan.keys_out is None:
        raise BackupSettingsError(
            "without its keys a backup cannot be read: give --passphrase-file to seal them inside, or --keys-out for "
            "a file apart from the backup"
        )
    if plan.keep is not None and plan.out.suffix == ".tar":
        raise BackupSettingsError("--keep goes with a folder that collects backups, not with one file")
    out = plan.out.resolve()
    if plan.keys_out is not None and plan.keys_out.resolve().is_relative_to(out):
        raise BackupSettingsError("--keys-out is inside the backups: whoever has one would have the other")
    if out.is_relative_to((settings.data_folder / "files").resolve()):
        raise BackupSettingsError(f"{plan.out}: is inside the stored files")


def previous(plan: Plan) -> Path | None:
    """The earlier backup whose files may be linked; raises BackupSettingsError where the one named is none."""
    if plan.previous is not None:
        if not (plan.previous / MANIFEST).is_file():
            raise BackupSettingsError(f"{plan.previous}: is not a backup folder")
        return plan.previous
    complete = complete_backups(plan.out) if plan.out.suffix != ".tar" else []
    return complete[-1] if complete else None


def files_of(previous: Path | None) -> set[StoredFile]:
    """The slide files that lie in an earlier backup."""
    if previous is None:
        return set()
    reader = FolderReader(previous)
    with reader.open(MANIFEST) as content, reader.open(SIGNATURE) as signature:
        earlier = manifest.read(content.read(), signature.read(), reader.where)
    return set(earlier.files) if earlier.files_at == IN_THE_BACKUP else set()


def remove_old(plan: Plan) -> list[str]:
    """Remove all but the newest ``plan.keep`` backups; returns their names."""
    if plan.keep is None:
        return []
    old = complete_backups(plan.out)[: -plan.keep]
    for path in old:
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise BackupWriteError(f"{path}: an old backup cannot be removed ({error.strerror})") from error
    return [path.name for path in old]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Let one backup at a time write into ``out``, and clear away what an interrupted one left.

    Raises:
        BackupWriteError: another backup is running, or the folder cannot be written.
    """
    folder = out.parent if out.suffix == ".tar" else out
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / ".tamsoat-backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BackupWriteError(f"{folder}: cannot be written ({(error.strerror or '').lower()})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.glob(".tamsoat-*.partial"):
            shutil.rmtree(left)
        yield
    except BlockingIOError as error:
        raise BackupWriteError(f"{folder}: another backup is being written there") from error
    finally:
        os.close(handle)
