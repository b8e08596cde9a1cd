"""What becomes of a slide when it arrives: its scale, its pyramid, its archive."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from slide_samples import MPP, picture
from slide_service import URL, audited, files_of, image, runtime_of, settings_for
from starlette.testclient import TestClient
from waiting import wait_until

from tamsoat.datasets.synthetic.slide_folders import mirax_files
from tamsoat.datasets.synthetic.slide_formats import write_aperio
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.jobs.durable import activity
from tamsoat.inference_service.operations import repository as operations
from tamsoat.inference_service.uploads import pyramids
from tamsoat.inference_service.uploads.slide_files import readable
from tamsoat.inference_service.uploads.tables import Slide


@pytest.fixture(autouse=True)
def able_to_work() -> None:
    """Work done here by hand is not stopped because a worker of this process was, in another test."""
    activity.open("test", {})


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Without a worker: what waits, waits."""
    folder = tmp_path_factory.mktemp("service")
    settings = settings_for(tiny_bundle, folder, f"sqlite:///{folder}/service.db")
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def svs(folder: Path, mpp: float | None) -> bytes:
    write_aperio(folder / "a.svs", picture(), mpp)
    return (folder / "a.svs").read_bytes()


def post(client: TestClient, data: bytes, **form: str) -> Any:
    return client.post(URL, files={"image": ("x", data)}, data=form)


def problem_of(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["type"]).rpartition(":")[2]


def test_a_slide_without_a_scale_waits_for_it(service: TestClient, tmp_path: Path) -> None:
    slide = post(service, svs(tmp_path, None), scale="file").json()
    assert (slide["condition"], slide["mpp"], slide["analysis_id"]) == ("needs-scale", None, None)
    assert (slide["width_px"], slide["objective"], slide["format"]) == (picture().shape[1], 40, "openslide:aperio")
    url = f"{URL}/{slide['slide_id']}"
    assert problem_of(service.patch(url, json={}), 400) == "scale-missing"
    assert problem_of(service.patch(url, json={"mpp": 7}), 422) == "scale-absurd"
    stated = service.patch(url, json={"objective": 40}).json()
    assert (stated["condition"], stated["mpp"], stated["mpp_source"]) == ("ready", 0.25, "stated")
    assert stated["analysis_id"] is not None
    assert service.patch(url, json={"objective": 40}).json() == stated
    assert problem_of(service.patch(url, json={"objective": 20}), 409) == "scale-known"
    assert audited(service, f"slide:{slide['slide_id']}") == ["slide:create", "slide:update"]
    assert problem_of(service.patch(f"{URL}/nobody", json={"objective": 40}), 404) == "slide-not-found"


def test_a_stated_scale_must_agree_with_the_file(service: TestClient, tmp_path: Path) -> None:
    data = svs(tmp_path, 0.251)
    refused = post(service, data, objective="20")
    assert problem_of(refused, 422) == "scale-disagrees"
    assert "0.5 micro" in refused.json()["detail"]
    assert "0.251" in refused.json()["detail"]
    assert post(service, data, objective="40").json()["mpp"] == 0.25


def test_a_plain_image_has_no_scale_of_its_own(service: TestClient) -> None:
    assert problem_of(post(service, image(1), scale="file"), 400) == "scale-missing"
    assert problem_of(post(service, image(1)), 400) == "scale-missing"
    assert problem_of(post(service, image(1), scale="file", mpp="0.25"), 400) == "scale-missing"
    assert problem_of(post(service, image(1), scale="label"), 422) == "slide-statement-invalid"
    known = post(service, image(1), objective="40").json()
    assert (known["format"], known["width_px"], known["condition"]) == ("field", 320, "ready")


