"""Opens one field image safely and turns it into plain 8-bit RGB.

The type is read from the content, never from the name. Sizes are checked before any pixel is decoded.
What becomes of the unusual ones:

- palette, grey and 1-bit images are expanded; transparency is laid over white (the empty slide);
- CMYK is converted through its embedded colour profile where it has one, else by the plain formula;
- 16 bits per channel keep their high byte (0-65535 maps to 0-255, nothing is stretched: a 12-bit camera
  stored in 16 bits looks dark and is reported so by the quality check);
- the EXIF orientation is applied, so ``pixels`` and all coordinates refer to the upright image.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import struct
import time
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.slides.colour import to_upright_rgb
from tamsoat.inference_service.slides.errors import (
    DamagedImageError,
    DecodeCrashedError,
    EmptyImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    MultiPageImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from tamsoat.inference_service.slides.sniff import describe_content, sniff_format

# Pillow warns on stderr about sizes and tags of damaged files. Sizes are checked here against our own limits, damage
# that matters raises, and Pillow's hard limit (DecompressionBombError) stays in force: the warnings are only noise.
warnings.filterwarnings("ignore", module=r"PIL\.")

_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged content."""


@dataclass(frozen=True)
class DecodeLimits:
    """What is accepted. ``max_bytes`` and ``max_pixels`` are checked before decoding."""

    max_bytes: int = 128 * 2**20
    max_pixels: int = 64_000_000
    min_side_px: int = 32


DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One upright RGB image in memory.

    ``pixels`` is uint8 ``[height, width, 3]``, C-contiguous; ``sha256`` (hex) is over the bytes as
    they came; ``source_format`` is JPEG, PNG, TIFF, BMP or WEBP; ``decode_s`` the time from opening to
    pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    sha256: str
    source_format: str
    decode_s: float

    @property
    def width_px(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        return int(self.pixels.shape[0])


def decode_file(path: Path, *, name: str | None = None, limits: DecodeLimits = DEFAULT_LIMITS) -> DecodedImage:
    """Open the image file at ``path``; ``name`` is what messages and results call it (default: the path).

    Raises:
        UnreadableImageError: there is no such file, it is a folder, or permission is lacking.
        ImageError: any of its subclasses, as :func:`decode_bytes`.
    """
    start_s = time.perf_counter()
    shown = name if name is not None else str(path)
    try:
        with path.open("rb") as handle:
            # Python sets aside as much as it is asked to read: ask for what is there (a pipe does not say).
            size_bytes = os.fstat(handle.fileno()).st_size or limits.max_bytes
            data = handle.read(min(size_bytes, limits.max_bytes) + 1)
    except OSError as error:
        raise UnreadableImageError(f"{shown}: cannot be read ({_os_reason(error)})") from error
    return _decode(data, shown, limits, start_s)


def decode_bytes(data: bytes, name: str, limits: DecodeLimits = DEFAULT_LIMITS) -> DecodedImage:
    """Open an image held in memory; ``name`` is what messages and results call it.

    Raises:
        EmptyImageError: no bytes (400).
        UnsupportedImageError: another format, or a pixel type without a defined way to RGB (415).
        ImageTooLargeError: more bytes or pixels than ``limits`` allow (413).
        DamagedImageError: truncated or corrupt (422).
        DecodeCrashedError: decoding takes more memory than there is (422).
        MultiPageImageError: animated or several pages (422).
        ImageTooSmallError: a side shorter than ``limits.min_side_px`` (422).
    """
    return _decode(data, name, limits, time.perf_counter())


def _decode(data: bytes, name: str, limits: DecodeLimits, start_s: float) -> DecodedImage:
    source_format = _check_content(data, name, limits)
    try:
        with Image.open(io.BytesIO(data), formats=(source_format,)) as image:
            _check_header(image, name, limits)
            image.load()
            rgb = to_upright_rgb(image, name)
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{name}: more than the limit of {limits.max_pixels / 1e6:.0f} megapixels; send single fields"
        ) from error
    except MemoryError as error:
        raise DecodeCrashedError(
            f"{name}: decoding takes more memory than is allowed; the file is damaged or made to do harm"
        ) from error
    except _DECODER_ERRORS as error:
        raise DamagedImageError(
            f"{name}: the {source_format} data is damaged or cut short ({_short(error)}); copy it again"
        ) from error
    pixels = np.ascontiguousarray(np.asarray(rgb, dtype=np.uint8))
    return DecodedImage(
        name=name,
        pixels=pixels,
        sha256=hashlib.sha256(data).hexdigest(),
        source_format=source_format,
        decode_s=time.perf_counter() - start_s,
    )


def _check_content(data: bytes, name: str, limits: DecodeLimits) -> str:
    """Return Pillow's name of the format, from the first bytes."""
    if len(data) == 0:
        raise EmptyImageError(f"{name}: the file is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(f"{name}: larger than the limit of {limits.max_bytes / 2**20:.0f} MiB")
    source_format = sniff_format(data)
    if source_format is None:
        raise UnsupportedImageError(f"{name}: {describe_content(data)}, not a JPEG, PNG, TIFF, BMP or WebP image")
    return source_format


def _check_header(image: Image.Image, name: str, limits: DecodeLimits) -> None:
    """Refuse by size and page count: everything that the header tells before a pixel is decoded."""
    width_px, height_px = image.size
    if width_px * height_px > limits.max_pixels:
        raise ImageTooLargeError(
            f"{name}: {width_px} x {height_px} px is more than the limit of "
            f"{limits.max_pixels / 1e6:.0f} megapixels; send single fields"
        )
    if min(width_px, height_px) < limits.min_side_px:
        raise ImageTooSmallError(
            f"{name}: {width_px} x {height_px} px is too small to show a cell (at least {limits.min_side_px} px a side)"
        )
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        kind = "an animation" if bool(getattr(image, "is_animated", False)) and image.format != "TIFF" else "a file"
        raise MultiPageImageError(f"{name}: {kind} of {frames} images; save the one field to screen as a single image")


def _os_reason(error: OSError) -> str:
    if error.errno == errno.EISDIR:
        return "it is a folder"
    return (error.strerror or str(error)).lower()


def _short(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
