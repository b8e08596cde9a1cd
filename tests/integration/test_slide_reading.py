"""Slides: ranges, pages, limits, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_inputs import good_jpeg
from slide_service import URL, audited, image, opened, runtime_of, send, settings_for
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=5-99999999", 206, 5, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9-5", 200, 0, None),
        ("bytes=0-1,5-6", 200, 0, None),
        ("pages=1-2", 200, 0, None),
    ],
)
def test_ranges(shared: TestClient, wanted: str, status: int, first: int, last: int | None) -> None:
    data = good_jpeg()
    slide = send(shared, data).json()
    response = shared.get(f"{URL}/{slide['slide_id']}/image", headers={"Range": wanted})
    assert response.status_code == status
    if status == 416:
        assert response.headers["content-range"] == f"bytes */{len(data)}"
        return
    assert response.content == data[first:last]
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def shared(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("slides")
    with opened(settings_for(tiny_bundle, folder, f"sqlite:///{folder}/a.db", max_slide_mib=0.1)) as client:
        yield client


def test_pages(shared: TestClient) -> None:
    made = [send(shared, image(seed)).json()["slide_id"] for seed in range(1, 6)]
    seen: list[str] = []
    before = None
    while len(seen) < 5:
        page = shared.get(URL, params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += [item["slide_id"] for item in page["items"]]
        before = page["next_before"]
    assert seen[:5] == made[::-1]
    assert shared.get(URL, params={"before": "unknown"}).status_code == 404
    assert shared.get(URL, params={"order_id": "unknown"}).json()["items"] == []


def test_a_slide_over_the_limit(shared: TestClient) -> None:
    response = send(shared, b"\xff\xd8\xff" + bytes(2 * 2**20))
    assert (response.status_code, response.json()["type"]) == (413, "urn:tamsoat:problem:upload-too-large")
    response = send(shared, b"\xff\xd8\xff" + bytes(200_000))
    assert response.status_code == 413
    assert not list((runtime_of(shared).settings.data_folder / "incoming").iterdir())


def test_an_image_that_the_caller_has_is_not_sent_again(shared: TestClient) -> None:
    slide = send(shared, good_jpeg()).json()
    url = f"{URL}/{slide['slide_id']}/image"
    etag = shared.get(url).headers["etag"]
    assert shared.get(url, headers={"If-None-Match": etag}).status_code == 304
    changed = shared.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert changed.status_code == 200
    assert "slide:read" in audited(shared, f"slide:{slide['slide_id']}")


def test_statements_that_are_wrong(shared: TestClient) -> None:
    assert shared.post(URL, files={"image": ("a", good_jpeg())}).status_code == 400
    assert send(shared, good_jpeg(), priority="soon").status_code == 422
    assert send(shared, good_jpeg(), order_id="unknown").status_code == 404
    no_file = shared.post(URL, files={"other": ("a", good_jpeg())}, data={"objective": "40"})
    assert no_file.status_code == 422
    assert shared.post(URL, json={"objective": 40}).status_code == 415
    broken = shared.post(URL, content=b"--b\r\nx", headers={"content-type": "multipart/form-data; boundary=b"})
    assert broken.status_code in (400, 422)
    assert not list((runtime_of(shared).settings.data_folder / "incoming").iterdir())
