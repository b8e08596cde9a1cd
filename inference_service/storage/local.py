"""The content store on local disk: ``ab/cd/abcd…`` under one folder, written durably, read-only once there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tamsoat.inference_service.storage.store import (
    BLOCK_BYTES,
    ContentMissingError,
    StorageUnavailableError,
    check_digest,
    verify_file,
)

READ_ONLY = 0o440
FOLDER_MODE = 0o750


class LocalStore:
    """See :class:`~tamsoat.inference_service.storage.store.ContentStore`.

    A file appears under its digest by one rename, after its bytes and before its folder are flushed to disk: after a
    power cut it is there whole or not at all. Folder and files are closed to other users of the machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)

    @property
    def location(self) -> str:
        return str(self.folder)

    def put(self, path: Path, sha256: str) -> None:
        verify_file(path, sha256)
        self._place(path, self._path(sha256))

    def open(self, sha256: str, start_byte: int = 0) -> BinaryIO:
        try:
            stream = self._path(sha256).open("rb")
        except FileNotFoundError as error:
            raise _missing() from error
        stream.seek(start_byte)
        return stream

    @contextmanager
    def local_path(self, sha256: str) -> Iterator[Path]:
        path = self._path(sha256)
        if not path.is_file():
            raise _missing()
        yield path

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).is_file()

    def size(self, sha256: str) -> int:
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise _missing() from error

    def delete(self, sha256: str) -> None:
        path = self._path(sha256)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)

    def check(self) -> None:
        probe = self.folder / f".probe-{secrets.token_hex(8)}"
        try:
            with probe.open("wb") as stream:
                stream.write(b"tamsoat")
                stream.flush()
                os.fsync(stream.fileno())
            if probe.read_bytes() != b"tamsoat":
                raise StorageUnavailableError(f"{self.folder}: what was written is not read back")
        except OSError as error:
            raise StorageUnavailableError(f"{self.folder}: cannot be written ({error.strerror})") from error
        finally:
            probe.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        check_digest(sha256)
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    def _place(self, source: Path, final: Path) -> None:
        """Make ``final`` the durable copy of ``source``: a second name where the file system allows, else a copy."""
        self._make_folder(final.parent)
        temporary = final.parent / f".{final.name[:8]}-{secrets.token_hex(8)}"
        try:
            try:
                os.link(source, temporary)
            except OSError:  # another file system, or one without hard links
                with source.open("rb") as reader, temporary.open("wb") as writer:
                    shutil.copyfileobj(reader, writer, BLOCK_BYTES)
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(READ_ONLY)
            os.replace(temporary, final)
            sync_folder(final.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        for step in (folder.parent, folder):
            if not step.is_dir():
                step.mkdir(exist_ok=True, mode=FOLDER_MODE)
                sync_folder(step.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to disk (where the system can)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing() -> ContentMissingError:
    return ContentMissingError("a stored file is missing: restore the files from the backup that fits the database")
