"""Deep Zoom geometry, and tiles that have exactly the pixels of the pyramid."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.deep_zoom import TILE_PX, Area, DeepZoom, TileNotFoundError
from tamsoat.inference_service.slides.image_pyramid import ImagePyramid
from tamsoat.inference_service.slides.pyramid import Level, Pyramid, PyramidInfo
from tamsoat.inference_service.slides.tiles import jpeg, pixels

SIDE = st.integers(1, 300_000)


class Ramp(Pyramid):
    """A slide whose pixels say where they are: red rises to the right and green downwards, over the whole slide."""

    def __init__(self, width_px: int, height_px: int, downsamples: list[float]) -> None:
        levels = tuple(Level(round(width_px / down), round(height_px / down), down) for down in downsamples)
        self.info = PyramidInfo("ramp", width_px, height_px, 0.25, None, levels, 256, 256)

    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        size = self.info.levels[level]
        read = np.zeros((height_px, width_px, 3), np.uint8)
        read[..., 0] = (255 * (np.arange(x_px, x_px + width_px) + 0.5) / size.width_px)[None, :]
        read[..., 1] = (255 * (np.arange(y_px, y_px + height_px) + 0.5) / size.height_px)[:, None]
        return read

    def close(self) -> None:
        pass


@given(SIDE, SIDE)
def test_levels_halve_down_to_one_pixel_and_tiles_cover_each_level_once(width_px: int, height_px: int) -> None:
    zoom = DeepZoom(width_px, height_px)
    assert zoom.size(zoom.levels) == (width_px, height_px)
    assert zoom.size(0) == (1, 1)
    for level in range(zoom.levels):
        finer = zoom.size(level + 1)
        assert zoom.size(level) == (-(-finer[0] // 2), -(-finer[1] // 2))
    level = min(zoom.levels, 10)
    width, height = zoom.size(level)
    columns, rows = -(-width // TILE_PX), -(-height // TILE_PX)
    row_of = [zoom.tile(level, column, 0) for column in range(columns)]
    assert sum(tile.width_px for tile in row_of) == width
    assert row_of[0].left_px == 0
    assert row_of[-1].right_px == pytest.approx(width_px)
    assert all(a.right_px == b.left_px for a, b in itertools.pairwise(row_of))
    assert zoom.tile(level, 0, rows - 1).bottom_px == pytest.approx(height_px)
    for wrong in ((level, columns, 0), (level, 0, rows), (zoom.levels + 1, 0, 0), (-1, 0, 0), (level, -1, 0)):
        with pytest.raises(TileNotFoundError):
            zoom.tile(*wrong)


@given(SIDE, SIDE)
def test_a_thumbnail_keeps_the_shape_and_is_never_enlarged(width_px: int, height_px: int) -> None:
    area = DeepZoom(width_px, height_px).whole(512)
    assert 1 <= area.width_px <= min(512, width_px)
    assert 1 <= area.height_px <= min(512, height_px)
    assert (area.left_px, area.top_px) == (0, 0)
    assert (area.right_px, area.bottom_px) == (pytest.approx(width_px), pytest.approx(height_px))


def test_tiles_of_every_level_are_the_pixels_of_the_pyramid(tmp_path: Path) -> None:
    truth = np.random.default_rng(1).integers(0, 255, (1111, 1301, 3), dtype=np.uint8)
    Image.fromarray(truth).save(tmp_path / "field.png")
    zoom = DeepZoom(1301, 1111)
    with ImagePyramid(tmp_path / "field.png") as pyramid:
        for level in range(zoom.levels + 1):
            width, height = zoom.size(level)
            whole = np.zeros((height, width, 3), np.uint8)
            for row in range(-(-height // TILE_PX)):
                for column in range(-(-width // TILE_PX)):
                    tile = pixels(pyramid, zoom.tile(level, column, row))
                    y, x = row * TILE_PX, column * TILE_PX
                    whole[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            number = zoom.levels - level
            if number < len(pyramid.info.levels):
                expected = pyramid.read_region(number, 0, 0, width, height)
                assert np.array_equal(whole, expected), f"level {level}"
                assert number or np.array_equal(whole, truth)
            else:
                mean = truth.reshape(-1, 3).mean(0)
                assert np.abs(whole.reshape(-1, 3).mean(0) - mean).max() < 12


@pytest.mark.parametrize("downsamples", [[1.0, 4.0, 16.0], [1.0, 3.9987, 16.021], [1.0], [1.0, 2.0, 8.0, 64.0]])
def test_tiles_meet_without_a_gap_whatever_levels_the_file_has(downsamples: list[float]) -> None:
    slide = Ramp(3001, 2005, downsamples)
    zoom = DeepZoom(3001, 2005)
    for level in range(7, zoom.levels + 1):
        width, height = zoom.size(level)
        columns, rows = -(-width // TILE_PX), -(-height // TILE_PX)
        across = np.concatenate([pixels(slide, zoom.tile(level, column, 0))[0, :, 0] for column in range(columns)])
        down = np.concatenate([pixels(slide, zoom.tile(level, 0, row))[:, 0, 1] for row in range(rows)])
        for found, size in ((across, width), (down, height)):
            expected = 255 * (np.arange(size) + 0.5) / size
            step = max(255 / size, 1)
            assert np.abs(found.astype(float) - expected).max() <= step + 1, (level, size)


def test_beyond_the_slide_a_crop_is_white_and_what_is_enlarged_is_in_its_place() -> None:
    slide = Ramp(1000, 800, [1.0])
    corner = pixels(slide, Area(-50, -50, 50, 50, 100, 100))
    assert (corner[:50].min(), corner[:, :50].min()) == (255, 255)
    assert corner[60, 60, 0] < 5
    enlarged = pixels(slide, Area(500, 400, 510, 410, 200, 200))
    assert enlarged.shape == (200, 200, 3)
    assert abs(int(enlarged[100, 100, 0]) - 255 * 505 / 1000) <= 2
    outside = pixels(slide, Area(5000, 5000, 5100, 5100, 50, 50))
    assert outside.min() == 255


def test_a_jpeg_carries_nothing_of_the_file(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), (200, 180, 190))
    exif = image.getexif()
    exif[0x010E] = "NGUYEN THI A"
    image.save(tmp_path / "field.jpg", exif=exif, comment=b"NGUYEN THI A")
    with ImagePyramid(tmp_path / "field.jpg") as pyramid:
        made = jpeg(pyramid, DeepZoom(300, 200).whole(512), 80)
    assert b"NGUYEN" not in made
    assert Image.open(io.BytesIO(made)).size == (300, 200)
