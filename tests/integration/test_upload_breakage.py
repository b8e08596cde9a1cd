"""Resumable uploads to a real server: killed, cut off, silent, several writers; the offset stays true."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cutting_proxy import CuttingProxy, cut_points
from service_process import ServerProcess
from tus_client import BODY, ResumingClient, create, head, patch
from waiting import WAIT_S, wait_until


def raw_patch(url: str, location: str, offset: int, data: bytes, announced: int) -> socket.socket:
    """Begin a PATCH and send only `data` of it."""
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port))
    lines = [f"PATCH {location} HTTP/1.1", f"Host: {address.host}", "Tus-Resumable: 1.0.0", f"Upload-Offset: {offset}"]
    lines += [f"Content-Type: {BODY['Content-Type']}", f"Content-Length: {announced}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + data)
    return connection


@pytest.fixture(scope="module")
def image() -> bytes:
    """3 MiB that begin like a JPEG."""
    return b"\xff\xd8\xff\xe0" + os.urandom(3 * 2**20)


def test_kill_9_in_the_middle_of_a_part(tiny_bundle: Path, tmp_path: Path, image: bytes) -> None:
    """The file then holds more than was acknowledged: the offset that is told is the one from which bytes are taken."""
    options = {"data_dir": tmp_path, "run_worker": "false"}
    with ServerProcess(tiny_bundle, tmp_path / "a.db", **options) as server:
        with httpx.Client(base_url=server.url) as client:
            location = create(client, len(image)).headers["Location"]
            assert patch(client, location, 0, image[:10_000]).status_code == 204
        connection = raw_patch(server.url, location, 10_000, image[10_000:2_500_000], len(image) - 10_000)
        (part,) = (tmp_path / "incoming").iterdir()
        wait_until(lambda: part.stat().st_size > 2**20)
        server.stop(signal.SIGKILL)
        connection.close()
    assert part.stat().st_size > 2**20
    with (
        ServerProcess(tiny_bundle, tmp_path / "a.db", **options) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        assert head(client, location).headers["Upload-Offset"] == "10000"
        last = patch(client, location, 10_000, image[10_000:])
        assert last.status_code == 204, last.text
        slide = client.get(f"/api/v1/slides/{last.headers['Tamsoat-Slide']}").json()
        assert slide["sha256"] == hashlib.sha256(image).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, folder: Path) -> Iterator[ServerProcess]:
    """A server that waits long for silent connections."""
    with ServerProcess(
        tiny_bundle, folder / "a.db", data_dir=folder, run_worker="false", upload_idle_s=600, max_slide_mib=8
    ) as server:
        yield server


def arrived_bytes(folder: Path, location: str) -> int:
    """How much of an upload is in its file, which the first byte makes."""
    path = folder / "incoming" / f"{location.rpartition('/')[2]}.upload"
    return path.stat().st_size if path.exists() else 0


def test_a_connection_that_breaks_keeps_what_arrived(server: ServerProcess, folder: Path, image: bytes) -> None:
    with httpx.Client(base_url=server.url) as client:
        location = create(client, len(image)).headers["Location"]
        connection = raw_patch(server.url, location, 0, image[:1_500_000], len(image))
        connection.close()
        wait_until(lambda: arrived_bytes(folder, location) == 1_500_000)
        assert head(client, location).headers["Upload-Offset"] == "1500000"


def test_a_dead_connection_does_not_hold_its_successor_up(server: ServerProcess, folder: Path, image: bytes) -> None:
    """The server still waits for the old connection's bytes when the client is back on a new one."""
    with httpx.Client(base_url=server.url, timeout=WAIT_S) as client:
        location = create(client, len(image), again="true").headers["Location"]
        dead = raw_patch(server.url, location, 0, image[:1_200_000], len(image))
        wait_until(lambda: arrived_bytes(folder, location) > 1_000_000)
        arrived = arrived_bytes(folder, location)
        answer = head(client, location)  # long before the server gives the silent connection up
        offset = int(answer.headers["Upload-Offset"])
        assert arrived <= offset <= 1_200_000
        assert patch(client, location, offset, image[offset:]).headers["Tamsoat-Analysis"]
        dead.close()


def test_a_silent_connection_is_closed_and_what_arrived_is_kept(
    tiny_bundle: Path, tmp_path: Path, image: bytes
) -> None:
    with (
        ServerProcess(tiny_bundle, tmp_path / "a.db", data_dir=tmp_path, run_worker="false", upload_idle_s=1) as server,
        httpx.Client(base_url=server.url, timeout=WAIT_S) as client,
    ):
        location = create(client, len(image)).headers["Location"]
        silent = raw_patch(server.url, location, 0, image[:700_000], len(image))
        silent.settimeout(WAIT_S)
        answer = silent.recv(4096)
        assert b" 408 " in answer.split(b"\r\n", 1)[0]
        silent.close()
        assert head(client, location).headers["Upload-Offset"] == "700000"


def test_many_writers_of_one_upload_at_once(server: ServerProcess, image: bytes, tmp_path: Path) -> None:
    """Whoever wins, the bytes are those of the file."""
    path = tmp_path / "image"
    with httpx.Client(base_url=server.url) as client:
        location = create(client, len(image), again="true").headers["Location"]
    problems: list[str] = []

    def resume() -> None:
        uploader = ResumingClient(server.url, 400_000, timeout_s=WAIT_S)
        uploader._begin = lambda *_: location  # type: ignore[method-assign]
        with path.open("rb") as source:
            try:
                uploader.upload(source, len(image))
            except AssertionError as error:
                problems.append(str(error))

    path.write_bytes(image)
    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert problems == []
    with httpx.Client(base_url=server.url) as client:
        state = client.get(location).json()
        assert client.get(f"/api/v1/slides/{state['slide_id']}").json()["sha256"] == hashlib.sha256(image).hexdigest()


def test_a_line_that_is_cut_five_times(server: ServerProcess, image: bytes, tmp_path: Path) -> None:
    """The short version of benchmarks/resumable_upload.py: whole, and at most two parts sent again per cut."""
    content, chunk = image + image, 512 * 1024
    path = tmp_path / "image"
    path.write_bytes(content)
    port = httpx.URL(server.url).port or 0
    with CuttingProxy(port, cut_points(len(content), 5, seed=3)) as proxy, path.open("rb") as source:
        transfer = ResumingClient(proxy.url, chunk).upload(source, len(content))
        sent_again = proxy.up_bytes - len(content)
        assert proxy.done == 5
    assert sent_again <= 2 * chunk * 5
    with httpx.Client(base_url=server.url) as client:
        slide = client.get("/api/v1/slides").json()["items"][0]
    assert (slide["sha256"], slide["analysis_id"]) == (hashlib.sha256(content).hexdigest(), transfer.analysis_id)
