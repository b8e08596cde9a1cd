"""One small slide of each format, all of the same picture, and damaged copies of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tamsoat.datasets.synthetic.fields import make_field
from tamsoat.datasets.synthetic.mosaic import save_pyramid
from tamsoat.datasets.synthetic.slide_dicom import write_dicom, write_dicom_planes
from tamsoat.datasets.synthetic.slide_folders import mirax_files, vms_files, zip_files
from tamsoat.datasets.synthetic.slide_formats import (
    write_aperio,
    write_leica,
    write_ndpi,
    write_ome,
    write_ventana,
)

MPP = 0.25
WIDTH_PX, HEIGHT_PX = 640, 528
PLANES = 3


@dataclass(frozen=True)
class Sample:
    """``file``: its name; ``format``: how it is opened; ``planes``: focal planes; ``make``: writes it."""

    file: str
    format: str
    make: Callable[[Path], object]
    planes: int = 1


@cache
def picture() -> NDArray[np.uint8]:
    """What all of them show: a synthetic field."""
    return make_field(seed=11, width_px=WIDTH_PX, height_px=HEIGHT_PX).image


def blurred_planes() -> NDArray[np.uint8]:
    """Three focal planes: the middle one sharp, the others out of focus."""
    from PIL import Image, ImageFilter

    soft = np.asarray(Image.fromarray(picture()).filter(ImageFilter.GaussianBlur(3)))
    return np.stack([soft, picture(), soft])


def _pyramid(path: Path) -> None:
    import pyvips

    image = pyvips.Image.new_from_array(picture()).copy(interpretation="srgb", xres=1000 / MPP, yres=1000 / MPP)
    save_pyramid(image, path)


def _packed(files: dict[str, bytes], path: Path) -> None:
    zip_files(path, files)


def _dicom(path: Path, write: Callable[..., list[Path]], pixels: NDArray[np.uint8], levels: int) -> None:
    files = write(path.with_suffix(".files"), pixels, MPP, levels=levels)
    if path.suffix == ".zip":
        zip_files(path, {file.name: file.read_bytes() for file in files})
    else:
        files[0].rename(path)


SAMPLES = {
    "generic TIFF": Sample("slide.tif", "openslide:generic-tiff", _pyramid),
    "Aperio SVS": Sample("slide.svs", "openslide:aperio", lambda path: write_aperio(path, picture(), MPP)),
    "Hamamatsu NDPI": Sample("slide.ndpi", "openslide:hamamatsu", lambda path: write_ndpi(path, picture(), MPP)),
    "Hamamatsu VMS": Sample("vms.zip", "openslide:hamamatsu", lambda path: _packed(vms_files(picture(), MPP), path)),
    "MIRAX": Sample("mirax.zip", "openslide:mirax", lambda path: _packed(mirax_files(picture(), MPP), path)),
    "Leica SCN": Sample("slide.scn", "openslide:leica", lambda path: write_leica(path, picture(), MPP)),
    "Ventana BIF": Sample("slide.bif", "openslide:ventana", lambda path: write_ventana(path, picture(), MPP)),
    "OME-TIFF": Sample("slide.ome.tif", "ome-tiff", lambda path: write_ome(path, blurred_planes(), MPP), PLANES),
    "DICOM": Sample("slide.dcm", "openslide:dicom", lambda path: _dicom(path, write_dicom, picture(), 1)),
    "DICOM series": Sample("series.zip", "openslide:dicom", lambda path: _dicom(path, write_dicom, picture(), 2)),
    "DICOM focal planes": Sample(
        "planes.dcm", "dicom", lambda path: _dicom(path, write_dicom_planes, blurred_planes(), 1), PLANES
    ),
}


def cut(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def flipped(data: bytes, seed: int, most: int = 40) -> bytes:
    """The data with some bytes changed, most of them at the beginning, where the structure is."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, most))):
        reach = len(changed) if rng.uniform() < 0.3 else min(len(changed), 4096)
        changed[int(rng.integers(reach))] = int(rng.integers(256))
    return bytes(changed)
