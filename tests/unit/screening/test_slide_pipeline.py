"""A slide read tile by tile gives what the engine finds in it as one field; no cell is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from spot_slides import spotted, write_slide
from toy_bundle import make_toy_bundle

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.engine.peaks import Peaks, settle_peaks
from tamsoat.inference_service.screening import parts, slide_work
from tamsoat.inference_service.screening.slide_plan import SlidePlan
from tamsoat.inference_service.screening.slide_reading import SlideSource, ahead
from tamsoat.inference_service.screening.slide_result import compose
from tamsoat.inference_service.screening.slide_run import TileFindings, screen_tiles
from tamsoat.inference_service.slides.cell_area import find_cells, plan_look
from tamsoat.inference_service.slides.pyramid import Level, PyramidInfo, open_pyramid
from tamsoat.inference_service.slides.quality import check_quality
from tamsoat.inference_service.slides.tile_quality import TileQuality, judge_tile

TIFF = "image/tiff"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(make_toy_bundle(tmp_path_factory.mktemp("toy")), threads=1) as engine:
        yield engine


def source_of(path: Path, mpp: float) -> SlideSource:
    with open_pyramid(path, TIFF) as pyramid:
        return SlideSource(path, TIFF, pyramid.info, mpp)


def settled(engine: Engine, plan: SlidePlan, found: TileFindings) -> Peaks:
    peaks = found.peaks.take(np.argsort(found.peaks.tile, kind="stable"))
    return peaks.take(settle_peaks(plan.tiles, peaks, engine.merge_radius_px))


@pytest.mark.parametrize(("mpp", "difference"), [(0.25, 1e-6), (0.14, 1e-5)])
def test_a_slide_gives_what_the_engine_finds_in_one_field(
    engine: Engine, tmp_path: Path, mpp: float, difference: float
) -> None:
    """Resampling a part takes its corners in single precision: that is the larger difference."""
    rng = np.random.default_rng(1)
    image = spotted(1100, 900, rng.uniform((0, 0), (1100, 900), (150, 2)))
    # One level alone, so that both begin with the same pixels.
    source = source_of(write_slide(tmp_path / "a.tif", image), mpp)
    info = source.info
    source = SlideSource(source.path, TIFF, PyramidInfo(**{**vars(info), "levels": info.levels[:1]}), mpp)
    work = slide_work.begin(engine, source, whole=True)
    found = parts.join(
        [parts.unpack(*parts.pack(item)) for item in screen_tiles(engine, source, work.plan, work.glass)]
    )
    half = len(work.plan.order) // 2
    first = _until(engine, source, work, half)
    in_two = parts.join([*first, *screen_tiles(engine, source, work.plan, work.glass, half)])
    expected = engine.detect(image, mpp)
    for peaks in (settled(engine, work.plan, found), settled(engine, work.plan, in_two)):
        np.testing.assert_allclose(work.plan.scaling.to_slide(peaks.xy_px), expected.xy_px, atol=difference)
        np.testing.assert_allclose(peaks.score, expected.score, atol=difference)
        np.testing.assert_allclose(peaks.probabilities, expected.probabilities, atol=difference)
    assert len(expected.score) > 30
    result = compose(engine, work, found, "a", 1.0)
    assert result.summary.cells_total == len(expected.score)
    assert result.map.suspicion.max() == pytest.approx(
        float((result.cells["score"] * (1 - result.cells["probabilities"][:, 0])).max()), abs=1e-5
    )


def _until(engine: Engine, source: SlideSource, work: slide_work.SlideWork, done: int) -> list[TileFindings]:
    shorter = SlidePlan(work.plan.scaling, work.plan.tiles, work.plan.order[:done], work.plan.across)
    return list(screen_tiles(engine, source, shorter, work.glass))


def test_every_cell_lies_in_an_analysed_tile_and_glass_is_left_out(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    centres = np.concatenate([rng.uniform(30, 700, (60, 2)), rng.uniform(3000, 3900, (30, 2)), [[3990.0, 30.0]]])
    image = spotted(4000, 4000, centres)
    pale = 255 - (255 - image.astype(np.float32)) * 0.6  # a thinly stained preparation
    source = source_of(write_slide(tmp_path / "a.tif", pale.astype(np.uint8)), 0.25)
    work = slide_work.begin(engine, source)
    boxes = work.plan.boxes_px()[work.plan.order]
    inside = (centres[:, None] >= boxes[None, :, :2]).all(axis=2) & (centres[:, None] <= boxes[None, :, 2:]).all(axis=2)
    assert inside.any(axis=1).all()
    owned = work.plan.tiles.owner(centres)
    assert set(owned.tolist()) <= set(work.plan.order.tolist())
    assert len(work.plan.order) < 0.25 * work.plan.tiles.n_tiles
    assert slide_work.go_on(engine, work.describe(engine)).plan.order.tolist() == work.plan.order.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("diameter_px", [18, 24])
def test_small_faint_nuclei_are_covered_wherever_they_fall(diameter_px: int) -> None:
    """4.5 and 6 microns at an optical density of 0.3, at every place of the coarse grid."""
    info = PyramidInfo("t", 4096, 4096, 0.25, None, (Level(4096, 4096, 1.0), Level(256, 256, 16.0)), 256, 256)
    look = plan_look(info, 0.25)
    for shift in range(16):
        level = np.full((256, 256, 3), 240.0)
        for at in range(8):
            left = 200 + at * 480 + shift
            coarse = _covered_share(left, left + diameter_px)
            share = np.outer(coarse, coarse) * np.pi / 4
            level[share > 0] = (240 * (1 - share[share > 0] * (1 - 10**-0.3)))[:, None]
        area = find_cells(look, info, [level.round().astype(np.uint8)])
        for at in range(8):
            centre = 200 + at * 480 + shift + diameter_px / 2
            assert area.touched(np.asarray([[centre, centre, centre + 1, centre + 1]]))[0]
    assert area.covered.mean() < 0.2


def _covered_share(left: int, right: int) -> NDArray[np.float64]:
    fine = np.zeros(4096)
    fine[left:right] = 1.0
    return fine.reshape(256, 16).mean(axis=1)


def test_a_tile_is_judged_by_its_focus_and_stain() -> None:
    from PIL import Image, ImageFilter

    from tamsoat.datasets.synthetic import make_field

    field = make_field(seed=5, width_px=1024, height_px=1024, n_nuclei=60).image
    assert check_quality(field, 0.25).usable
    glass = np.percentile(field.reshape(-1, 3), 95, axis=0)
    blurred = np.asarray(Image.fromarray(field).filter(ImageFilter.GaussianBlur(4)))
    tiles = [np.s_[y : y + 512, x : x + 512] for y in (0, 512) for x in (0, 512)]
    assert TileQuality.OUT_OF_FOCUS not in [judge_tile(np.ascontiguousarray(field[at]), 0.25, glass) for at in tiles]
    assert [judge_tile(np.ascontiguousarray(blurred[at]), 0.25, glass) for at in tiles] == [
        TileQuality.OUT_OF_FOCUS
    ] * 4
    assert judge_tile(np.full((512, 512, 3), 20, np.uint8), 0.25, glass) == TileQuality.NOT_CYTOLOGY_STAIN
    assert judge_tile(np.full((512, 512, 3), 240, np.uint8), 0.25, np.full(3, 240.0)) == TileQuality.SPARSE


def test_the_sharpest_plane_is_screened(engine: Engine) -> None:
    image = spotted(700, 700, np.random.default_rng(3).uniform(20, 680, (40, 2)))
    from PIL import Image, ImageFilter

    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(6)))
    planes = [image.copy(), soft.copy()]
    planes[0][:, 350:], planes[1][:, 350:] = soft[:, 350:], image[:, 350:]  # left sharp in 0, right in 1

    def stream(path: Path, media_type: str, regions: object) -> Iterator[NDArray[np.uint8]]:
        for level, x, y, width, height, plane in regions:  # type: ignore[attr-defined]
            assert level == 0
            part = np.full((height, width, 3), 255, np.uint8)
            inside = planes[plane][max(0, y) : y + height, max(0, x) : x + width]
            part[: inside.shape[0], : inside.shape[1]] = inside
            yield part

    info = PyramidInfo("t", 700, 700, 0.25, None, (Level(700, 700, 1.0),), 256, 256, planes=2)
    source = SlideSource(Path("none"), TIFF, info, 0.25, stream)
    work = slide_work.begin(engine, source, whole=True)
    found = parts.join(list(screen_tiles(engine, source, work.plan, work.glass)))
    centre = work.plan.boxes_px()[found.tiles][:, [0, 2]].mean(axis=1)
    assert (found.plane[centre < 250] == 0).all()
    assert (found.plane[centre > 450] == 1).all()
    assert len(np.unique(found.plane)) == 2


def test_a_blurred_slide_is_unusable_and_keeps_its_cells(engine: Engine, tmp_path: Path) -> None:
    from PIL import Image, ImageFilter

    image = spotted(1200, 1200, np.random.default_rng(4).uniform(20, 1180, (300, 2)))
    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(5)))
    source = source_of(write_slide(tmp_path / "a.tif", soft), 0.25)
    work = slide_work.begin(engine, source)
    result = compose(engine, work, parts.join(list(screen_tiles(engine, source, work.plan, work.glass))), "a", 1.0)
    assert result.summary.quality.reasons == ["out_of_focus"]
    assert result.summary.cells_total > 100
    assert result.summary.field.triage != "routine"


def test_empty_glass_is_said_to_be_blank(engine: Engine, tmp_path: Path) -> None:
    source = source_of(write_slide(tmp_path / "a.tif", np.full((1200, 1200, 3), 243, np.uint8)), 0.25)
    work = slide_work.begin(engine, source)
    empty = parts.unpack(b"", b"")
    result = compose(engine, work, empty, "a", 1.0)
    assert (result.summary.quality.reasons, result.summary.slide.analysed_tiles) == (["blank"], 0)
    assert result.summary.field.triage == "review"


def test_reading_ahead_ends_with_its_reader_and_hands_errors_on() -> None:
    closed: list[bool] = []

    def numbers(last: int) -> Iterator[int]:
        try:
            yield from range(last)
            if last < 100:
                raise OSError("broken")
        finally:
            closed.append(True)

    early = ahead(numbers(1000))
    assert next(early) == 0
    early.close()  # type: ignore[attr-defined]
    assert closed == [True]
    with pytest.raises(OSError, match="broken"):
        assert list(ahead(numbers(3))) == []
