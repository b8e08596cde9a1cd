"""Why an image cannot be screened: one class per kind, with its HTTP status."""

from __future__ import annotations

from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError


class ImageError(TamsoatError):
    """An image cannot be used; the text names the file and the reason."""

    status = 422
    title = "Image cannot be used"
    slug = "image-unusable"
    exit_code = EXIT_INPUT


class UnreadableImageError(ImageError):
    """The path does not lead to a file that may be read."""

    status = 400
    title = "Image cannot be read"
    slug = "image-unreadable"


class EmptyImageError(ImageError):
    """No bytes at all."""

    status = 400
    title = "Image is empty"
    slug = "image-empty"


class ImageTooLargeError(ImageError):
    """More bytes or pixels than allowed; noticed before decoding."""

    status = 413
    title = "Image is too large"
    slug = "image-too-large"


class UnsupportedImageError(ImageError):
    """The content is not an image format, or not a pixel type, that can be screened."""

    status = 415
    title = "Image type is not supported"
    slug = "image-type-unsupported"


class DamagedImageError(ImageError):
    """Truncated or corrupt."""

    title = "Image is damaged"
    slug = "image-damaged"


class MultiPageImageError(ImageError):
    """Several images in one file: which one is meant cannot be known."""

    title = "Image has several pages"
    slug = "image-multi-page"


class ImageTooSmallError(ImageError):
    """Too few pixels to show a cell."""

    title = "Image is too small"
    slug = "image-too-small"


class DecodeTimeoutError(ImageError):
    """Decoding took longer than the settings allow."""

    title = "Image takes too long to decode"
    slug = "image-decode-timeout"


class DecodeCrashedError(ImageError):
    """Decoding crashed or took more memory than the settings allow."""

    title = "Image cannot be decoded"
    slug = "image-decode-crashed"
