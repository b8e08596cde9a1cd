"""Pictures of slides over HTTP: what they show, who sees them, what is recorded, floods and hostile requests."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from desk import Desk, open_service
from numpy.typing import NDArray
from PIL import Image
from slide_service import audited
from sqlalchemy import select, update
from starlette.testclient import TestClient
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.consultations.tables import OPEN, WITHDRAWN, Consultation
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.uploads import service as uploads
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.viewing import service
from tamsoat.inference_service.viewing.endpoints import Viewing
from tamsoat.inference_service.viewing.turns import TileTurns

WIDTH, HEIGHT = 700, 530


@dataclass
class Seen:
    """A slide at a desk, and its pixels."""

    desk: Desk
    slide_id: str
    sha256: str
    pixels: NDArray[np.uint8]

    def get(self, path: str, **content: Any) -> Any:
        return self.desk.client.get(f"/api/v1/slides/{self.slide_id}/{path}", **content)

    @property
    def runtime(self) -> Runtime:
        runtime: Runtime = self.desk.client.app.state.runtime  # type: ignore[attr-defined]
        return runtime

    @property
    def viewing(self) -> Viewing:
        viewing: Viewing = self.desk.client.app.state.viewing  # type: ignore[attr-defined]
        return viewing


def picture(response: Any) -> NDArray[np.uint8]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(response.content)))


def send(desk: Desk, data: bytes, **form: str) -> dict[str, Any]:
    response = desk.client.post(
        "/api/v1/slides", files={"image": ("a", data)}, data=form or {"objective": "40"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )  # fmt: skip
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("viewing")
    with open_service(tiny_bundle, folder, f"sqlite:///{folder}/a.db") as client:
        yield client


@pytest.fixture
def seen(client: TestClient) -> Seen:
    """A smooth field of its own, so that JPEG changes little of it, at a desk of its own."""
    seed = uuid.uuid4().int % 200
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([x * 255 / WIDTH, y * 255 / HEIGHT, np.full_like(x, seed, dtype=float)], axis=2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    desk = Desk.at(client, (Role.PATHOLOGIST,))
    slide = send(desk, stream.getvalue())
    return Seen(desk, slide["slide_id"], slide["sha256"], pixels)


def test_the_view_says_what_the_tiles_are_of(seen: Seen) -> None:
    view = seen.get("view").json()
    assert (view["width_px"], view["height_px"], view["mpp"], view["levels"]) == (WIDTH, HEIGHT, 0.25, 10)
    assert (view["tile_px"], view["planes"], view["best_plane"], view["condition"]) == (256, 1, 0, "ready")
    whole = picture(seen.desk.client.get(view["thumbnail"]))
    assert whole.shape == (round(HEIGHT * 512 / WIDTH), 512, 3)


def test_tiles_put_together_are_the_slide(seen: Seen) -> None:
    whole = np.zeros_like(seen.pixels)
    for row in range(3):
        for column in range(3):
            tile = picture(seen.get(f"tiles/10/{column}_{row}.jpg"))
            assert tile.shape[:2] == (min(256, HEIGHT - 256 * row), min(256, WIDTH - 256 * column))
            whole[256 * row : 256 * row + 256, 256 * column : 256 * column + 256] = tile
    assert np.abs(whole.astype(int) - seen.pixels).max() <= 8
    half = picture(seen.get("tiles/9/0_0.jpg"))
    assert np.abs(half[100, 100].astype(int) - seen.pixels[200, 200]).max() <= 6
    assert picture(seen.get("tiles/0/0_0.jpg")).shape == (1, 1, 3)


def test_a_crop_is_around_its_place_and_white_beyond_the_edge(seen: Seen) -> None:
    made = picture(seen.get("crop.jpg", params={"x": 300, "y": 200, "side_um": 25, "px": 100}))
    assert np.abs(made.astype(int) - seen.pixels[150:250, 250:350]).max() <= 8
    corner = picture(seen.get("crop.jpg", params={"x": 0, "y": 0, "side_um": 25, "px": 100}))
    assert corner[:40].min() > 245
    assert corner[60:, 60:].max() < 255 or seen.pixels[0, 0].max() > 245
    for_report = service.crop(seen.runtime, row_of(seen), 300, 200, 25, 100)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(for_report))), made)


def row_of(seen: Seen) -> Slide:
    with seen.runtime.database.read() as session:
        slide = session.get(Slide, seen.slide_id)
        assert slide is not None
        session.expunge(slide)
        return slide


def test_browsers_keep_pictures_and_ask_by_tag(seen: Seen) -> None:
    first = seen.get("tiles/10/0_0.jpg")
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert first.headers["vary"] == "Authorization, Cookie"
    known = seen.get("tiles/10/0_0.jpg", headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", first.headers["etag"])
    tags = {
        seen.get(path).headers["etag"] for path in ("tiles/10/1_0.jpg", "tiles/9/0_0.jpg", "thumbnail.jpg", "crop.jpg")
    }
    assert len(tags | {first.headers["etag"]}) == 5
    refused = seen.get("tiles/10/9_9.jpg")
    assert (refused.status_code, refused.headers["cache-control"]) == (404, "no-store")


def test_a_tile_is_read_once_and_then_comes_from_disk(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    seen.get("view")
    gate, made = threading.Event(), list[str]()
    real = service.make

    def slow(runtime: Runtime, cache: Any, wanted: service.Picture) -> bytes:
        made.append(wanted.name)
        assert gate.wait(WAIT_S)
        return real(runtime, cache, wanted)

    monkeypatch.setattr(service, "make", slow)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(seen.get, "tiles/10/1_1.jpg") for _ in range(8)]
        wait_until(lambda: made)
        gate.set()
        answers = [future.result(WAIT_S) for future in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(made) == len(set(made)) == 1
    assert seen.get("tiles/10/1_1.jpg").content == answers[0].content
    assert len(made) == 1


def test_a_flood_of_tiles_is_refused_and_stops_nobody_else(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    seen.get("view")
    gate, made = threading.Event(), list[str]()
    real = service.make

    def slow(runtime: Runtime, cache: Any, wanted: service.Picture) -> bytes:
        made.append(wanted.name)
        assert gate.wait(WAIT_S)
        return real(runtime, cache, wanted)

    monkeypatch.setattr(service, "make", slow)
    monkeypatch.setattr(seen.viewing, "turns", TileTurns(2, 3))
    with ThreadPoolExecutor(10) as threads:
        asked = [threads.submit(seen.get, "crop.jpg", params={"x": n, "y": n}) for n in range(5)]
        wait_until(lambda: len(seen.viewing.turns._tasks) == 5)  # every place is taken
        refused = [
            future.result(WAIT_S)
            for future in [threads.submit(seen.get, "crop.jpg", params={"x": 99 + n}) for n in range(5)]
        ]
        busy = [answer for answer in refused if answer.status_code == 503]
        assert len(busy) == 5
        assert all(answer.headers["retry-after"] for answer in busy)
        assert busy[0].json()["type"].endswith(":tiles-busy")
        assert seen.desk.client.get("/healthz").status_code == 200
        assert seen.desk.client.get("/api/v1/analyses").status_code == 200
        gate.set()
        assert {future.result(WAIT_S).status_code for future in asked} == {200}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tiles/11/0_0.jpg", 404),
        ("tiles/10/3_0.jpg", 404),
        ("tiles/10/0_3.jpg", 404),
        ("tiles/10/0_0.jpg?plane=1", 404),
        ("tiles/2147483647/0_0.jpg", 404),
        ("tiles/10/2147483647_0.jpg", 404),
        ("tiles/99999999999999999999/0_0.jpg", 422),
        ("tiles/-1/0_0.jpg", 422),
        ("tiles/10/-1_0.jpg", 422),
        ("tiles/10/0.5_0.jpg", 422),
        ("tiles/10/0_0.png", 404),
        ("tiles/10/..%2f..%2fetc_0.jpg", 404),
        ("tiles/10/0_0.jpg?plane=-1", 422),
        ("crop.jpg?x=701&y=3", 404),
        ("crop.jpg?x=nan", 422),
        ("crop.jpg?x=1e400", 422),
        ("crop.jpg?px=100000", 422),
        ("crop.jpg?side_um=0", 422),
        ("crop.jpg?side_um=1e9", 422),
        ("crop.jpg?side_um=-5", 422),
        ("crop.jpg?plane=7", 404),
    ],
)
def test_what_does_not_exist_is_said_so(seen: Seen, path: str, status: int) -> None:
    response = seen.get(path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_another_facility_sees_nothing_until_it_is_asked(seen: Seen, client: TestClient) -> None:
    paths = ("view", "tiles/10/0_0.jpg", "thumbnail.jpg", "crop.jpg")
    assert all(seen.get(path).status_code == 200 for path in paths)
    other = Desk.at(client, (Role.PATHOLOGIST,))
    foreign = Seen(other, seen.slide_id, seen.sha256, seen.pixels)
    known = {"If-None-Match": "*"}
    assert {foreign.get(path, headers=known).status_code for path in paths} == {404}
    consultation_id = ask(seen, other)
    assert [foreign.get(path).status_code for path in paths] == [200] * 4
    with other.database.write() as session:
        session.execute(update(Consultation).where(Consultation.id == consultation_id).values(state=WITHDRAWN))
    seen.viewing.sights.__init__()  # type: ignore[misc] # as after the few seconds for which it is remembered
    assert {foreign.get(path).status_code for path in paths} == {404}


def ask(seen: Seen, other: Desk) -> str:
    """An open question about the slide's case to the person at the other desk."""
    now = datetime.now(UTC)
    case_id = row_of(seen).case_id
    assert case_id is not None
    with other.database.write() as session:
        consultant = session.scalars(select(Account).where(Account.facility_id == other.facility_id)).one()
        asked = Consultation(
            id=str(uuid.uuid4()), facility_id=seen.desk.facility_id, case_id=case_id, asked_by="local",
            consultant=consultant.id, consultant_facility_id=other.facility_id, question="?", state=OPEN,
            expires_at=now + timedelta(days=1), created_at=now,
        )  # fmt: skip
        session.add(asked)
        return asked.id


