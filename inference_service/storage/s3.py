"""The content store in an S3-compatible bucket: ``prefix/ab/cd/abcd…``, checksummed on the way, in parts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs, urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tamsoat.inference_service.storage.store import (
    ContentMissingError,
    StorageUnavailableError,
    StorageUrlError,
    check_digest,
    verify_file,
)

ATTEMPTS = 5
PART_BYTES = 16 * 2**20
PARTS_AT_ONCE = 4
CHECKSUM = {"ChecksumAlgorithm": "SHA256"}
_MISSING = ("404", "NoSuchKey", "NotFound")


class S3Store:
    """See :class:`~tamsoat.inference_service.storage.store.ContentStore`.

    The server checks a SHA-256 of every part on arrival; an object appears when its last part is confirmed. What is
    read back to this machine is compared with its digest. ``scratch`` holds files while they are used here.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, scratch: Path) -> None:
        self.client, self.bucket, self.prefix, self.scratch = client, bucket, prefix, scratch
        self._transfer = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )

    @classmethod
    def from_url(cls, url: str, *, timeout_s: float, scratch: Path) -> S3Store:
        """``s3://bucket/prefix?endpoint=https://…&region=…``; credentials as boto3 finds them.

        Raises:
            StorageUrlError: the URL names no bucket, or holds what it should not.
        """
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        endpoint, region = options.pop("endpoint", None), options.pop("region", None)
        if not parts.hostname or options or parts.username or parts.password:
            raise StorageUrlError(
                "TAMSOAT_STORAGE_URL must read s3://bucket/prefix?endpoint=https://…&region=…; credentials belong in "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        config = Config(
            connect_timeout=min(timeout_s, 10.0),
            read_timeout=timeout_s,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path"} if endpoint else None,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            client = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise StorageUrlError(f"TAMSOAT_STORAGE_URL cannot be used ({type(error).__name__})") from error
        prefix = parts.path.strip("/")
        return cls(client, parts.hostname, f"{prefix}/" if prefix else "", scratch)

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def put(self, path: Path, sha256: str) -> None:
        verify_file(path, sha256)
        with _translated():
            self.client.upload_file(
                str(path), self.bucket, self._key(sha256), ExtraArgs=CHECKSUM, Config=self._transfer
            )
        if self.size(sha256) != path.stat().st_size:
            raise StorageUnavailableError("the store kept another number of bytes than it was sent; try again")

    def open(self, sha256: str, start_byte: int = 0) -> BinaryIO:
        with _translated():
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(sha256), Range=f"bytes={start_byte}-")
        return cast(BinaryIO, answer["Body"])

    @contextmanager
    def local_path(self, sha256: str) -> Iterator[Path]:
        self.scratch.mkdir(parents=True, exist_ok=True)
        path = self.scratch / f"{secrets.token_hex(16)}.fetched"
        try:
            with _translated():
                self.client.download_file(self.bucket, self._key(sha256), str(path), Config=self._transfer)
            verify_file(path, sha256)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def exists(self, sha256: str) -> bool:
        try:
            self.size(sha256)
        except ContentMissingError:
            return False
        return True

    def size(self, sha256: str) -> int:
        with _translated():
            return int(self.client.head_object(Bucket=self.bucket, Key=self._key(sha256))["ContentLength"])

    def delete(self, sha256: str) -> None:
        with _translated():
            self.client.delete_object(Bucket=self.bucket, Key=self._key(sha256))

    def check(self) -> None:
        key, content = f"{self.prefix}.probe-{secrets.token_hex(8)}", os.urandom(16)
        with _translated():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")
            back = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            self.client.delete_object(Bucket=self.bucket, Key=key)
        if back != content:
            raise StorageUnavailableError(f"{self.location}: what was written is not read back")

    def _key(self, sha256: str) -> str:
        check_digest(sha256)
        return f"{self.prefix}{sha256[:2]}/{sha256[2:4]}/{sha256}"


@contextmanager
def _translated() -> Iterator[None]:
    """Turn boto3's errors into ones that a person can act on; they never hold credentials."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise ContentMissingError(
                "a stored file is missing: restore the files from the backup that fits the database"
            ) from error
        raise StorageUnavailableError(
            f"the file store refuses ({code}): check TAMSOAT_STORAGE_URL and its rights"
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailableError(
            f"the file store does not answer ({type(error).__name__}): check that it runs and can be reached"
        ) from error
