"""What a file that arrived says of itself, against what its sender says of it."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.scale import MissingScaleError
from tamsoat.inference_service.slides.errors import ImageError, UnsupportedImageError
from tamsoat.inference_service.slides.image_pyramid import FORMAT as FIELD
from tamsoat.inference_service.slides.pyramid import PyramidInfo
from tamsoat.inference_service.slides.sniff import PLAIN_IMAGES, ZIP
from tamsoat.inference_service.uploads.slide_files import SlideFile
from tamsoat.inference_service.uploads.tables import BUILDING, NEEDS_SCALE, READY, UNREADABLE, Slide

FROM_FILE, STATED = "file", "stated"
MAX_DISAGREEMENT = 0.05
"""Most by which a stated scale may differ from the file's, relative to the file's."""

log = structlog.get_logger("tamsoat.uploads")


class ScaleDisagreesError(TamsoatError):
    """The stated scale is not the one in the file: one of them is wrong, and sizes of cells depend on it."""

    status = 422
    title = "Scale disagrees with the file"
    slug = "scale-disagrees"


@dataclass(frozen=True)
class Examined:
    """``info`` of a file that can be opened, else None with the ``problem``; ``mpp`` that counts, and where from."""

    info: PyramidInfo | None
    problem: ImageError | None
    mpp: float | None
    mpp_source: str

    def describe(self, slide: Slide, media_type: str) -> None:
        """Write what was found into the row of a new slide."""
        slide.mpp, slide.mpp_source = self.mpp, self.mpp_source
        slide.condition, slide.planes = READY, 1
        if self.info is None:
            # A damaged plain image is found when it is decoded, and refused there with its reason.
            slide.condition = READY if media_type in PLAIN_IMAGES else UNREADABLE
            return
        slide.width_px, slide.height_px = self.info.width_px, self.info.height_px
        slide.format, slide.objective, slide.planes = self.info.format, self.info.objective, self.info.planes
        if self.info.needs_pyramid:
            slide.condition = BUILDING
        elif self.mpp is None:
            slide.condition = NEEDS_SCALE


def examine(runtime: Runtime, file: SlideFile, media_type: str, stated_mpp: float | None) -> Examined:
    """Look at the file in a confined process; blocks.

    Args:
        media_type: of what was sent (of a ZIP that, and not of what is inside).
        stated_mpp: micrometres per pixel that the sender states; None: the sender says that the file has them.

    Raises:
        UnsupportedImageError: a format that is not read here.
        ImageError: the sender relies on the file, and it cannot be read. (With a stated scale it is accepted, and
            its screening ends with the reason, as that of any damaged image.)
        MissingScaleError: a plain image, whose scale is nowhere.
        ScaleDisagreesError: both are there and differ by more than 5 %.
        DecoderClosedError: the service is stopping (503).
    """
    try:
        info = runtime.slides.look(*file)
    except ImageError as error:
        if stated_mpp is None or isinstance(error, UnsupportedImageError) or media_type == ZIP:
            raise
        log.info("slide_not_readable", problem=error.slug)
        return Examined(None, error, stated_mpp, STATED)
    if stated_mpp is None:
        if info.mpp is None and info.format == FIELD:
            raise MissingScaleError(
                "the scale is not in this file (a plain image has none) and is never guessed: state the objective "
                "(for example 40) or the microns per pixel (for example 0.25)"
            )
        return Examined(info, None, info.mpp, FROM_FILE)
    check_agreement(stated_mpp, info.mpp)
    return Examined(info, None, stated_mpp, STATED)


def check_agreement(stated_mpp: float, file_mpp: float | None) -> None:
    """Raise ScaleDisagreesError where the file states another scale."""
    if file_mpp is not None and abs(stated_mpp - file_mpp) > MAX_DISAGREEMENT * file_mpp:
        raise ScaleDisagreesError(
            f"{stated_mpp:.4g} micrometres per pixel are stated, and the file says {file_mpp:.4g}: check the "
            "objective, or leave the scale to the file"
        )