def test_opening_is_recorded_and_tiles_are_part_of_it(seen: Seen, client: TestClient) -> None:
    def reads() -> int:
        return audited(client, f"slide:{seen.slide_id}").count("slide:read")

    assert reads() == 0
    seen.get("tiles/10/0_0.jpg")
    assert reads() == 1, "also without opening"
    for _ in range(3):
        seen.get("tiles/10/1_0.jpg")
        seen.get("crop.jpg")
        seen.get("thumbnail.jpg")
    assert reads() == 1
    seen.get("view")
    seen.get("view")
    assert reads() == 3
    seen.desk.sit_down((Role.CYTOTECHNOLOGIST,))
    seen.get("tiles/10/0_0.jpg")
    assert reads() == 4, "another person"


def test_nobody_without_a_readers_role_sees_a_tile(seen: Seen) -> None:
    seen.desk.sit_down((Role.RESEARCHER,))
    assert seen.get("tiles/10/0_0.jpg").status_code == 403
    seen.desk.client.cookies.clear()
    assert seen.get("tiles/10/0_0.jpg").status_code == 401


def test_a_deleted_slide_is_gone_with_its_pictures(seen: Seen) -> None:
    for path in ("thumbnail.jpg", "tiles/10/0_0.jpg", "tiles/10/1_0.jpg"):
        picture(seen.get(path))
    with seen.runtime.database.write() as session:
        row = session.get(Slide, seen.slide_id)
        assert row is not None
        row.deleted_at = datetime.now(UTC)
    uploads.purge(seen.runtime, seen.slide_id)
    assert seen.viewing.cache.forget(seen.sha256) == 0, "nothing is left"
    seen.viewing.sights.__init__()  # type: ignore[misc] # as after the few seconds for which it is remembered
    assert seen.get("tiles/10/0_0.jpg").status_code == 404


