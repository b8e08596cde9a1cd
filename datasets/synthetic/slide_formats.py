"""Small slides in the formats of scanners, as far as one can make them without the scanner.

They follow what the readers look for, and nothing else: good for tests, no reference for the formats. All of them show
the same pixels, a uint8 RGB array ``[height, width, 3]``. Formats of one TIFF file are here, the others in
:mod:`.slide_folders` and :mod:`.slide_dicom`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
TILE_PX = 256
_SCN = "http://www.leica-microsystems.com/scn/2010/10/01"


def halves(pixels: Pixels, levels: int) -> Iterator[Pixels]:
    """The picture, and ``levels - 1`` copies, each half of the one before."""
    for _ in range(levels):
        yield pixels
        pixels = np.asarray(Image.fromarray(pixels).reduce(2), dtype=np.uint8)


def write_aperio(path: Path, pixels: Pixels, mpp: float | None, objective: int = 40, levels: int = 2) -> None:
    """Aperio SVS; ``mpp`` None: the scale is missing, as in some exports."""
    height, width = pixels.shape[:2]
    scale = f"|MPP = {mpp:g}" if mpp is not None else ""
    with _writer(path) as tiff:
        for number, level in enumerate(halves(pixels, levels)):
            size = f"{level.shape[1]}x{level.shape[0]}"
            text = (
                f"Aperio Image Library v12.0.15 \r\n{width}x{height} [0,0 {size}] ({TILE_PX}x{TILE_PX}) JPEG/RGB Q=90"
            )
            _tiled(tiff, level, description=f"{text}|AppMag = {objective}{scale}")
            if number == 0:
                thumbnail = level[:: max(1, height // 256), :: max(1, height // 256)]
                tiff.write(np.ascontiguousarray(thumbnail), photometric="rgb", description=text, metadata=None)


def write_leica(path: Path, pixels: Pixels, mpp: float, objective: int = 40) -> None:
    """Leica SCN."""
    height, width = pixels.shape[:2]
    nm = round(mpp * 1000)
    levels = list(halves(pixels, 2))
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{number}" ifd="{number}" />'
        for number, level in enumerate(levels)
    )
    text = (
        f'<?xml version="1.0"?><scn xmlns="{_SCN}"><collection name="c" sizeX="{(width + 1) * nm}" '
        f'sizeY="{(height + 1) * nm}"><barcode></barcode><image name="i">'
        f"<creationDate>2026-01-01T00:00:00Z</creationDate>"
        f'<device model="synthetic" version="1" /><pixels sizeX="{width}" sizeY="{height}">{dimensions}</pixels>'
        f'<view sizeX="{width * nm}" sizeY="{height * nm}" offsetX="0" offsetY="0" />'
        f"<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings><illuminationSettings>"
        f"<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>"
        f"</image></collection></scn>"
    )
    with _writer(path, bigtiff=True) as tiff:
        for number, level in enumerate(levels):
            scale = 10_000 / (mpp * 2**number)
            _tiled(tiff, level, description=text if number == 0 else None, resolution=(scale, scale))


def write_ventana(path: Path, pixels: Pixels, mpp: float, objective: int = 40) -> None:
    """Ventana BIF of whole tiles (the size is rounded up to them), without overlap."""
    rows, columns = -(-pixels.shape[0] // TILE_PX), -(-pixels.shape[1] // TILE_PX)
    whole = np.full((rows * TILE_PX, columns * TILE_PX, 3), 255, np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    iscan = f'<iScan Magnification="{objective}" ScanRes="{mpp:g}" UnitNumber="0" Z-layers="1"></iScan>'
    joints = "".join(_joints(rows, columns))
    encode = (
        f'<EncodeInfo Ver="2"><SlideInfo></SlideInfo><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" '
        f'NumRows="{rows}" NumCols="{columns}" Width="{TILE_PX}" Height="{TILE_PX}" Pos-X="0" Pos-Y="0">{joints}'
        f'</ImageInfo></SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0" /></AoiOrigin></EncodeInfo>'
    )
    with _writer(path, bigtiff=True) as tiff:
        label = np.full((64, 64, 3), 255, np.uint8)
        tiff.write(label, photometric="rgb", description="Label Image", metadata=None, extratags=[_xmp(iscan)])
        for number, level in enumerate(halves(whole, 2)):
            text = f"level={number} mag={objective / 2**number:g} quality=90"
            extra = [_xmp(encode)] if number == 0 else []
            _tiled(tiff, level, description=text, extratags=extra)


def _joints(rows: int, columns: int) -> Iterator[str]:
    """How tiles touch; they are numbered from the lower left corner, to and fro."""

    def number(row: int, column: int) -> int:
        from_below = rows - 1 - row
        return from_below * columns + (columns - 1 - column if from_below % 2 else column) + 1

    for row in range(rows):
        for column in range(columns):
            if column + 1 < columns:
                yield _joint("RIGHT", number(row, column), number(row, column + 1))
            if row > 0:
                yield _joint("UP", number(row, column), number(row - 1, column))


def _joint(direction: str, here: int, there: int) -> str:
    return (
        f'<TileJointInfo FlagJoined="1" Confidence="100" Direction="{direction}" Tile1="{here}" Tile2="{there}" '
        'OverlapX="0" OverlapY="0" />'
    )


def write_ome(path: Path, planes: NDArray[np.uint8], mpp: float, plane_um: float = 1.0, levels: int = 2) -> None:
    """OME-TIFF of focal planes ``[planes, height, width, 3]``, smaller levels in sub-directories."""
    sizes = {"PhysicalSizeX": mpp, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp, "PhysicalSizeYUnit": "µm"}
    about: dict[str, Any] = {"axes": "ZYXS", **sizes, "PhysicalSizeZ": plane_um, "PhysicalSizeZUnit": "µm"}
    with _writer(path, ome=True, bigtiff=True) as tiff:
        for number in range(levels):
            level = np.ascontiguousarray(planes[:, :: 2**number, :: 2**number])
            first = {"subifds": levels - 1, "metadata": about} if number == 0 else {"subfiletype": 1}
            tiff.write(level, tile=(TILE_PX, TILE_PX), photometric="rgb", compression="jpeg", **first)


def write_ndpi(path: Path, pixels: Pixels, mpp: float, objective: int = 40) -> None:
    """Hamamatsu NDPI: a TIFF with 64-bit places of directories, each level one JPEG with restart markers."""
    out = io.BytesIO(b"II*\x00" + bytes(8))
    out.seek(0, io.SEEK_END)
    pointer_at = 4
    for number, level in enumerate(halves(pixels, 2)):
        jpeg = encode_jpeg(level, restarts=True)
        jpeg_at = out.tell()
        out.write(jpeg)
        pointer_at = _ndpi_directory(out, level, jpeg_at, len(jpeg), pointer_at, mpp * 2**number, objective / 2**number)
    path.write_bytes(out.getvalue())


def _ndpi_directory(
    out: io.BytesIO, level: Pixels, jpeg_at: int, jpeg_bytes: int, pointer_at: int, mpp: float, lens: float
) -> int:
    """Append one directory and name its place at ``pointer_at``; returns where the next place is to be named."""
    height, width = level.shape[:2]
    extra_at = out.tell()
    out.write(struct.pack("<IIHHH", round(1e7 / mpp), 1000, 8, 8, 8) + b"Hamamatsu\x00")
    entries = [
        (254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, extra_at + 8), (259, 3, 1, 7),
        (262, 3, 1, 6), (271, 2, 10, extra_at + 14), (273, 4, 1, jpeg_at), (277, 3, 1, 3), (278, 4, 1, height),
        (279, 4, 1, jpeg_bytes), (282, 5, 1, extra_at), (283, 5, 1, extra_at), (296, 3, 1, 3), (65420, 4, 1, 1),
        (65421, 11, 1, struct.unpack("<I", struct.pack("<f", lens))[0]), (65422, 9, 1, 0), (65423, 9, 1, 0),
        (65424, 9, 1, 0),
    ]  # fmt: skip
    place = out.tell()
    out.write(struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries))
    next_at = out.tell()
    out.write(bytes(8 + 4 * len(entries)))  # the next place, and the upper halves of the values
    out.seek(pointer_at)
    out.write(struct.pack("<Q", place))
    out.seek(0, io.SEEK_END)
    return next_at


def encode_jpeg(pixels: Pixels, restarts: bool = False) -> bytes:
    """Baseline JPEG of quality 90 without colour subsampling, with a restart marker after every row of blocks."""
    out = io.BytesIO()
    blocks = -(-pixels.shape[1] // 8) if restarts else 0
    Image.fromarray(pixels).save(out, "JPEG", quality=90, subsampling=0, restart_marker_blocks=blocks)
    return out.getvalue()


def _writer(path: Path, **options: Any) -> Any:
    import tifffile

    return tifffile.TiffWriter(path, **options)


def _tiled(tiff: Any, level: Pixels, **options: Any) -> None:
    tile = (TILE_PX, TILE_PX)
    if "resolution" in options:
        options["resolutionunit"] = "CENTIMETER"
    tiff.write(level, tile=tile, photometric="rgb", compression="jpeg", metadata=None, **options)


def _xmp(text: str) -> tuple[int, int, int, bytes, bool]:
    return (700, 7, len(text), text.encode(), True)
