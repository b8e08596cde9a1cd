"""DICOM whole slides that OpenSlide does not read, or reads only in part: several focal planes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from wsidicom import WsiDicom

from tamsoat.inference_service.slides.errors import DamagedImageError, UnsupportedImageError
from tamsoat.inference_service.slides.pyramid import Level, Pyramid, PyramidInfo
from tamsoat.inference_service.slides.scale_of_file import mean_mpp, number

FORMAT = "dicom"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage."""
_HEADER = [
    "SOPClassUID", "Modality", "SeriesInstanceUID", "TotalPixelMatrixFocalPlanes", "NumberOfFrames",
    "OpticalPathSequence", "TotalPixelMatrixColumns",
]  # fmt: skip


class DicomPyramid(Pyramid):
    """See :class:`~tamsoat.inference_service.slides.pyramid.Pyramid`. Every instance of the series in one folder."""

    def __init__(self, files: list[Path]) -> None:
        """Open the instances ``files`` of one series.

        Raises:
            DamagedImageError: no level can be read from them.
            AnisotropicScaleError: the pixels are not square.
        """
        self._slide = WsiDicom.open(files)
        try:
            self.info = self._describe(files[0])
        except BaseException:
            self.close()
            raise

    def _describe(self, first: Path) -> PyramidInfo:
        sizes = list(self._slide.pyramid)
        if not sizes:
            raise DamagedImageError("the DICOM files hold no level of the slide; send all instances of the series")
        base = sizes[0]
        self._numbers = [size.level for size in sizes]
        self._z_um = sorted(base.focal_planes)
        planes = len(self._z_um)
        mpp = base.mpp
        levels = tuple(
            Level(
                size.size.width,
                size.size.height,
                (base.size.width / size.size.width + base.size.height / size.size.height) / 2,
            )
            for size in sizes
        )
        middle_um = self._z_um[planes // 2]
        return PyramidInfo(
            format=FORMAT,
            width_px=levels[0].width_px,
            height_px=levels[0].height_px,
            mpp=mean_mpp(mpp.width, mpp.height) if mpp is not None else None,
            objective=_objective(first),
            levels=levels,
            tile_width_px=base.tile_size.width,
            tile_height_px=base.tile_size.height,
            planes=planes,
            best_plane=planes // 2,
            plane_um=tuple(z_um - middle_um for z_um in self._z_um) if planes > 1 else (),
        )

    def _read_inside(
        self, level: int, x_px: int, y_px: int, width_px: int, height_px: int, plane: int
    ) -> NDArray[np.uint8]:
        planes = self._slide.pyramid.get(self._numbers[level]).focal_planes
        z_um = min(planes, key=lambda one: abs(one - self._z_um[plane]))  # small levels may have fewer planes
        image = self._slide.read_region((x_px, y_px), self._numbers[level], (width_px, height_px), z=z_um)
        return np.array(image.convert("RGB"), dtype=np.uint8)

    def close(self) -> None:
        self._slide.close()


def focal_planes_of(path: Path) -> int:
    """How many focal planes the instance at ``path`` says that it has.

    Raises:
        UnsupportedImageError: it is a DICOM file, and no whole-slide image.
        Exception: whatever pydicom raises on damaged content.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_HEADER)
    if "SOPClassUID" not in header:
        raise DamagedImageError("the DICOM file does not say what it is: it is damaged or cut short")
    if header.SOPClassUID != WHOLE_SLIDE:
        name = getattr(header.SOPClassUID, "name", "unknown")
        raise UnsupportedImageError(
            f"the DICOM file is of the kind {name}, not a whole-slide image (VL Whole Slide Microscopy)"
        )
    return int(header.get("TotalPixelMatrixFocalPlanes", 1) or 1)


def instances_beside(path: Path) -> list[Path]:
    """``path`` first, then the other instances of its series in its folder."""
    series = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_HEADER).get("SeriesInstanceUID")
    others = []
    for other in sorted(path.parent.iterdir()):
        if other == path or not other.is_file():
            continue
        try:
            header = pydicom.dcmread(other, stop_before_pixels=True, specific_tags=_HEADER)
        except (pydicom.errors.InvalidDicomError, OSError):
            continue
        if header.get("SeriesInstanceUID") == series:
            others.append(other)
    return [path, *others]


def _objective(path: Path) -> float | None:
    paths = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_HEADER).get("OpticalPathSequence") or []
    return number(paths[0].get("ObjectiveLensPower")) if paths else None
