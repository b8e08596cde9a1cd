"""Slides sent as forms: what is stored, who sees it, duplicates, limits, deletion."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bad_inputs import good_jpeg
from desk import Desk
from machine_clients import make_client
from people import make_account, make_facility, sign_in
from slide_service import URL, audited, files_of, image, opened, runtime_of, send, settings_for
from sqlalchemy import select
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit import repository as audit_repository
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.tables import COMPLETED, Screening
from tamsoat.inference_service.storage.local import LocalStore
from tamsoat.inference_service.uploads import service
from tamsoat.inference_service.uploads.tables import Slide


@pytest.fixture
def client(tiny_bundle: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A service of its own, without accounts; nothing works on its jobs."""
    with opened(settings_for(tiny_bundle, tmp_path, f"sqlite:///{tmp_path}/a.db")) as client:
        yield client


@pytest.fixture
def either(tiny_bundle: Path, tmp_path: Path, database_url: str) -> Iterator[TestClient]:
    """The same on SQLite and on PostgreSQL."""
    with opened(settings_for(tiny_bundle, tmp_path, database_url)) as client:
        yield client


def test_a_slide_is_stored_and_its_screening_asked_for(client: TestClient) -> None:
    data = good_jpeg()
    response = send(client, data, name="NGUYEN THI A 1980.jpg", priority="urgent")
    assert response.status_code == 202, response.text
    slide = response.json()
    assert response.headers["location"] == f"/api/v1/analyses/{slide['analysis_id']}"
    assert (slide["sha256"], slide["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (slide["media_type"], slide["mpp"], slide["duplicate"]) == ("image/jpeg", 0.25, False)
    assert client.get(f"{URL}/{slide['slide_id']}").json() == {k: v for k, v in slide.items() if k != "duplicate"}
    runtime = runtime_of(client)
    with runtime.store.open(slide["sha256"]) as stream:
        assert stream.read() == data
    with runtime.database.read() as session:
        (screening,) = session.scalars(select(Screening))
        assert (screening.id, screening.slide_id, screening.state) == (
            slide["analysis_id"],
            slide["slide_id"],
            "queued",
        )
        rows = list(audit_repository.stream(session))
    assert audited(client, f"slide:{slide['slide_id']}") == ["slide:create"]
    assert "NGUYEN" not in "".join(map(str, rows))
    assert not list((runtime.settings.data_folder / "incoming").iterdir())


def test_types_are_told_by_content_and_others_refused(client: TestClient) -> None:
    big_tiff = b"II+\x00" + bytes(200)
    assert send(client, big_tiff, name="a.exe").json()["media_type"] == "image/tiff"
    assert send(client, bytes(128) + b"DICM" + bytes(90)).json()["media_type"] == "application/dicom"
    for data, status, slug in (
        (b"%PDF-1.7" + bytes(90), 415, "image-type-unsupported"),
        (b"<svg onload=alert(1)>", 415, "image-type-unsupported"),
        (b"", 400, "image-empty"),
    ):
        response = send(client, data, name="a.jpg")
        assert (response.status_code, response.json()["type"].rpartition(":")[2]) == (status, slug)
    assert len(client.get(URL).json()["items"]) == 2
    assert len(files_of(client)) == 2


def test_the_digest_of_the_sender_is_checked(client: TestClient) -> None:
    data, digest = good_jpeg(), hashlib.sha256(good_jpeg()).hexdigest()
    refused = send(client, data, sha256="0" * 64)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:tamsoat:problem:digest-mismatch")
    field = {"Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}
    refused = client.post(URL, files={"image": ("a", data, "image/jpeg", field)}, data={"objective": "40"})
    assert refused.status_code == 422
    field = {"Content-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"}
    accepted = client.post(
        URL, files={"image": ("a", data, "image/jpeg", field)}, data={"objective": "40", "sha256": digest}
    )
    assert accepted.status_code == 202, accepted.text


def test_the_same_bytes_again_are_the_same_slide_unless_wanted(client: TestClient) -> None:
    first = send(client, good_jpeg()).json()
    again = send(client, good_jpeg(), name="other.jpg")
    assert again.status_code == 200
    assert again.json() == {**first, "duplicate": True}
    wanted = send(client, good_jpeg(), again="true")
    assert wanted.status_code == 202
    assert wanted.json()["slide_id"] != first["slide_id"]
    assert len(files_of(client)) == 1


def test_fifty_at_once_make_one_slide(either: TestClient) -> None:
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: send(either, good_jpeg()), range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
    assert len({answer.json()["slide_id"] for answer in answers}) == 1
    with runtime_of(either).database.read() as session:
        assert len(list(session.scalars(select(Slide)))) == len(list(session.scalars(select(Screening)))) == 1


def test_one_idempotency_key_one_slide_for_a_machine_client(client: TestClient) -> None:
    database = runtime_of(client).database
    machine = make_client(database, make_facility(database, "79009"))
    headers = machine.headers(client)
    assert send(client, good_jpeg(), headers=headers).status_code == 400
    headers["Idempotency-Key"] = "one"
    first = send(client, good_jpeg(), headers=headers, again="true")
    second = send(client, good_jpeg(), headers=headers, again="true")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    other = send(client, image(3), headers=headers, again="true")
    assert other.status_code == 422


def test_another_facility_sees_nothing_and_learns_nothing(either: TestClient) -> None:
    database = runtime_of(either).database
    one, two = make_facility(database, "79001"), make_facility(database, "79002")
    sign_in(either, database, *make_account(database, one, [Role.CYTOTECHNOLOGIST]))
    mine = send(either, good_jpeg()).json()
    sign_in(either, database, *make_account(database, two, [Role.PATHOLOGIST]))
    for path in (f"{URL}/{mine['slide_id']}", f"{URL}/{mine['slide_id']}/image"):
        assert either.get(path).status_code == 404
    assert either.delete(f"{URL}/{mine['slide_id']}").status_code == 404
    assert either.get(URL).json()["items"] == []
    theirs = send(either, good_jpeg())
    assert (theirs.status_code, theirs.json()["duplicate"]) == (202, False)
    assert len(files_of(either)) == 1
    cancel_screenings(either)
    assert either.delete(f"{URL}/{theirs.json()['slide_id']}").status_code == 204
    assert len(files_of(either)) == 1, "the other facility's slide has the same bytes"
    sign_in(either, database, *make_account(database, one, [Role.PATHOLOGIST]))
    assert either.get(f"{URL}/{mine['slide_id']}/image").content == good_jpeg()
    assert either.delete(f"{URL}/{mine['slide_id']}").status_code == 204
    assert files_of(either) == []


def cancel_screenings(client: TestClient) -> None:
    """Stand-in for the worker: every screening has ended."""
    with runtime_of(client).database.write() as session:
        for screening in session.scalars(select(Screening)):
            screening.state = COMPLETED


def test_a_slide_at_work_is_not_deleted_and_a_deleted_one_is_gone(client: TestClient) -> None:
    slide = send(client, good_jpeg()).json()
    busy = client.delete(f"{URL}/{slide['slide_id']}")
    assert (busy.status_code, busy.json()["type"]) == (409, "urn:tamsoat:problem:slide-in-use")
    cancel_screenings(client)
    assert client.delete(f"{URL}/{slide['slide_id']}").status_code == 204
    assert audited(client, f"slide:{slide['slide_id']}") == ["slide:create", "slide:delete"]
    assert client.get(f"{URL}/{slide['slide_id']}").status_code == 404
    assert client.delete(f"{URL}/{slide['slide_id']}").status_code == 404
    fresh = send(client, good_jpeg())
    assert (fresh.status_code, fresh.json()["duplicate"]) == (202, False)
    assert fresh.json()["slide_id"] != slide["slide_id"]
    assert len(files_of(client)) == 1


def test_bytes_of_a_deletion_that_was_cut_short_are_swept(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = send(client, good_jpeg()).json()
    cancel_screenings(client)
    with monkeypatch.context() as broken:
        broken.setattr(service, "purge", lambda *_: None)
        assert client.delete(f"{URL}/{slide['slide_id']}").status_code == 204
    assert len(files_of(client)) == 1
    service.sweep(runtime_of(client))
    assert files_of(client) == []


def test_bytes_deleted_while_the_same_ones_arrive_are_put_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tamsoat.inference_service.uploads import acceptance

    real = acceptance.store_content

    def store_and_lose(runtime: Runtime, file: acceptance.WholeFile) -> None:
        real(runtime, file)
        runtime.store.delete(file.sha256)

    monkeypatch.setattr(acceptance, "store_content", store_and_lose)
    slide = send(client, good_jpeg()).json()
    assert client.get(f"{URL}/{slide['slide_id']}/image").content == good_jpeg()


def test_quota_of_a_facility(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = settings_for(
        tiny_bundle, tmp_path, f"sqlite:///{tmp_path}/a.db", facility_quota_gib=1.5 * len(good_jpeg()) / 2**30
    )
    with opened(settings) as client:
        assert send(client, good_jpeg()).status_code == 202
        full = send(client, image(1))
        assert (full.status_code, full.json()["type"]) == (507, "urn:tamsoat:problem:quota-exceeded")
        assert "used" in full.json()["detail"]
        assert send(client, good_jpeg()).status_code == 200, "a duplicate takes no space"
        assert len(files_of(client)) == 1, "what was refused takes none either"


def test_a_full_disk_is_said_so_and_nothing_is_left(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(LocalStore, "put", full)
        response = send(client, good_jpeg())
        assert (response.status_code, response.json()["type"]) == (507, "urn:tamsoat:problem:storage-full")
    assert client.get(URL).json()["items"] == []
    assert send(client, good_jpeg()).status_code == 202


def test_openapi_describes_the_form(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"][URL]["post"]
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(schema["properties"]) == {
        "image",
        "objective",
        "mpp",
        "scale",
        "order_id",
        "priority",
        "sha256",
        "again",
    }
    assert json.dumps(operation).count("quota-exceeded")


def test_slides_of_orders(either: TestClient) -> None:
    """The bytes of one order are not taken for another's in silence, and an order keeps its slides."""
    desk = Desk.at(either, (Role.CYTOTECHNOLOGIST, Role.PATHOLOGIST))
    patient = {"name": "Trần Thị Lan"}
    one, two = (desk.order({"patient": patient, "number": number})["order_id"] for number in ("P-1", "P-2"))
    first = send(either, good_jpeg(), order_id=one)
    assert (first.status_code, first.json()["order_id"]) == (202, one)
    assert send(either, good_jpeg(), order_id=one).json()["duplicate"]
    for order in ({"order_id": two}, {}):
        mixed_up = send(either, good_jpeg(), **order)
        assert (mixed_up.status_code, mixed_up.json()["type"]) == (409, "urn:tamsoat:problem:image-of-another-order")
    assert send(either, good_jpeg(), order_id=two, again="true").status_code == 202
    assert [slide["order_id"] for slide in desk.get(f"{URL}?order_id={two}")["items"]] == [two]
    path = f"{URL}/{first.json()['slide_id']}"
    either.get(path)
    assert "slide:read" in audited(either, f"slide:{first.json()['slide_id']}")
    cancel_screenings(either)
    kept = either.delete(path)
    assert (kept.status_code, kept.json()["type"]) == (409, "urn:tamsoat:problem:slide-in-use")
    desk.post(f"/api/v1/orders/{one}/cancel", {"reason": "entered-in-error"})
    assert either.delete(path).status_code == 204
    closed = send(either, image(2), order_id=one)
    assert (closed.status_code, closed.json()["type"]) == (409, "urn:tamsoat:problem:order-closed")
    Desk.at(either)
    assert send(either, image(2), order_id=two).status_code == 404, "the order of another facility"


def test_identifiers_that_no_database_takes(either: TestClient) -> None:
    for wrong in ("%00", "a%00b", "'; DROP TABLE slides --", "x" * 64):
        assert either.get(f"{URL}/{wrong}").status_code == 404
        assert either.get(f"/api/v1/uploads/{wrong}").status_code == 404
        assert either.get(f"{URL}?before={wrong}").status_code == 404
        assert either.get(f"{URL}?order_id={wrong}").json()["items"] == []
    assert send(either, good_jpeg(), order_id="a\x00b").status_code == 422
