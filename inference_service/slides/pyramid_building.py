"""Builds the pyramid of a slide that has none: tiled BigTIFF in JPEG, streamed: memory does not grow."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamsoat.inference_service.slides.errors import UnsupportedImageError
from tamsoat.inference_service.slides.one_shot import Tell
from tamsoat.inference_service.slides.opening import open_any
from tamsoat.inference_service.slides.pyramid import LARGEST_REGION_PX, Pyramid
from tamsoat.inference_service.slides.sniff import PLAIN_IMAGES, TIFF

TILE_PX = 256
QUALITY = 90
_ROWS_PX = 256
_LOADERS = {"image/jpeg": "jpegload", "image/png": "pngload", "image/webp": "webpload", TIFF: "tiffload"}


def build_pyramid(tell: Tell, path: Path, media_type: str, out: Path) -> None:
    """Write the pyramid of the slide at ``path`` to the new file ``out``; for :func:`.one_shot.run`.

    The whole slide in its best focal plane; each level is half of the one before. No description is taken over, and
    a scale only as the file states it: the row of the slide says what counts. Ended early, ``out`` is half written.

    Raises:
        ImageError: the slide is damaged, or of a kind that cannot be read.
    """
    os.environ["VIPS_CONCURRENCY"] = "1"
    image, _kept = _source(path, media_type)
    image.set_progress(True)
    image.signal_connect("eval", lambda _, progress: tell(int(progress.percent)))
    image.tiffsave(
        str(out),
        tile=True,
        tile_width=TILE_PX,
        tile_height=TILE_PX,
        pyramid=True,
        compression="jpeg",
        Q=QUALITY,
        bigtiff=True,
        depth="onetile",
        keep="none",
    )


def _source(path: Path, media_type: str) -> tuple[Any, Any]:
    """The whole slide as an image that libvips reads from top to bottom, and what must live as long as the image."""
    import pyvips

    from tamsoat.inference_service.slides.tiff_pyramid import to_rgb

    if media_type in PLAIN_IMAGES:
        if media_type not in _LOADERS:
            raise UnsupportedImageError("a BMP of this size cannot be read: save it as TIFF, PNG or JPEG")
        loaded = getattr(pyvips.Image, _LOADERS[media_type])(str(path), access="sequential", fail_on="error")
        return to_rgb(loaded.autorot() if media_type == "image/jpeg" else loaded), None
    pyramid = open_any(path, media_type)
    if pyramid.info.format == "tiff":
        pyramid.close()  # in strips: libvips reads them in order, and only so without unpacking all of them first
        return to_rgb(pyvips.Image.tiffload(str(path), access="sequential", fail_on="error")), None
    return _streamed(pyramid)


def _streamed(pyramid: Pyramid) -> tuple[Any, Any]:
    """Any other format, read in bands and handed over as a PNG that is not compressed: libvips reads it as it comes."""
    import pyvips

    chunks, waiting = _png(pyramid), bytearray()

    def read(size_bytes: int) -> bytes:
        while len(waiting) < size_bytes and (chunk := next(chunks, None)) is not None:
            waiting.extend(chunk)
        taken = bytes(waiting[:size_bytes])
        del waiting[:size_bytes]
        return taken

    source = pyvips.SourceCustom()
    source.on_read(read)
    return pyvips.Image.pngload_source(source, access="sequential", fail_on="error", unlimited=True), source


def _png(pyramid: Pyramid) -> Iterator[bytes]:
    info = pyramid.info
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", info.width_px, info.height_px, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(level=0)
    for band in _bands(pyramid):
        rows = np.zeros((band.shape[0], 1 + band.shape[1] * 3), np.uint8)  # each row begins with its filter: none
        rows[:, 1:] = band.reshape(band.shape[0], -1)
        yield _chunk(b"IDAT", packer.compress(rows.tobytes()))
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bands(pyramid: Pyramid) -> Iterator[NDArray[np.uint8]]:
    info = pyramid.info
    for top in range(0, info.height_px, _ROWS_PX):
        height = min(_ROWS_PX, info.height_px - top)
        parts = [
            pyramid.read_region(0, left, top, min(LARGEST_REGION_PX, info.width_px - left), height, info.best_plane)
            for left in range(0, info.width_px, LARGEST_REGION_PX)
        ]
        yield np.concatenate(parts, axis=1)
