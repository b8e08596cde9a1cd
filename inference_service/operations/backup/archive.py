"""The two shapes of a backup: a folder, or one uncompressed tar file."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from tamsoat.inference_service.errors import EXIT_OUTPUT, TamsoatError
from tamsoat.inference_service.operations.backup.manifest import BackupDamagedError
from tamsoat.inference_service.storage.local import sync_folder

BLOCK_BYTES = 2**20
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
Advance = Callable[[int], None]
"""Told of bytes that are done."""


class BackupWriteError(TamsoatError):
    """The backup cannot be written: disk full, no permission, name taken."""

    status = 507
    title = "Backup cannot be written"
    slug = "backup-not-writable"
    exit_code = EXIT_OUTPUT


class Writer(Protocol):
    """A backup in the making; files are named as in the manifest."""

    scratch: Path
    """A folder on the disk of the backup, for what is made before it is added."""

    def add(self, name: str, source: BinaryIO, size_bytes: int, advance: Advance) -> str:
        """Add ``size_bytes`` from ``source`` and return their SHA-256.

        Raises:
            OSError: ``source`` ended early, or the disk is full.
        """
        ...

    def link(self, name: str, earlier: Path) -> bool:
        """Give a file of an earlier backup a second name here; False where that cannot be done."""
        ...


class Reader(Protocol):
    """A finished backup."""

    where: str

    def open(self, name: str) -> BinaryIO:
        """A stream of one file; raises BackupDamagedError where it is missing."""
        ...

    def names(self) -> set[str]:
        """Every file in it."""
        ...


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """A writer for ``target`` (a ``.tar`` file, else a folder), which appears under its name only when all is done.

    Raises:
        BackupWriteError: it cannot be written, or something has the name already.
    """
    if target.exists():
        raise BackupWriteError(f"{target}: exists already; a backup is never overwritten")
    partial = target.parent / f".{target.name}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError as error:
        raise BackupWriteError(f"{partial}: another backup is being written, or was interrupted: remove it") from error
    except OSError as error:
        raise BackupWriteError(f"{target.parent}: cannot be written ({(error.strerror or '').lower()})") from error
    try:
        if target.suffix == ".tar":
            with _tar(partial / "backup.tar") as tar:
                yield TarWriter(tar, partial)
            (partial / "backup.tar").rename(target)
            shutil.rmtree(partial)
        else:
            yield FolderWriter(partial)
            shutil.rmtree(partial / ".scratch", ignore_errors=True)
            _sync_all(partial)
            partial.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise BackupWriteError(f"{target}: cannot be written ({(error.strerror or str(error)).lower()})") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


class FolderWriter:
    """See :class:`Writer`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scratch = folder / ".scratch"
        self.scratch.mkdir()

    def add(self, name: str, source: BinaryIO, size_bytes: int, advance: Advance) -> str:
        with _private(self._place(name)) as target:
            digest, copied_bytes = copy(source, target, advance)
            target.flush()
            os.fsync(target.fileno())
        if copied_bytes != size_bytes:
            raise OSError(f"{name}: {copied_bytes} of {size_bytes} bytes")
        return digest

    def link(self, name: str, earlier: Path) -> bool:
        try:
            os.link(earlier, self._place(name))
        except OSError:  # another file system, or one without hard links: then it is copied
            return False
        return True

    def _place(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        return path


class TarWriter:
    """See :class:`Writer`; nothing can be linked into one file."""

    def __init__(self, tar: tarfile.TarFile, scratch: Path) -> None:
        self._tar = tar
        self.scratch = scratch

    def add(self, name: str, source: BinaryIO, size_bytes: int, advance: Advance) -> str:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size_bytes, PRIVATE_FILE
        hashing = _Hashing(source, advance)
        self._tar.addfile(entry, hashing)
        return hashing.digest.hexdigest()

    def link(self, name: str, earlier: Path) -> bool:
        return False


class FolderReader:
    """See :class:`Reader`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def open(self, name: str) -> BinaryIO:
        try:
            return (self._folder / name).open("rb")
        except FileNotFoundError as error:
            raise BackupDamagedError(f"{self.where}: {name} is missing") from error

    def names(self) -> set[str]:
        return {path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if not path.is_dir()}


class TarReader:
    """See :class:`Reader`."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - open as long as the reader
            self._members = {member.name: member for member in self._tar.getmembers() if member.isreg()}
        except tarfile.TarError as error:
            raise BackupDamagedError(f"{path}: is not a whole tar file") from error

    def open(self, name: str) -> BinaryIO:
        stream = self._tar.extractfile(self._members[name]) if name in self._members else None
        if stream is None:
            raise BackupDamagedError(f"{self.where}: {name} is missing")
        return io.BufferedReader(stream)  # type: ignore[type-var]

    def names(self) -> set[str]:
        return set(self._members)


def open_backup(path: Path) -> Reader:
    """A reader of the backup at ``path``.

    Raises:
        BackupDamagedError: there is none.
    """
    if path.is_dir():
        return FolderReader(path)
    if path.is_file():
        return TarReader(path)
    raise BackupDamagedError(f"{path}: there is no backup here")


def copy(source: BinaryIO, target: BinaryIO, advance: Advance) -> tuple[str, int]:
    """Copy everything; returns the SHA-256 and the count of bytes."""
    digest, copied_bytes = hashlib.sha256(), 0
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        target.write(block)
        copied_bytes += len(block)
        advance(len(block))
    return digest.hexdigest(), copied_bytes


class _Hashing(io.RawIOBase):
    """Reads ``source`` and takes the digest of what went through."""

    def __init__(self, source: BinaryIO, advance: Advance) -> None:
        self._source, self._advance = source, advance
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.digest.update(block)
        self._advance(len(block))
        return block


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    with _private(path) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            yield tar
        stream.flush()
        os.fsync(stream.fileno())


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")


def _sync_all(folder: Path) -> None:
    for path in [folder, *(item for item in folder.rglob("*") if item.is_dir())]:
        sync_folder(path)


@contextmanager
def temporary_folder(near: Path | None = None) -> Iterator[Path]:
    """A private folder that is removed at the end; ``near``: on the same disk."""
    with tempfile.TemporaryDirectory(prefix=".tamsoat-", dir=near) as name:
        yield Path(name)
