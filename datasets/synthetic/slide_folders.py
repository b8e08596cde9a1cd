"""Small slides of several files, MIRAX and Hamamatsu VMS, as a ZIP; see :mod:`.slide_formats`."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

from tamsoat.datasets.synthetic.slide_formats import Pixels, encode_jpeg, halves

_CAMERA_PX = 256


def zip_files(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Pack ``files`` (name, content)."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def mirax_files(pixels: Pixels, mpp: float, objective: int = 40, name: str = "slide") -> dict[str, bytes]:
    """The files of a MIRAX slide of two levels without overlap (the size is rounded up to 512 px)."""
    across, down = (2 * -(-side // (2 * _CAMERA_PX)) for side in (pixels.shape[1], pixels.shape[0]))
    whole = np.full((down * _CAMERA_PX, across * _CAMERA_PX, 3), 255, np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    identifier = "0123456789abcdef0123456789abcdef"
    data, pages = io.BytesIO(), []
    for number, level in enumerate(halves(whole, 2)):
        page, step = [], 2**number
        for row in range(0, down, step):
            for column in range(0, across, step):
                top, left = row // step * _CAMERA_PX, column // step * _CAMERA_PX
                jpeg = encode_jpeg(np.ascontiguousarray(level[top : top + _CAMERA_PX, left : left + _CAMERA_PX]))
                page.append((row * across + column, data.tell(), len(jpeg), 0))
                data.write(jpeg)
        pages.append(page)
    return {
        f"{name}.mrxs": encode_jpeg(whole[:64, :64]),
        f"{name}/Slidedat.ini": _slidedat(identifier, across, down, mpp, objective).encode(),
        f"{name}/Index.dat": _index(identifier, pages),
        f"{name}/Data0000.dat": data.getvalue(),
    }


def _slidedat(identifier: str, across: int, down: int, mpp: float, objective: int) -> str:
    lines = [
        "[GENERAL]", "SLIDE_VERSION = 01.02", f"SLIDE_ID = {identifier}", f"IMAGENUMBER_X = {across}",
        f"IMAGENUMBER_Y = {down}", f"OBJECTIVE_MAGNIFICATION = {objective}", "CameraImageDivisionsPerSide = 1",
        "[HIERARCHICAL]", "HIER_COUNT = 1", "NONHIER_COUNT = 0", "INDEXFILE = Index.dat",
        "HIER_0_NAME = Slide zoom level", "HIER_0_COUNT = 2", "HIER_0_VAL_0_SECTION = LEVEL_0",
        "HIER_0_VAL_1_SECTION = LEVEL_1", "[DATAFILE]", "FILE_COUNT = 1", "FILE_0 = Data0000.dat",
    ]  # fmt: skip
    for number in range(2):
        lines += [
            f"[LEVEL_{number}]", f"IMAGE_CONCAT_FACTOR = {number}", "OVERLAP_X = 0", "OVERLAP_Y = 0",
            f"MICROMETER_PER_PIXEL_X = {mpp * 2**number:g}", f"MICROMETER_PER_PIXEL_Y = {mpp * 2**number:g}",
            "IMAGE_FILL_COLOR_BGR = 16777215", f"DIGITIZER_WIDTH = {_CAMERA_PX}", f"DIGITIZER_HEIGHT = {_CAMERA_PX}",
            "IMAGE_FORMAT = JPEG",
        ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


def _index(identifier: str, pages: list[list[tuple[int, int, int, int]]]) -> bytes:
    """Index.dat: version and identifier, place of the table of levels, for each level a list of one page."""
    head = f"01.02{identifier}".encode()
    table_at = len(head) + 8
    place = table_at + 4 * len(pages)
    table, body = b"", b""
    for page in pages:
        table += struct.pack("<i", place + len(body))
        body += struct.pack("<ii", 0, place + len(body) + 8)
        body += struct.pack("<ii", len(page), 0) + b"".join(struct.pack("<iiii", *record) for record in page)
    return head + struct.pack("<ii", table_at, 0) + table + body


def vms_files(pixels: Pixels, mpp: float, objective: int = 40) -> dict[str, bytes]:
    """The files of a Hamamatsu VMS slide."""
    height, width = pixels.shape[:2]
    text = "\r\n".join(
        (
            "[Virtual Microscope Specimen]",
            "NoLayers=1",
            "NoJpegColumns=1",
            "NoJpegRows=1",
            "ImageFile=slide.jpg",
            "MapFile=map.jpg",
            "OptimisationFile=",
            f"PhysicalWidth={round(width * mpp * 1000)}",
            f"PhysicalHeight={round(height * mpp * 1000)}",
            f"SourceLens={objective}",
            "",
        )
    )
    small = list(halves(pixels, 3))[-1]
    return {
        "slide.vms": text.encode(),
        "slide.jpg": encode_jpeg(pixels, restarts=True),
        "map.jpg": encode_jpeg(small, restarts=True),
    }
