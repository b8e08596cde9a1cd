"""Test slides with known truth: labelled fields, real or synthetic, laid out on glass and written as a pyramid.

Not a smear: no slide looks like this. It has the size, the format and the amount of cells of one, and every labelled
nucleus is known. Written through libvips, which streams: memory does not grow with the slide.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.datasets.errors import DatasetError
from tamsoat.datasets.images import read_rgb
from tamsoat.datasets.manifest import load_dataset
from tamsoat.datasets.synthetic.fields import SYNTHETIC_NOTICE, make_field
from tamsoat.datasets.synthetic.morphology import BASE_MPP

GLASS = (244, 243, 246)
"""Colour of the empty slide."""

TILE_PX = 256
GAP_PX = 64
"""Glass between two fields."""

EMPTY_SHARE = 0.3
"""Share of the places that stay glass."""

MOST_FIELDS = 12
"""Different fields in one slide; they repeat, turned over, because all of them lie in memory."""

_SYNTHETIC_SIZE_PX = (1024, 768)
_TRUTH_COLUMNS = ("x_px", "y_px", "category")


@dataclass(frozen=True, eq=False)
class MosaicTruth:
    """What is on a slide: level-0 pixel positions float64 ``[n, 2]``, AI channel int64 ``[n]``, scale."""

    path: Path
    truth_csv: Path
    xy_px: NDArray[np.float64]
    category: NDArray[np.int64]
    mpp: float


@dataclass(frozen=True, eq=False)
class _Field:
    pixels: NDArray[np.uint8]
    xy_px: NDArray[np.float64]
    category: NDArray[np.int64]


def make_slide(
    path: Path, width_px: int, height_px: int, seed: int, fields: Path | None = None, n_fields: int = MOST_FIELDS
) -> MosaicTruth:
    """Write a JPEG-tiled pyramidal TIFF of ``width_px`` x ``height_px`` and ``path``.truth.csv (x_px,y_px,category).

    Args:
        seed: the same seed chooses the same fields and places.
        fields: a dataset folder (see docs/datasets.md) whose images are used; None: synthetic fields are drawn.
        n_fields: how many different ones.

    Raises:
        DatasetError: the dataset cannot be read, or its fields have different scales.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 30]))
    chosen, mpp, notice = _synthetic(seed, n_fields) if fields is None else _labelled(fields, rng, n_fields)
    image, xy_px, category = _mosaic(rng, chosen, width_px, height_px)
    image = describe(image, mpp, f"{notice}; mosaic of fields, seed {seed}, MPP = {mpp:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_pyramid(image, path)
    truth = path.with_name(path.name + ".truth.csv")
    write_truth(truth, xy_px, category)
    return MosaicTruth(path, truth, xy_px, category, mpp)


def describe(image: pyvips.Image, mpp: float, description: str) -> pyvips.Image:
    """``image`` with its scale in micrometres per pixel and what it is called in the file."""
    image = image.copy(xres=1000 / mpp, yres=1000 / mpp)  # libvips counts pixels per millimetre
    image.set_type(pyvips.GValue.gstr_type, "image-description", description)
    return image


def save_pyramid(image: pyvips.Image, path: Path, *, pyramid: bool = True, quality: int = 90) -> None:
    """Write ``image`` as tiled BigTIFF in JPEG, each level half of the one before (only the first without pyramid)."""
    image.tiffsave(
        str(path),
        tile=True,
        tile_width=TILE_PX,
        tile_height=TILE_PX,
        pyramid=pyramid,
        compression="jpeg",
        Q=quality,
        bigtiff=True,
        resunit="cm",
        depth="onetile",
    )


def write_truth(path: Path, xy_px: NDArray[np.float64], category: NDArray[np.int64]) -> None:
    """Write the known nuclei as CSV."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(_TRUTH_COLUMNS)
        for (x, y), channel in zip(xy_px, category, strict=True):
            writer.writerow((f"{x:.2f}", f"{y:.2f}", AI_CATEGORIES[int(channel)].value))


def _synthetic(seed: int, n_fields: int) -> tuple[list[_Field], float, str]:
    drawn = [make_field(seed * 1000 + number, *_SYNTHETIC_SIZE_PX) for number in range(n_fields)]
    fields = [_Field(field.image, field.xy_px.astype(np.float64), field.category) for field in drawn]
    return fields, BASE_MPP, SYNTHETIC_NOTICE


def _labelled(folder: Path, rng: np.random.Generator, n_fields: int) -> tuple[list[_Field], float, str]:
    dataset = load_dataset(folder)
    order = rng.permutation(len(dataset.images))[:n_fields]
    images = [dataset.images[int(index)] for index in order]
    if not images:
        raise DatasetError(f"{folder}: the dataset has no images")
    if len({image.mpp for image in images}) > 1:
        raise DatasetError(f"{folder}: the fields have different scales: a slide has one")
    fields = []
    for image in images:
        nuclei = dataset.nuclei[image.name]
        fields.append(_Field(read_rgb(image.path), nuclei.xy_px.astype(np.float64), nuclei.category))
    return fields, images[0].mpp, f"Mosaic of labelled fields of {dataset.name}, not a smear"


def _mosaic(
    rng: np.random.Generator, fields: list[_Field], width_px: int, height_px: int
) -> tuple[pyvips.Image, NDArray[np.float64], NDArray[np.int64]]:
    """The whole slide, not yet computed, and its nuclei."""
    place_w = max(field.pixels.shape[1] for field in fields) + GAP_PX
    place_h = max(field.pixels.shape[0] for field in fields) + GAP_PX
    columns, rows = -(-width_px // place_w), -(-height_px // place_h)
    glass = _place(np.empty((0, 0, 3), np.uint8), place_w, place_h)
    turned = [[_turn(field, flips) for flips in range(4)] for field in fields]
    images = [[_place(field.pixels, place_w, place_h) for field in ways] for ways in turned]
    tiles, points, categories = [], [np.empty((0, 2))], [np.empty(0, np.int64)]
    for row, column in _places(rows, columns):
        if rng.uniform() < EMPTY_SHARE and (rows, columns) != (1, 1):
            tiles.append(glass)
            continue
        which, way = int(rng.integers(len(fields))), int(rng.integers(4))
        tiles.append(images[which][way])
        field = turned[which][way]
        corner = np.array((column * place_w + GAP_PX // 2, row * place_h + GAP_PX // 2))
        points.append(field.xy_px + corner)
        categories.append(field.category)
    joined = pyvips.Image.arrayjoin(tiles, across=columns).crop(0, 0, width_px, height_px)
    xy_px, category = np.concatenate(points), np.concatenate(categories)
    inside = (xy_px < (width_px, height_px)).all(axis=1)
    return joined, xy_px[inside], category[inside]


def _places(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    for row in range(rows):
        for column in range(columns):
            yield row, column


def _turn(field: _Field, flips: int) -> _Field:
    """The field mirrored left to right (1), top to bottom (2), or both (3)."""
    pixels, xy_px = field.pixels, field.xy_px.copy()
    height_px, width_px = pixels.shape[:2]
    if flips & 1:
        pixels, xy_px[:, 0] = pixels[:, ::-1], width_px - 1 - xy_px[:, 0]
    if flips & 2:
        pixels, xy_px[:, 1] = pixels[::-1], height_px - 1 - xy_px[:, 1]
    return _Field(np.ascontiguousarray(pixels), xy_px, field.category)


def _place(pixels: NDArray[np.uint8], width_px: int, height_px: int) -> pyvips.Image:
    """A field in the middle of its place, glass around it."""
    place = np.full((height_px, width_px, 3), GLASS, np.uint8)
    half = GAP_PX // 2
    place[half : half + pixels.shape[0], half : half + pixels.shape[1]] = pixels
    return pyvips.Image.new_from_array(place).copy(interpretation="srgb")
