"""Files on their way in: written block by block, hashed on the way, one writer at a time.

They live in the incoming folder of this machine under names that the service makes up. What is known to have arrived
is in the database; bytes beyond it (a kill in the middle of a request) are cut off when the file is opened again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.storage.local import sync_folder

REMEMBERED_DIGESTS = 256
FOLDER_MODE = 0o700


class UploadLockedError(TamsoatError):
    """Another request is writing this upload."""

    status = 423
    title = "Upload is being written"
    slug = "upload-locked"

    def http_headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}


class IncomingFile:
    """One unfinished file, open for appending at ``offset_bytes``; what is behind it is cut off.

    ``digest`` is the hash of everything before the offset, or None where that is not known; it goes on with what is
    written. Every method blocks.

    Raises:
        UploadLockedError: another process writes it.
        OSError: the disk is full or cannot be written.
    """

    def __init__(self, path: Path, offset_bytes: int = 0, digest: hashlib._Hash | None = None) -> None:
        self.path = path
        self.written_bytes = offset_bytes
        self.digest = hashlib.sha256() if offset_bytes == 0 else digest
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        self._stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        try:
            self._lock()
            if os.fstat(self._stream.fileno()).st_size < offset_bytes:
                raise UploadDamagedError("bytes that had arrived are gone from the disk; begin the upload again")
            self._stream.truncate(offset_bytes)
            self._stream.seek(offset_bytes)
            if new:
                sync_folder(path.parent)
        except BaseException:
            self._stream.close()
            raise

    def write(self, block: bytes | bytearray) -> int:
        """Append all of ``block``."""
        view = memoryview(block)
        while view:
            count = self._stream.write(view)
            view = view[count:]
        self.written_bytes += len(block)
        if self.digest is not None:
            self.digest.update(block)
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """Read from where the file stands."""
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        return self._stream.seek(offset, whence)

    def sync(self) -> None:
        """Return once what was written is on the disk."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close it and let the next writer in."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadLockedError("another request is writing this upload; try again in a moment") from error


class UploadDamagedError(TamsoatError):
    """Bytes that had been acknowledged are not on the disk any more."""

    status = 410
    title = "Upload is damaged"
    slug = "upload-damaged"


class RunningDigests:
    """Hashes of unfinished files between two requests, so that a large file need not be read again at its end.

    Only a short cut: after a restart, or in another process, the file is read. Not thread-safe for one key.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, hashlib._Hash]] = OrderedDict()

    def take(self, upload_id: str, offset_bytes: int) -> hashlib._Hash | None:
        """The hash of the first ``offset_bytes`` bytes, where it is known; it is forgotten here."""
        known, digest = self._kept.pop(upload_id, (-1, None))
        return digest if known == offset_bytes else None

    def keep(self, upload_id: str, file: IncomingFile) -> None:
        """Remember the hash of what ``file`` holds now."""
        if file.digest is not None:
            self._kept[upload_id] = (file.written_bytes, file.digest)
            while len(self._kept) > REMEMBERED_DIGESTS:
                self._kept.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        """Nothing is known of this file."""
        self._kept.pop(upload_id, None)


def remove(path: Path) -> None:
    """Remove an incoming file; nothing happens where it is gone already."""
    path.unlink(missing_ok=True)


def leftovers(folder: Path, older_than_s: float) -> Iterator[Path]:
    """Files of the folder that nobody has written since ``older_than_s`` (seconds since 1970)."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < older_than_s:
                yield path