def test_without_a_scale_there_are_tiles_but_no_micrometres(seen: Seen) -> None:
    with seen.runtime.database.write() as session:
        session.execute(update(Slide).where(Slide.id == seen.slide_id).values(mpp=None, condition="needs-scale"))
    view = seen.get("view").json()
    assert (view["mpp"], view["condition"]) == (None, "needs-scale")
    picture(seen.get("tiles/10/0_0.jpg"))
    refused = seen.get("crop.jpg")
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "slide-scale-unknown")


def test_each_focal_plane_has_its_tiles(client: TestClient) -> None:
    desk = Desk.at(client, (Role.PATHOLOGIST,))
    planes = np.stack([np.full((600, 520, 3), value, np.uint8) for value in (60, 120, 180)])
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, planes, ome=True, photometric="rgb", tile=(256, 256),
        metadata={"axes": "ZYXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 1.0},
    )  # fmt: skip
    slide = send(desk, stream.getvalue(), mpp="0.25")
    seen = Seen(desk, slide["slide_id"], slide["sha256"], planes)
    view = seen.get("view").json()
    assert (view["planes"], view["best_plane"]) == (3, 1)
    for plane, value in enumerate((60, 120, 180)):
        assert abs(int(picture(seen.get(f"tiles/10/0_0.jpg?plane={plane}")).mean()) - value) <= 2
    assert abs(int(picture(seen.get("thumbnail.jpg")).mean()) - 120) <= 2
    assert seen.get("tiles/10/0_0.jpg?plane=3").status_code == 404
