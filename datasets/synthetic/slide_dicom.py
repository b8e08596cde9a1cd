"""Small DICOM whole slides (VL Whole Slide Microscopy), written by pydicom; see :mod:`.slide_formats`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

from tamsoat.datasets.synthetic.slide_formats import Pixels, encode_jpeg, halves

_TILE_PX = 256


def write_dicom(folder: Path, pixels: Pixels, mpp: float, objective: int = 40, levels: int = 2) -> list[Path]:
    """One instance per level, of one series; returns the files, the largest level first."""
    return write_dicom_planes(folder, pixels[None], mpp, objective=objective, levels=levels)


def write_dicom_planes(
    folder: Path,
    planes: NDArray[np.uint8],
    mpp: float,
    plane_um: float = 1.0,
    objective: int = 40,
    levels: int = 2,
) -> list[Path]:
    """The same of several focal planes ``[planes, height, width, 3]``, all of them in each instance."""
    folder.mkdir(parents=True, exist_ok=True)
    uids = {name: generate_uid() for name in ("study", "series", "frame", "pyramid", "dimension")}
    by_plane = [list(halves(plane, levels)) for plane in planes]
    files = []
    for number in range(levels):
        stack = np.stack([plane[number] for plane in by_plane])
        files.append(folder / f"level-{number}.dcm")
        _instance(stack, mpp * 2**number, plane_um, objective, number, uids).save_as(
            files[-1], enforce_file_format=True
        )
    return files


def _instance(
    planes: NDArray[np.uint8], mpp: float, plane_um: float, objective: int, number: int, uids: Mapping[str, str]
) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    item = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    item.SOPClassUID, item.SOPInstanceUID = VLWholeSlideMicroscopyImageStorage, meta.MediaStorageSOPInstanceUID
    item.ImageType = ["DERIVED" if number else "ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED" if number else "NONE"]
    item.StudyInstanceUID, item.SeriesInstanceUID = uids["study"], uids["series"]
    item.FrameOfReferenceUID, item.PyramidUID = uids["frame"], uids["pyramid"]
    item.PatientName, item.PatientID, item.PatientBirthDate, item.PatientSex = "SYNTHETIC", "SYNTHETIC", "", ""
    item.Modality, item.Manufacturer, item.ManufacturerModelName = "SM", "synthetic", "synthetic"
    item.DeviceSerialNumber, item.SoftwareVersions = "1", "1"
    item.StudyDate = item.ContentDate = "20260101"
    item.StudyTime = item.ContentTime = "000000"
    item.AcquisitionDateTime, item.InstanceNumber, item.SeriesNumber = "20260101000000", number + 1, 1
    item.StudyID = item.AccessionNumber = item.ReferringPhysicianName = item.PositionReferenceIndicator = ""
    item.ContainerIdentifier, item.BurnedInAnnotation, item.SpecimenLabelInImage = "S", "NO", "NO"
    item.FocusMethod, item.ExtendedDepthOfField, item.VolumetricProperties = "AUTO", "NO", "VOLUME"
    _geometry(item, planes, mpp, plane_um, uids)
    _optics(item, objective)
    item.PixelData = encapsulate(list(_frames(planes)))
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    return item


def _geometry(item: Dataset, planes: NDArray[np.uint8], mpp: float, plane_um: float, uids: Mapping[str, str]) -> None:
    count, height, width = planes.shape[:3]
    item.Rows = item.Columns = _TILE_PX
    item.TotalPixelMatrixColumns, item.TotalPixelMatrixRows = width, height
    item.TotalPixelMatrixFocalPlanes = count
    item.NumberOfFrames = count * -(-width // _TILE_PX) * -(-height // _TILE_PX)
    item.DimensionOrganizationType, item.NumberOfOpticalPaths = "TILED_FULL", 1
    item.SamplesPerPixel, item.PhotometricInterpretation, item.PlanarConfiguration = 3, "YBR_FULL_422", 0
    item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 8, 8, 7, 0
    item.LossyImageCompression, item.LossyImageCompressionMethod = "01", "ISO_10918_1"
    item.LossyImageCompressionRatio = 10
    item.ImagedVolumeWidth, item.ImagedVolumeHeight = width * mpp / 1000, height * mpp / 1000
    item.ImagedVolumeDepth = max(plane_um * count, 1.0)
    item.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20.0, 40.0
    item.TotalPixelMatrixOriginSequence = Sequence([origin])
    measures = Dataset()
    measures.PixelSpacing = [mpp / 1000, mpp / 1000]
    measures.SliceThickness = measures.SpacingBetweenSlices = plane_um / 1000
    frame_type = Dataset()
    frame_type.FrameType = item.ImageType
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([frame_type])
    item.SharedFunctionalGroupsSequence = Sequence([shared])
    organization = Dataset()
    organization.DimensionOrganizationUID = uids["dimension"]
    item.DimensionOrganizationSequence = Sequence([organization])


def _optics(item: Dataset, objective: int) -> None:
    light, path, code = Dataset(), Dataset(), Dataset()
    light.CodeValue, light.CodingSchemeDesignator, light.CodeMeaning = "111744", "DCM", "Brightfield illumination"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "414298005", "SCT", "Full Spectrum"
    path.OpticalPathIdentifier = "1"
    path.IlluminationTypeCodeSequence = Sequence([light])
    path.IlluminationColorCodeSequence = Sequence([code])
    path.ObjectiveLensPower = objective
    item.OpticalPathSequence = Sequence([path])
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S", generate_uid()
    item.SpecimenDescriptionSequence = Sequence([specimen])
    item.ContainerTypeCodeSequence = Sequence([])
    item.IssuerOfTheContainerIdentifierSequence = Sequence([])
    item.AcquisitionContextSequence = Sequence([])


def _frames(planes: NDArray[np.uint8]) -> list[bytes]:
    """The tiles of a plane row by row, one plane after the other: the order of TILED_FULL."""
    height, width = planes.shape[1:3]
    found = []
    for plane in planes:
        for top in range(0, height, _TILE_PX):
            for left in range(0, width, _TILE_PX):
                tile = np.full((_TILE_PX, _TILE_PX, 3), 255, np.uint8)
                part = plane[top : top + _TILE_PX, left : left + _TILE_PX]
                tile[: part.shape[0], : part.shape[1]] = part
                found.append(encode_jpeg(tile))
    return found
