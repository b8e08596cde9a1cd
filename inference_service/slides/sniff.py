"""What a file is, by its first bytes."""

from __future__ import annotations

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)

_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (128, b"DICM", "a DICOM file"),
    (4, b"ftypheic", "a HEIC photo"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (0, b"ZISRAWFILE", "a Zeiss CZI slide (export it as pyramidal TIFF or DICOM)"),
    (0, b"<DataObject", "a Philips iSyntax slide (export it as pyramidal TIFF or DICOM)"),
    (0, b"SIS\x00", "a part of an Olympus VSI slide (export the slide as pyramidal TIFF or DICOM)"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
)

_TEXT_SAMPLE_BYTES = 512

SNIFFED_BYTES = 512
"""How much of the beginning of a file is enough to tell what it is."""

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
}
DICOM = "application/dicom"
TIFF = "image/tiff"
ZIP = "application/zip"
PLAIN_IMAGES = ("image/jpeg", "image/png", "image/bmp", "image/webp")
"""Types that never hold a whole slide's pyramid."""
SUFFIXES = {**{kind: f".{kind.partition('/')[2]}" for kind in _MEDIA_TYPES.values()}, DICOM: ".dcm"}
"""Ending of a file name for each type that can be stored; ``.jpeg``, ``.tiff`` (also BigTIFF and SVS), ``.dcm``, …"""


def sniff_format(data: bytes) -> str | None:
    """Pillow's name of the format (JPEG, PNG, TIFF, BMP, WEBP), or None for anything else."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def sniff_media_type(head: bytes) -> str | None:
    """Media type of a file that may be stored as a slide, from its first bytes; None for anything else.

    TIFF covers BigTIFF and the slide formats built on it (SVS, generic pyramids).
    """
    name = sniff_format(head)
    if name is not None:
        return _MEDIA_TYPES[name]
    return DICOM if head[128:132] == b"DICM" else None


def describe_content(data: bytes) -> str:
    """A few words for content that is not one of the accepted formats, such as ``a PDF document``."""
    for offset, signature, description in _OTHERS:
        if data[offset : offset + len(signature)] == signature:
            return description
    sample = data[:_TEXT_SAMPLE_BYTES]
    printable = sum(byte >= 32 or byte in (9, 10, 13) for byte in sample)
    if printable == len(sample) and _is_utf8(sample):
        return "text"
    return "data of an unknown kind"


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 3  # a character cut by the end of the sample
    return True