def test_pixels_that_are_not_square_are_refused(service: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    scale = {"resolution": (40_000, 36_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, picture(), tile=(256, 256), photometric="rgb", **scale)
    assert problem_of(post(service, path.read_bytes(), scale="file"), 422) == "scale-anisotropic"


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes], **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return stream.getvalue()


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("slide/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("data", "status", "slug"),
    [
        (archive(("readme.txt", b"x")), 415, "image-type-unsupported"),
        (archive(("../a.mrxs", b"x")), 415, "image-type-unsupported"),
        (archive(("/etc/a.mrxs", b"x")), 415, "image-type-unsupported"),
        (archive(("C:/a.mrxs", b"x")), 415, "image-type-unsupported"),
        (archive((link(), b"/etc/passwd")), 415, "image-type-unsupported"),
        (archive(("a.mrxs", b"x"), ("A.MRXS", b"x")), 415, "image-type-unsupported"),
        (archive(("a.zip", archive(("b", b"x")))), 415, "image-type-unsupported"),
        (archive(("a.vsi", b"x"), ("_a_/stack1/frame_t.ets", b"x")), 415, "image-type-unsupported"),
        (archive(("a.mrxs", b"x"), ("b.vms", b"x")), 415, "image-type-unsupported"),
        (archive(("a.mrxs", bytes(2**23)), compression=zipfile.ZIP_DEFLATED), 413, "image-too-large"),
        (archive(("a.mrxs", b"x"), compression=zipfile.ZIP_LZMA), 415, "image-type-unsupported"),
        (archive(("a.mrxs", b"x")), 422, "image-damaged"),
        (archive(("a.mrxs", b"x"))[:-8], 422, "image-damaged"),
        (archive(*((f"{number}", b"") for number in range(20_001))), 415, "image-type-unsupported"),
    ],
    ids=[
        "text", "outside", "absolute", "drive", "link", "same name", "archive inside", "olympus", "two slides", "bomb",
        "rare compression", "incomplete", "cut", "too many",
    ],
)  # fmt: skip
def test_archives_that_are_not_one_slide_are_refused(service: TestClient, data: bytes, status: int, slug: str) -> None:
    assert problem_of(post(service, data, objective="40"), status) == slug


def test_an_archive_is_unpacked_where_it_is_read_and_forgotten_with_its_slide(service: TestClient) -> None:
    data = archive(*mirax_files(picture(), MPP, name="NGUYEN THI A 1980").items())
    slide = post(service, data, scale="file").json()
    assert (slide["media_type"], slide["format"]) == ("application/zip", "openslide:mirax")
    runtime = runtime_of(service)
    with runtime.database.read() as session:
        row = session.get(Slide, slide["slide_id"])
    assert row is not None
    with readable(runtime, row) as file:
        assert (file.path.name, file.path.is_file()) == ("slide.mrxs", True)
        assert "NGUYEN" not in "".join(str(path) for path in file.path.parent.rglob("*"))
    assert service.get(f"{URL}/{slide['slide_id']}/image").content == data
    service.post(f"/api/v1/analyses/{slide['analysis_id']}/cancel")
    assert service.delete(f"{URL}/{slide['slide_id']}").status_code == 204
    assert not file.path.exists()


def strips(folder: Path, **options: Any) -> bytes:
    """A TIFF of one level, in strips, of 4,400 x 300 px: no reader can look at it at random."""
    wide = np.tile(picture()[:300], (1, 7, 1))[:, :4400]
    tifffile.imwrite(folder / "a.tif", wide, rowsperstrip=8, photometric="rgb", **options)
    return (folder / "a.tif").read_bytes()


def test_a_slide_without_levels_gets_a_pyramid(service: TestClient, tmp_path: Path) -> None:
    scale = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    data = strips(tmp_path, **scale)
    slide = post(service, data, scale="file").json()
    assert (slide["condition"], slide["analysis_id"], slide["mpp"]) == ("building", None, 0.25)
    url = f"{URL}/{slide['slide_id']}"
    assert problem_of(service.get(f"{url}/thumbnail.jpg"), 409) == "slide-being-prepared"
    runtime = runtime_of(service)
    pyramids.build(runtime, slide["slide_id"])
    built = service.get(url).json()
    assert (built["condition"], built["pyramid_percent"]) == ("ready", 100)
    assert built["analysis_id"] is not None
    with runtime.database.read() as session:
        row = session.get(Slide, slide["slide_id"])
        assert row is not None
        assert row.pyramid_sha256 is not None
        assert row.pyramid_sha256 in {item.sha256 for item in operations.stored_files(session)}
    with readable(runtime, row) as file:
        info = runtime.slides.describe(*file)
        assert (info.width_px, info.height_px, len(info.levels) > 1) == (4400, 300, True)
    wait_until(lambda: service.get(f"{url}/thumbnail.jpg").status_code == 200)  # the viewer looks every few seconds
    assert service.get(f"{url}/image").content == data
    before = {path.name for path in files_of(service)}
    service.post(f"/api/v1/analyses/{built['analysis_id']}/cancel")
    assert service.delete(url).status_code == 204
    assert before - {path.name for path in files_of(service)} == {slide["sha256"], row.pyramid_sha256}


def test_a_pyramid_does_not_wait_for_the_scale(service: TestClient, tmp_path: Path) -> None:
    slide = post(service, strips(tmp_path), scale="file").json()
    assert (slide["condition"], slide["mpp"]) == ("building", None)
    pyramids.build(runtime_of(service), slide["slide_id"])
    url = f"{URL}/{slide['slide_id']}"
    assert (service.get(url).json()["condition"], service.get(url).json()["analysis_id"]) == ("needs-scale", None)
    assert service.patch(url, json={"mpp": 0.3}).json()["analysis_id"] is not None


def test_a_slide_that_cannot_be_built_is_unreadable(service: TestClient, tmp_path: Path) -> None:
    data = bytearray(strips(tmp_path, compression="zlib"))
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    slide = post(service, bytes(data), objective="40").json()
    if slide["condition"] == "building":
        pyramids.build(runtime_of(service), slide["slide_id"])
    after = service.get(f"{URL}/{slide['slide_id']}").json()
    assert after["condition"] == "unreadable"
    assert after["analysis_id"] is not None
    assert problem_of(service.get(f"{URL}/{slide['slide_id']}/thumbnail.jpg"), 422) == "slide-unreadable"


def test_a_pyramid_begun_before_a_kill_is_built_by_the_next_worker(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends in the middle of the work: the row still says so, and the next one does it."""
    settings = settings_for(tiny_bundle, tmp_path, f"sqlite:///{tmp_path}/service.db")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        slide = post(client, strips(tmp_path), objective="40").json()

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(pyramids, "_write", killed)
            with pytest.raises(KeyboardInterrupt):
                pyramids.build(runtime_of(client), slide["slide_id"])
        assert client.get(f"{URL}/{slide['slide_id']}").json()["condition"] == "building"
    working = settings.model_copy(update={"run_worker": True})
    with TestClient(create_app(working), base_url="http://127.0.0.1") as client:
        url = f"{URL}/{slide['slide_id']}"
        wait_until(lambda: client.get(url).json()["condition"] != "building")
        assert client.get(url).json()["condition"] == "ready"
        analysis = f"/api/v1/analyses/{client.get(url).json()['analysis_id']}"
        wait_until(lambda: client.get(analysis).json()["state"] not in ("queued", "running"))
        assert client.get(analysis).json()["state"] == "completed"
