"""Whole slides on the command line: found out by content, screened tile by tile, written as one JSON line each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from tamsoat.inference_service.cli.inputs import SLIDE_SUFFIXES, ImageInput
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening import parts, slide_work
from tamsoat.inference_service.screening.scale import MissingScaleError
from tamsoat.inference_service.screening.slide_reading import SlideSource
from tamsoat.inference_service.screening.slide_result import SlideResult, compose
from tamsoat.inference_service.screening.slide_run import screen_tiles
from tamsoat.inference_service.slides.decode import DEFAULT_LIMITS
from tamsoat.inference_service.slides.image_pyramid import FORMAT as FIELD
from tamsoat.inference_service.slides.pyramid import PyramidInfo
from tamsoat.inference_service.slides.slide_process import SlideReader
from tamsoat.inference_service.slides.sniff import DICOM, SNIFFED_BYTES, TIFF, sniff_media_type

MEMORY_MIB, TIMEOUT_S = 1024, 60.0
_CELLS_AT_ONCE = 5_000


def media_type_of(image: ImageInput) -> str | None:
    """``image/tiff`` or ``application/dicom`` where the file may be a slide; None for anything else."""
    if image.path.suffix.lower() in SLIDE_SUFFIXES:
        return DICOM if image.path.suffix.lower() == ".dcm" else TIFF
    try:
        with image.path.open("rb") as handle:
            found = sniff_media_type(handle.read(SNIFFED_BYTES))
    except OSError:
        return None  # said by whoever opens it
    return found if found in (TIFF, DICOM) else None


def open_slide(reader: SlideReader, image: ImageInput, mpp: float | None) -> SlideSource | None:
    """The slide, with the stated scale or else its own; None where the file is an image of one field.

    Raises:
        ImageError: it cannot be read.
        MissingScaleError: no scale is stated, neither here nor in the file.
    """
    media_type = media_type_of(image)
    if media_type is None:
        return None
    try:
        info: PyramidInfo = reader.describe(image.path, media_type)
    except TamsoatError:
        if image.path.suffix.lower() in SLIDE_SUFFIXES:
            raise
        return None  # a TIFF of one field is refused with its own words
    large = info.width_px * info.height_px > DEFAULT_LIMITS.max_pixels
    if (info.format == FIELD or len(info.levels) == 1) and not large:
        return None
    scale = mpp if mpp is not None else info.mpp
    if scale is None:
        raise MissingScaleError(f"{image.name}: the file does not state its scale: give --objective or --mpp")
    return SlideSource(image.path, media_type, info, scale)


def screen_slide(engine: Engine, source: SlideSource, name: str) -> SlideResult:
    """Screen a slide with progress and the time left on stderr.

    Raises:
        ImageError, EngineError: it cannot be read, or inference failed.
    """
    began_s = time.perf_counter()
    work = slide_work.begin(engine, source)
    found = [parts.unpack(b"", b"")]
    with FieldProgress(len(work.plan.order), "tiles") as progress:
        done = 0
        for item in screen_tiles(engine, source, work.plan, work.glass):
            found.append(item)
            done += len(item.tiles)
            progress.reach(done)
    return compose(engine, work, parts.join(found), name, time.perf_counter() - began_s)


def write_result(stream: IO[str], result: SlideResult) -> None:
    """The result as one line of JSON, with all cells; written some thousand cells at a time."""
    members = result.summary.model_dump(mode="json")
    seconds = members.pop("seconds")
    stream.write(to_json(members).decode()[:-1] + ',"cells":[')
    for begin in range(0, len(result.cells), _CELLS_AT_ONCE):
        cells = list(_cells(result.cells[begin : begin + _CELLS_AT_ONCE], result.categories))
        stream.write(("," if begin else "") + to_json(cells).decode()[1:-1])
    stream.write(f'],"seconds":{seconds}}}\n')


def _cells(cells: NDArray[np.void], categories: tuple[str, ...]) -> Iterator[dict[str, object]]:
    for x_px, y_px, channel, score, probabilities in cells.tolist():
        yield {
            "x_px": x_px,
            "y_px": y_px,
            "category": categories[channel],
            "score": score,
            "probabilities": dict(zip(categories, list(probabilities), strict=True)),
        }
