"""The content store: on local disk, and in a bucket of moto's server running as a process of its own."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from bad_inputs import good_jpeg
from starlette.testclient import TestClient
from waiting import wait_until

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.local import LocalStore
from tamsoat.inference_service.storage.s3 import PART_BYTES, S3Store
from tamsoat.inference_service.storage.store import (
    ContentAlteredError,
    ContentMissingError,
    ContentStore,
    StorageUnavailableError,
    StorageUrlError,
    open_store,
)

BUCKET = "slides"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """Address of moto's S3, with the bucket made and credentials in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    os.environ |= {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        wait_until(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, "moto's server ended"
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.kill()
        process.wait()
        os.environ.clear()
        os.environ |= before


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    if request.param == "local":
        return LocalStore(tmp_path / "files")
    endpoint = request.getfixturevalue("s3_endpoint")
    return open_store(
        Settings(storage_url=f"s3://{BUCKET}/{tmp_path.name}?endpoint={endpoint}", data_dir=tmp_path / "data")
    )


def written(folder: Path, content: bytes) -> tuple[Path, str]:
    path = folder / "incoming"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_put_read_and_delete(store: ContentStore, tmp_path: Path) -> None:
    content = os.urandom(PART_BYTES + 12345)  # two parts in a bucket
    path, digest = written(tmp_path, content)
    assert not store.exists(digest)
    store.put(path, digest)
    store.put(path, digest)
    path.unlink()
    assert store.exists(digest)
    assert store.size(digest) == len(content)
    with store.open(digest) as stream:
        assert stream.read() == content
    with store.open(digest, len(content) - 5) as stream:
        assert stream.read() == content[-5:]
    with store.local_path(digest) as local:
        assert local.read_bytes() == content
    store.delete(digest)
    store.delete(digest)
    assert not store.exists(digest)
    for missing in (store.size, store.open):
        with pytest.raises(ContentMissingError):
            missing(digest)
    with pytest.raises(ContentMissingError), store.local_path(digest):
        pass
    store.check()


def test_bytes_that_changed_on_the_way_are_refused(store: ContentStore, tmp_path: Path) -> None:
    path, digest = written(tmp_path, b"as it was sent")
    path.write_bytes(b"as it was read")
    with pytest.raises(ContentAlteredError):
        store.put(path, digest)
    assert not store.exists(digest)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "", "0" * 63, "0" * 64 + "/x"])
def test_only_digests_become_paths(store: ContentStore, name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.exists(name)


def test_local_files_are_read_only_and_leave_nothing_behind(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "files")
    path, digest = written(tmp_path, b"slide")
    store.put(path, digest)
    (kept,) = [entry for entry in (tmp_path / "files").rglob("*") if entry.is_file()]
    assert kept.name == digest
    assert kept.stat().st_mode & 0o777 == 0o440
    assert (tmp_path / "files").stat().st_mode & 0o007 == 0


def test_content_put_where_links_are_impossible_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store = LocalStore(tmp_path / "files")
    path, digest = written(tmp_path, b"slide")
    store.put(path, digest)
    with store.open(digest) as stream:
        assert stream.read() == b"slide"


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "s3:///prefix", "s3://k:s@bucket/p", "s3://bucket/p?secret=1", "file://host/x", "files"]
)
def test_urls_that_cannot_be_used(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageUrlError):
        open_store(Settings(storage_url=url, data_dir=tmp_path))


def test_file_url(tmp_path: Path) -> None:
    store = open_store(Settings(storage_url=f"file://{tmp_path}/kept%20files"))
    assert store.location == f"{tmp_path}/kept files"


def test_a_bucket_that_is_not_there_and_a_store_that_does_not_answer(s3_endpoint: str, tmp_path: Path) -> None:
    path, digest = written(tmp_path, b"slide")
    store = S3Store.from_url(f"s3://nobucket/p?endpoint={s3_endpoint}", timeout_s=2, scratch=tmp_path)
    with pytest.raises((StorageUnavailableError, ContentMissingError)):
        store.put(path, digest)
    with pytest.raises((StorageUnavailableError, ContentMissingError)):
        store.check()
    silent = S3Store.from_url(f"s3://{BUCKET}/p?endpoint=http://127.0.0.1:9", timeout_s=0.2, scratch=tmp_path)
    with pytest.raises(StorageUnavailableError, match="does not answer"):
        silent.exists(digest)


def test_a_slide_in_a_bucket(s3_endpoint: str, tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings(
        model=tiny_bundle, database_url=f"sqlite:///{tmp_path}/a.db", threads=1, run_worker=False, log_level="warning",
        storage_url=f"s3://{BUCKET}/service?endpoint={s3_endpoint}",
    )  # fmt: skip
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        sent = client.post("/api/v1/slides", files={"image": ("a", good_jpeg())}, data={"objective": "40"})
        assert sent.status_code == 202, sent.text
        url = f"/api/v1/slides/{sent.json()['slide_id']}/image"
        assert client.get(url).content == good_jpeg()
        part = client.get(url, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, good_jpeg()[10:20])
    assert not (tmp_path / "files").exists()
