"""One sample of each format is opened and screened; a damaged one of each is refused with a reason.

docs/slides.md has the table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from slide_samples import MPP, PLANES, SAMPLES, cut, flipped, picture
from slide_service import URL, settings_for
from starlette.testclient import TestClient
from waiting import wait_until

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides import one_shot, packed
from tamsoat.inference_service.slides.errors import ImageError
from tamsoat.inference_service.slides.slide_process import Region, SlideReader, stream_regions
from tamsoat.inference_service.slides.sniff import ZIP, sniff_media_type

Files = dict[str, Path]
LARGEST_DIFFERENCE = 6.0
"""Mean over all pixels: JPEG makes a difference of about 2."""
FLIPS = 3
"""Damaged copies of each format that are tried."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("slides")
    for sample in SAMPLES.values():
        sample.make(folder / sample.file)
    return {name: folder / sample.file for name, sample in SAMPLES.items()}


@pytest.fixture(scope="module")
def reader() -> Iterator[SlideReader]:
    reader = SlideReader(workers=1, memory_mib=1024, timeout_s=60)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("service")
    settings = settings_for(tiny_bundle, folder, f"sqlite:///{folder}/service.db").model_copy(
        update={"run_worker": True}
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def local(path: Path, folder: Path) -> tuple[Path, str]:
    """What ``slide_files`` would hand to a reader."""
    media_type = sniff_media_type(path.read_bytes()[:512])
    if media_type is not None:
        return path, media_type
    folder.mkdir()
    one_shot.run(packed.unpack, path, folder, 2**30, largest_bytes=2**30, timeout_s=60)
    found = packed.unpacked(folder)
    return found.path, found.media_type


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_shows_the_same_picture(name: str, files: Files, reader: SlideReader, tmp_path: Path) -> None:
    path, media_type = local(files[name], tmp_path / "unpacked")
    info = reader.describe(path, media_type)
    assert (info.format, info.planes) == (SAMPLES[name].format, SAMPLES[name].planes)
    assert info.mpp == pytest.approx(MPP, rel=1e-3)
    pixels = reader.region_pixels(path, media_type, Region(0, 64, 32, 512, 448, info.best_plane))
    assert abs(pixels.astype(int) - picture()[32:480, 64:576]).mean() < LARGEST_DIFFERENCE
    beyond = reader.region_pixels(path, media_type, Region(0, -40, -40, 30, 30))
    assert beyond.min() == 255
    jpeg = reader.region_jpeg(path, media_type, len(info.levels) - 1, 0, 0, 128, 128, 64, 64)
    assert jpeg.startswith(b"\xff\xd8")


def test_every_format_is_screened(files: Files, service: TestClient) -> None:
    sent = {}
    for name, path in files.items():
        response = service.post(URL, files={"image": ("x", path.read_bytes())}, data={"scale": "file"})
        assert response.status_code == 202, (name, response.text)
        sent[name] = response.json()
        assert (sent[name]["condition"], sent[name]["mpp_source"]) == ("ready", "file"), name
    for name, slide in sent.items():
        url = f"/api/v1/analyses/{slide['analysis_id']}"
        wait_until(lambda url=url: service.get(url).json().get("state") not in ("queued", "running"))
        answer = service.get(url).json()
        assert answer["state"] == "completed", (name, answer)
        assert slide["format"] == SAMPLES[name].format


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_one_is_refused_with_a_reason(name: str, files: Files, service: TestClient) -> None:
    """Half a file: refused when it arrives (the scale is in it), in words that say what to do."""
    data = cut(files[name].read_bytes())
    response = service.post(URL, files={"image": ("x", data)}, data={"scale": "file"})
    if response.status_code == 202:
        # The half has its directories: what is missing is noticed where it is read.
        url = f"/api/v1/analyses/{response.json()['analysis_id']}"
        wait_until(lambda: service.get(url).json().get("state") not in ("queued", "running"))
        problem = service.get(url).json()["problem"]
    else:
        assert response.status_code == 422, response.text
        problem = response.json()
    assert problem["type"] == "urn:tamsoat:problem:image-damaged", problem
    assert "copy it again" in problem["detail"] or "pack it again" in problem["detail"], problem


@pytest.mark.parametrize("name", SAMPLES)
def test_hostile_bytes_end_a_child_at_most(name: str, files: Files, reader: SlideReader, tmp_path: Path) -> None:
    data = files[name].read_bytes()
    for seed in range(FLIPS):
        path = tmp_path / f"{seed}"
        path.write_bytes(flipped(data, seed))
        with contextlib.suppress(ImageError):  # anything else is a fault of the program
            opened = local(path, tmp_path / f"{seed}.unpacked")
            info = reader.look(*opened)
            reader.region_pixels(*opened, Region(0, 0, 0, min(512, info.width_px), min(448, info.height_px)))
    assert reader.look(files["Aperio SVS"], "image/tiff").planes == 1


def test_a_stream_reads_in_order_with_every_plane(files: Files) -> None:
    regions = [Region(0, x, 0, 160, 160, plane) for x in range(0, 480, 160) for plane in range(PLANES)]
    stream = stream_regions(files["OME-TIFF"], "image/tiff", regions, look_ahead=2)
    seen = list(stream)
    assert len(seen) == len(regions)
    for region, pixels in zip(regions, seen, strict=True):
        expected = picture()[0:160, region.x_px : region.x_px + 160].astype(int)
        assert (abs(pixels - expected).mean() < LARGEST_DIFFERENCE) == (region.plane == 1)


def test_a_stream_that_is_left_ends_its_child(files: Files) -> None:
    stream = stream_regions(files["generic TIFF"], "image/tiff", [Region(0, 0, 0, 64, 64)] * 50)
    assert next(stream).shape == (64, 64, 3)
    stream.close()
    assert list(stream_regions(files["generic TIFF"], "image/tiff", [])) == []


def test_a_stream_reports_what_is_wrong(files: Files, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    data = bytearray(files["generic TIFF"].read_bytes())
    data[len(data) // 8 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 8)
    broken.write_bytes(bytes(data))
    with pytest.raises(TamsoatError) as caught:
        list(stream_regions(broken, "image/tiff", [Region(0, 0, 0, 512, 512)]))
    assert caught.value.slug in ("image-damaged", "image-decode-crashed")


def test_archives_have_their_own_media_type(files: Files) -> None:
    assert ZIP == "application/zip"
    assert files["MIRAX"].read_bytes().startswith(b"PK\x03\x04")
