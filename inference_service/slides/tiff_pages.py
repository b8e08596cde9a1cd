"""What a TIFF's directories mean, for files that OpenSlide does not read or reads only in part (OME-TIFF)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from tamsoat.inference_service.slides.errors import DamagedImageError, UnsupportedImageError
from tamsoat.inference_service.slides.pyramid import Level
from tamsoat.inference_service.slides.scale_of_file import mean_mpp, number

OME, PLAIN = "ome-tiff", "tiff"
_UM_PER_UNIT = {"nm": 0.001, "µm": 1.0, "um": 1.0, "mm": 1000.0, "cm": 10_000.0, "m": 1e6}
_UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre
OLYMPUS = (
    "an Olympus VSI slide cannot be read: export it as pyramidal TIFF, OME-TIFF or DICOM in the scanner's program "
    "(OlyVIA, cellSens), and send that file"
)
_MOST_PLANES = 200
_LEVEL_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Directory:
    """Where one level of one focal plane is: ``page`` of the main chain, ``subifd`` below it (-1: the page itself)."""

    page: int
    subifd: int


@dataclass(frozen=True)
class TiffLayout:
    """``directories[plane][level]``; the rest as in ``PyramidInfo``."""

    format: str
    levels: tuple[Level, ...]
    directories: tuple[tuple[Directory, ...], ...]
    mpp: float | None
    objective: float | None
    plane_um: tuple[float, ...]
    tile_px: tuple[int, int] | None


def read_layout(path: Path) -> TiffLayout:
    """Read the directories of a TIFF; no pixel is decoded.

    Raises:
        DamagedImageError: directories lead nowhere.
        UnsupportedImageError: an OME-TIFF of fluorescence, of a time series, or spread over several files.
        AnisotropicScaleError: its pixels are not square.
        Exception: whatever tifffile raises on damaged content.
    """
    with _complaints() as complaints, tifffile.TiffFile(path) as tiff:
        layout = _ome(tiff) if tiff.is_ome else _plain(tiff)
    if complaints:
        raise DamagedImageError(f"the TIFF is damaged or cut short ({complaints[0][:120]}); copy it again")
    return layout


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs of damage, which it otherwise reads around."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logger = tifffile.logger()
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def is_ome(path: Path) -> bool:
    """Whether the file is an OME-TIFF. Any damage means no."""
    try:
        with _complaints(), tifffile.TiffFile(path) as tiff:
            return bool(tiff.is_ome)
    except (tifffile.TiffFileError, ValueError, OSError, IndexError, KeyError, TypeError):
        return False


def refuse_olympus(path: Path) -> None:
    """Refuse the ``.vsi`` file of an Olympus slide: a TIFF that holds small pictures only, not the slide.

    Raises:
        UnsupportedImageError: it is one.
    """
    with _complaints(), tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        said = " ".join(str(tags.valueof(name, default="")) for name in ("Make", "Model", "Software")).lower()
    if "olympus" in said or "cellsens" in said:
        raise UnsupportedImageError(OLYMPUS)


def _ome(tiff: Any) -> TiffLayout:
    series = max(tiff.series, key=lambda one: one.shape[one.axes.index("Y")] * one.shape[one.axes.index("X")])
    sizes = dict(zip(series.axes, series.shape, strict=True))
    planes = sizes.pop("Z", 1)
    colours = sizes.pop("S", 1)
    others = {axis: size for axis, size in sizes.items() if axis not in "YX" and size > 1}
    if others or colours != 3:
        found = ", ".join(f"{axis}={size}" for axis, size in {**others, "samples": colours}.items())
        raise UnsupportedImageError(
            f"the OME-TIFF is not a brightfield slide in RGB ({found}); export it as RGB without time or channels"
        )
    pages = series.levels[0].pages
    if planes > _MOST_PLANES or any(page is None or page.parent is not tiff for page in pages):
        raise UnsupportedImageError("the OME-TIFF is spread over several files or has too many planes; export it whole")
    widths = [(level.shape[level.axes.index("X")], level.shape[level.axes.index("Y")]) for level in series.levels]
    directories = tuple(
        (Directory(pages[plane].index, -1), *(Directory(pages[plane].index, sub) for sub in range(len(widths) - 1)))
        for plane in range(planes)
    )
    pixels = _ome_pixels(tiff.ome_metadata, tiff.series.index(series))
    first = pages[0]
    return TiffLayout(
        format=OME,
        levels=_levels(widths),
        directories=directories,
        mpp=mean_mpp(_physical(pixels, "X"), _physical(pixels, "Y")),
        objective=_ome_objective(tiff.ome_metadata),
        plane_um=_plane_um(planes, _physical(pixels, "Z")),
        tile_px=(first.tilewidth, first.tilelength) if first.is_tiled else None,
    )


def _plain(tiff: Any) -> TiffLayout:
    """The first page, and those of its later pages and sub-directories that are the same picture, smaller."""
    first = tiff.pages[0]
    width_px, height_px = int(first.imagewidth), int(first.imagelength)
    found = [((width_px, height_px), Directory(0, -1))]
    candidates = [((page.imagewidth, page.imagelength), Directory(page.index, -1)) for page in _reduced(tiff)]
    for number_, sub in enumerate(first.pages or ()):
        candidates.append(((sub.imagewidth, sub.imagelength), Directory(0, number_)))
    for size, where in sorted(candidates, key=lambda item: -item[0][0]):
        if size[0] < found[-1][0][0] and _same_shape(size, (width_px, height_px)):
            found.append((size, where))
    return TiffLayout(
        format=PLAIN,
        levels=_levels([size for size, _ in found]),
        directories=(tuple(where for _, where in found),),
        mpp=mean_mpp(_resolution(first, "XResolution"), _resolution(first, "YResolution")),
        objective=None,
        plane_um=(),
        tile_px=(int(first.tilewidth), int(first.tilelength)) if first.is_tiled else None,
    )


def _reduced(tiff: Any) -> list[Any]:
    return [page for page in tiff.pages[1:64] if page.subfiletype & 1]


def _same_shape(size: tuple[int, int], whole: tuple[int, int]) -> bool:
    return size[1] > 0 and abs(size[0] / size[1] * whole[1] / whole[0] - 1) < _LEVEL_ASPECT_TOLERANCE


def _levels(sizes: list[tuple[int, int]]) -> tuple[Level, ...]:
    """The downsample is the mean over both axes, as OpenSlide computes it."""
    width_px, height_px = sizes[0]
    return tuple(Level(int(width), int(height), (width_px / width + height_px / height) / 2) for width, height in sizes)


def _resolution(page: Any, tag: str) -> float | None:
    """Micrometres per pixel out of a resolution tag; None where it is missing or nothing."""
    unit = _UM_PER_TIFF_UNIT.get(int(page.tags.valueof("ResolutionUnit", default=2)))
    numerator, denominator = page.tags.valueof(tag, default=(0, 1))
    return unit * denominator / numerator if unit and numerator else None


def _ome_pixels(xml: str, index: int) -> ElementTree.Element | None:
    found = [element for element in _root(xml).iter() if element.tag.rpartition("}")[2] == "Pixels"]
    return found[index] if index < len(found) else None


def _physical(pixels: ElementTree.Element | None, axis: str) -> float | None:
    if pixels is None:
        return None
    value = number(pixels.get(f"PhysicalSize{axis}"))
    factor = _UM_PER_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return value * factor if value is not None and factor is not None else None


def _ome_objective(xml: str) -> float | None:
    for element in _root(xml).iter():
        if element.tag.rpartition("}")[2] == "Objective":
            return number(element.get("NominalMagnification"))
    return None


def _plane_um(planes: int, step_um: float | None) -> tuple[float, ...]:
    if step_um is None or planes == 1:
        return ()
    return tuple((plane - planes // 2) * step_um for plane in range(planes))


def _root(xml: str) -> ElementTree.Element:
    """Parsed in a confined process; a document type (and with it entities) is refused.

    Raises:
        UnsupportedImageError: it has one.
    """
    if "<!DOCTYPE" in xml:
        raise UnsupportedImageError("the description of the OME-TIFF has a document type, which no microscope writes")
    return ElementTree.fromstring(xml)  # noqa: S314
