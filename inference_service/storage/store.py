"""The content store: files named by the SHA-256 of their bytes, on local disk or in an S3-compatible bucket.

It knows bytes, not facilities: who may see a file is decided by slide rows (``uploads``). Nothing in it is ever
changed; a file is written once under its digest and can only be deleted.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from tamsoat.inference_service.errors import EXIT_OUTPUT, EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import Settings

BLOCK_BYTES = 2**20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class StorageUnavailableError(TamsoatError):
    """The store of slide files does not answer, or refuses."""

    status = 503
    title = "File storage unavailable"
    slug = "storage-unavailable"
    exit_code = EXIT_OUTPUT


class ContentMissingError(TamsoatError):
    """The store has no file with this digest."""

    status = 500
    title = "Stored file is missing"
    slug = "content-missing"
    exit_code = EXIT_OUTPUT


class ContentAlteredError(TamsoatError):
    """The bytes on disk are not those that were announced: a fault of disk or memory, or another program's."""

    status = 500
    title = "Stored file was altered"
    slug = "content-altered"
    exit_code = EXIT_OUTPUT


class StorageUrlError(TamsoatError):
    """TAMSOAT_STORAGE_URL cannot be used."""

    status = 500
    title = "Storage settings cannot be used"
    slug = "storage-settings"
    exit_code = EXIT_USAGE


class ContentStore(Protocol):
    """Where the bytes of slides are. Thread-safe; several processes may use the same one.

    Digests are SHA-256, 64 lower-case hex digits. Every method may raise StorageUnavailableError.
    """

    @property
    def location(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    def put(self, path: Path, sha256: str) -> None:
        """Store the finished file at ``path`` durably; the caller removes ``path`` afterwards. Idempotent.

        The bytes are read back from ``path`` and compared with ``sha256`` first.

        Raises:
            ContentAlteredError: they differ; nothing was stored.
            OSError: the disk is full or cannot be written; nothing was stored.
        """
        ...

    def open(self, sha256: str, start_byte: int = 0) -> BinaryIO:
        """A stream of the bytes from ``start_byte`` on; close it.

        Raises:
            ContentMissingError: there is no such file.
        """
        ...

    def local_path(self, sha256: str) -> AbstractContextManager[Path]:
        """The content as a file of this machine, to be read only inside the ``with`` block.

        Raises:
            ContentMissingError: there is no such file.
            ContentAlteredError: a copy fetched from afar does not have its digest.
        """
        ...

    def exists(self, sha256: str) -> bool:
        """Whether the content is stored."""
        ...

    def size(self, sha256: str) -> int:
        """Its length in bytes.

        Raises:
            ContentMissingError: there is no such file.
        """
        ...

    def delete(self, sha256: str) -> None:
        """Remove the content; nothing happens where there is none."""
        ...

    def check(self) -> None:
        """Write, read and delete a small file, or raise what is in the way."""
        ...


def check_digest(sha256: str) -> str:
    """Return ``sha256`` when it has the form of one: nothing else may become a path or a key.

    Raises:
        ValueError: it has not; a fault of the program.
    """
    if not _DIGEST.fullmatch(sha256):
        raise ValueError("not a SHA-256 digest in lower-case hex")
    return sha256


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of a file, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify_file(path: Path, sha256: str) -> None:
    """Raise ContentAlteredError where the file does not have the digest ``sha256``."""
    if file_digest(path) != check_digest(sha256):
        raise ContentAlteredError("the bytes read back from disk are not those that arrived; send the file again")


def open_store(settings: Settings) -> ContentStore:
    """The store that the settings name; a local folder is made where it is missing.

    Raises:
        StorageUrlError: the URL cannot be used, or its extra (``s3``) is not installed.
        OSError: the folder cannot be made.
    """
    from tamsoat.inference_service.storage.local import LocalStore

    url = settings.storage_url
    if not url:
        return LocalStore(settings.data_folder / "files")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StorageUrlError("TAMSOAT_STORAGE_URL is not a URL") from error
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        try:
            from tamsoat.inference_service.storage.s3 import S3Store
        except ModuleNotFoundError as error:
            raise StorageUrlError(f"{error.name} is missing: pip install 'tamsoat[s3]'") from error
        return S3Store.from_url(url, timeout_s=settings.storage_timeout_s, scratch=incoming_folder(settings))
    raise StorageUrlError("TAMSOAT_STORAGE_URL must be file:///folder or s3://bucket/prefix?endpoint=https://…")


def incoming_folder(settings: Settings) -> Path:
    """Where uploads are written until they are whole; always on this machine."""
    return settings.data_folder / "incoming"
