"""Resumable uploads (tus 1.0): the protocol, true offsets whatever breaks, one slide in the end, owners."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from bad_inputs import good_jpeg
from people import make_account, make_facility, sign_in
from sqlalchemy import func, select
from starlette.testclient import TestClient
from tus_client import BODY, PATH, TUS, create, head, metadata, patch

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import repository as audit_repository
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.tables import Screening
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.storage.store import StorageUnavailableError
from tamsoat.inference_service.uploads import incoming, resumable
from tamsoat.inference_service.uploads.tables import Slide, Upload


def opened(bundle: Path, folder: Path, url: str = "", **more: Any) -> TestClient:
    settings = Settings(
        model=bundle, database_url=url or f"sqlite:///{folder}/a.db", data_dir=folder, threads=1, log_level="warning",
        run_worker=False, password_memory_mib=8, password_passes=1, **more,
    )  # fmt: skip
    return TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture
def client(tiny_bundle: Path, tmp_path: Path) -> Iterator[TestClient]:
    with opened(tiny_bundle, tmp_path) as client:
        yield client


@pytest.fixture(scope="module")
def shared(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with opened(tiny_bundle, tmp_path_factory.mktemp("tus"), max_slide_mib=1) as client:
        yield client


def runtime_of(client: TestClient) -> Runtime:
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    return runtime


def begun(client: TestClient, length: int, **values: str) -> str:
    answer = create(client, length, **values)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def put(client: TestClient, location: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    return patch(client, location, offset, data, **headers)  # type: ignore[arg-type]


def at(client: TestClient, location: str) -> httpx.Response:
    return head(client, location)  # type: ignore[arg-type]


def slug(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def rows(client: TestClient) -> tuple[int, int]:
    """Slides, and screenings asked for."""
    with runtime_of(client).database.read() as session:
        count = lambda table: session.scalar(select(func.count()).select_from(table)) or 0  # noqa: E731
        return count(Slide), count(Screening)


def incoming_files(client: TestClient) -> list[Path]:
    folder = runtime_of(client).settings.data_folder / "incoming"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_from_announcement_to_analysis(client: TestClient) -> None:
    data = good_jpeg()
    location = begun(client, len(data), filename="NGUYEN THI A.jpg", sha256=hashlib.sha256(data).hexdigest())
    answer = at(client, location)
    assert (answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == ("0", str(len(data)))
    assert answer.headers["Cache-Control"] == "no-store"
    assert put(client, location, 0, data[:5000]).headers["Upload-Offset"] == "5000"
    assert at(client, location).headers["Upload-Offset"] == "5000"
    assert "Tamsoat-Analysis" not in at(client, location).headers
    last = put(client, location, 5000, data[5000:])
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(data)))
    state = client.get(location).json()
    assert (state["state"], state["slide_id"]) == ("completed", last.headers["Tamsoat-Slide"])
    assert client.get(f"/api/v1/slides/{state['slide_id']}").json()["analysis_id"] == last.headers["Tamsoat-Analysis"]
    for again in (at(client, location), put(client, location, len(data), b"")):
        assert again.headers["Tamsoat-Analysis"] == last.headers["Tamsoat-Analysis"]
    assert rows(client) == (1, 1)
    assert incoming_files(client) == []
    everything = b"".join(path.read_bytes() for path in runtime_of(client).settings.data_folder.rglob("*.db*"))
    assert b"NGUYEN" not in everything


def test_capabilities(shared: TestClient) -> None:
    answer = shared.options(PATH)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(2**20)
    assert answer.headers["Tus-Extension"] == "creation,checksum,expiration,termination"


def test_what_the_protocol_refuses(shared: TestClient) -> None:
    scale = metadata(objective="40")
    for headers, status in (
        ({"Upload-Length": "5", "Upload-Metadata": scale}, 412),
        ({**TUS, "Tus-Resumable": "0.2.2", "Upload-Length": "5", "Upload-Metadata": scale}, 412),
        ({**TUS, "Upload-Metadata": scale}, 400),
        ({**TUS, "Upload-Length": "-5", "Upload-Metadata": scale}, 400),
        ({**TUS, "Upload-Length": "5"}, 400),
        ({**TUS, "Upload-Length": "0", "Upload-Metadata": scale}, 400),
        ({**TUS, "Upload-Defer-Length": "1", "Upload-Metadata": scale}, 400),
        ({**TUS, "Upload-Length": str(2**21), "Upload-Metadata": scale}, 413),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "mpp %%%"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": metadata(mpp="99")}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": metadata(mpp="0.25", order_id="unknown")}, 404),
    ):
        answer = shared.post(PATH, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
        if status == 412:
            assert answer.headers["Tus-Version"] == "1.0.0"
    location = begun(shared, 100)
    assert put(shared, location, 5, b"x").status_code == 409
    wrong_type = shared.patch(
        location, headers={**TUS, "Upload-Offset": "0", "Content-Type": "text/plain"}, content=b"x"
    )
    assert wrong_type.status_code == 415
    assert shared.patch(location, headers={**TUS, **BODY}, content=b"x").status_code == 400
    assert shared.patch(location, headers={**BODY, "Upload-Offset": "0"}, content=b"x").status_code == 412
    assert (answer := put(shared, location, 0, bytes(101))).status_code == 400, answer.text
    assert slug(answer) == "upload-overrun"
    assert at(shared, location).headers["Upload-Offset"] == "0"
    for unknown in (f"{PATH}/{'0' * 36}", f"{PATH}/..%2f..%2fetc%2fpasswd"):
        assert at(shared, unknown).status_code == 404
        assert put(shared, unknown, 0, b"x").status_code == 404


def test_post_stands_in_for_patch_behind_an_old_proxy(shared: TestClient) -> None:
    location = begun(shared, 100)
    headers = {**TUS, **BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert shared.post(location, headers=headers, content=b"12345").headers["Upload-Offset"] == "5"
    assert shared.post(location, headers={**TUS, "X-HTTP-Method-Override": "GET"}).status_code == 405
    assert shared.post(location, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert at(shared, location).status_code == 404


def test_checksums_of_parts(shared: TestClient) -> None:
    data = good_jpeg()
    location = begun(shared, len(data))

    def field(algorithm: str, content: bytes) -> str:
        return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"

    damaged = put(shared, location, 0, data[:900], Upload_Checksum=field("sha256", b"other"))
    assert (damaged.status_code, slug(damaged)) == (460, "upload-checksum")
    assert at(shared, location).headers["Upload-Offset"] == "0"
    for wrong in ("md5 AAAA", "sha256 %%", "sha256"):
        answer = put(shared, location, 0, data[:900], Upload_Checksum=wrong)
        assert answer.status_code in (400, 460)
    assert put(shared, location, 0, data[:900], Upload_Checksum=field("sha1", data[:900])).status_code == 204
    last = put(shared, location, 900, data[900:], Upload_Checksum=field("sha256", data[900:]))
    assert "Tamsoat-Analysis" in last.headers


@pytest.mark.parametrize(
    ("data", "values", "status", "problem"),
    [
        (b"%PDF-1.7" + bytes(50), {}, 415, "image-type-unsupported"),
        (b"\xff\xd8\xff" + bytes(50), {"sha256": "0" * 64}, 422, "digest-mismatch"),
    ],
    ids=["type", "digest"],
)
def test_a_whole_file_that_is_refused(
    client: TestClient, data: bytes, values: dict[str, str], status: int, problem: str
) -> None:
    location = begun(client, len(data), **values)
    assert put(client, location, 0, data[:20]).status_code == 204
    answer = put(client, location, 20, data[20:])
    assert (answer.status_code, slug(answer)) == (status, problem)
    assert at(client, location).status_code == 410
    state = client.get(location).json()
    assert (state["state"], state["problem"], state["slide_id"]) == ("failed", problem, None)
    assert incoming_files(client) == []
    assert rows(client) == (0, 0)


def test_the_same_bytes_again_name_the_slide_that_is_there(client: TestClient) -> None:
    data = good_jpeg()
    first = put(client, begun(client, len(data)), 0, data)
    second = put(client, begun(client, len(data)), 0, data)
    assert second.headers["Tamsoat-Slide"] == first.headers["Tamsoat-Slide"]
    assert (first.headers["Tamsoat-Duplicate"], second.headers["Tamsoat-Duplicate"]) == ("false", "true")
    third = put(client, begun(client, len(data), again="true"), 0, data)
    assert third.headers["Tamsoat-Slide"] != first.headers["Tamsoat-Slide"]
    assert rows(client) == (2, 2)


def test_uploads_are_their_owners(client: TestClient) -> None:
    database = runtime_of(client).database
    one, two = make_facility(database, "79001"), make_facility(database, "79002")
    owner = make_account(database, one, [Role.CYTOTECHNOLOGIST])
    sign_in(client, database, *owner)
    location = begun(client, 1000)
    put(client, location, 0, bytes(10))
    for facility, role in ((two, Role.CYTOTECHNOLOGIST), (one, Role.PATHOLOGIST)):
        sign_in(client, database, *make_account(database, facility, [role]))
        assert at(client, location).status_code == 404
        assert put(client, location, 10, b"x").status_code == 404
        assert client.delete(location, headers=TUS).status_code == 404
        assert client.get(location).status_code == 404
    client.cookies.clear()
    assert at(client, location).status_code == 401
    assert put(client, location, 10, b"x").status_code == 401
    sign_in(client, database, *owner)
    assert at(client, location).headers["Upload-Offset"] == "10"
    del client.headers["X-CSRF-Token"]
    assert put(client, location, 10, b"x").status_code == 403, "a page elsewhere has the cookie, not the token"


def test_giving_up_and_expiring(client: TestClient) -> None:
    runtime = runtime_of(client)
    location = begun(client, 1000)
    put(client, location, 0, bytes(10))
    assert len(incoming_files(client)) == 1
    assert client.delete(location, headers=TUS).status_code == 204
    assert at(client, location).status_code == 404
    assert incoming_files(client) == []

    location = begun(client, 1000)
    put(client, location, 0, bytes(10))
    with runtime.database.write() as session:
        row = session.get(Upload, location.rpartition("/")[2])
        assert row is not None
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    assert at(client, location).status_code == 404
    orphan = runtime.settings.data_folder / "incoming" / "left-by-a-crash.form"
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    assert resumable.sweep(runtime) == 1
    assert resumable.sweep(runtime) == 0
    assert incoming_files(client) == []
    with runtime.database.read() as session:
        entries = [row for row in audit_repository.stream(session) if row.action == "upload:discard"]
    assert [entry.actor for entry in entries] == ["local", "system"]


def test_quota_counts_what_was_promised(tiny_bundle: Path, tmp_path: Path) -> None:
    with opened(tiny_bundle, tmp_path, facility_quota_gib=1000 / 2**30) as client:
        location = begun(client, 700)
        refused = create(client, 400)  # type: ignore[arg-type]
        assert (refused.status_code, slug(refused)) == (507, "quota-exceeded")
        assert client.delete(location, headers=TUS).status_code == 204
        begun(client, 400)


def test_a_full_disk_keeps_the_offset_true(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    data = good_jpeg()
    location = begun(client, len(data))
    put(client, location, 0, data[:1000])
    real = incoming.IncomingFile.write

    def full(self: incoming.IncomingFile, block: bytes) -> int:
        real(self, block[:100])
        self.written_bytes -= 100
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(incoming.IncomingFile, "write", full)
        answer = put(client, location, 1000, data[1000:])
    assert (answer.status_code, slug(answer)) == (507, "storage-full")
    assert at(client, location).headers["Upload-Offset"] == "1000"
    assert put(client, location, 1000, data[1000:]).headers["Tamsoat-Duplicate"] == "false"
    slide = client.get("/api/v1/slides").json()["items"][0]
    assert slide["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_server_that_died_before_the_slide_was_made_makes_it_when_asked(
    tiny_bundle: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise StorageUnavailableError("as if the process had ended here")

    data = good_jpeg()
    with opened(tiny_bundle, tmp_path, database_url) as client:
        locations = [begun(client, len(data)), begun(client, len(data), again="true")]
        with monkeypatch.context() as dying:
            dying.setattr(resumable, "complete", die)
            assert [put(client, location, 0, data).status_code for location in locations] == [503, 503]
        assert rows(client) == (0, 0)
    with opened(tiny_bundle, tmp_path, database_url) as client:
        asked = at(client, locations[0])
        assert asked.headers["Upload-Offset"] == str(len(data))
        assert at(client, locations[0]).headers["Tamsoat-Analysis"] == asked.headers["Tamsoat-Analysis"]
        resumable.sweep(runtime_of(client))
        resumable.sweep(runtime_of(client))
        assert rows(client) == (2, 2), "the other was finished by the sweep"
        assert client.get(locations[1]).json()["state"] == "completed"
